"""Refusals as problem documents."""

from collections.abc import Iterator

import pytest

from shared.domain.errors import Refused
from shared.http.problems import PROBLEMS, problem, problem_headers


def kinds(kind: type[Refused]) -> Iterator[type[Refused]]:
    for one in kind.__subclasses__():
        yield one
        yield from kinds(one)


def test_every_refusal_has_its_line() -> None:
    """Every refusal has a line, and every line but `internal_error` a refusal.

    Those of one function alone are not meant: it says itself what they look like.
    """
    shared = {kind.code for kind in kinds(Refused) if kind.__module__.startswith("shared.")}
    assert shared | {"internal_error"} == set(PROBLEMS)


def test_a_document() -> None:
    """A problem has the members of RFC 9457 with the facts beside them."""
    assert problem("version_pinned", "3 users are pinned", {"pin_count": 3}) == {
        "type": "urn:kiloclaw:problem:version_pinned",
        "title": "Version pinned",
        "status": 409,
        "detail": "3 users are pinned",
        "code": "version_pinned",
        "pin_count": 3,
    }


def test_facts_displace_nothing() -> None:
    """A fact never replaces a member of the problem, whatever its name."""
    names = ("type", "title", "status", "detail", "code")
    plain = problem("forbidden", "no")
    assert problem("forbidden", "no", dict.fromkeys(names, "mine")) == plain


@pytest.mark.parametrize(
    ("code", "facts", "headers"),
    [
        ("unauthorized", {}, {"www-authenticate": "Bearer"}),
        ("method_not_allowed", {"allow": "GET, PUT"}, {"allow": "GET, PUT"}),
        ("catalog_unavailable", {}, {"retry-after": "5"}),
        ("kv_unavailable", {}, {"retry-after": "5"}),
        ("invalid_request", {"errors": []}, {}),
    ],
)
def test_headers(code: str, facts: dict[str, object], headers: dict[str, str]) -> None:
    """A refusal has the headers that its status requires."""
    assert problem_headers(code, facts) == headers
