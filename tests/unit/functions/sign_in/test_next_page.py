"""Where a sign-in leads, and what each refusal says."""

import pytest

from functions.sign_in import refusals
from functions.sign_in.next_page import next_page
from functions.sign_in.refusals import PAGES
from shared.domain.errors import InvalidRequest, KVUnavailable, Refused
from shared.http.problems import Forbidden, MethodNotAllowed, Unexpected, UnknownPath


@pytest.mark.parametrize(
    "wanted",
    [
        "/console",
        "/console/",
        "/console?done=pinned",
        "/console/users/oauth/google:114000741928328149731",
        "/console/users/a%2Fb%3Fc?x=1&y=%E2%82%AC",
        "/console/versions/2026.10.3..r1",
        "/console/sign-ins",
    ],
)
def test_pages_of_the_console_are_believed(wanted: str) -> None:
    """The page that somebody wanted to see, with its filters."""
    assert next_page(wanted) == wanted


@pytest.mark.parametrize(
    "wanted",
    [
        None, "", "/", "/v1/versions", "/consoles", "console", "//evil.example",
        "//evil.example/console", "https://evil.example/console", "/console@evil.example",
        "/console\\evil", "/\\evil.example", "/console/\nlocation: x", "/console/ x",
        "/console/é",
        "/console/../v1", "/console/%2e%2E/v1", "/console/./..", "/console#x",
        "/console/sign-in?next=/console", "/console/signed-in?code=x", "/console/sign-out",
        "/console/" + "x" * 2_000,
    ],
)  # fmt: skip
def test_nothing_else_is(wanted: str | None) -> None:
    """Not another site, nor another part of this one, nor the sign-in itself."""
    assert next_page(wanted) == "/console"


def test_every_refusal_has_its_page() -> None:
    """Whatever can be refused here is explained, and says what to do next."""
    own: list[type[Refused]] = [
        kind
        for kind in vars(refusals).values()
        if isinstance(kind, type) and issubclass(kind, Refused) and kind is not Refused
    ]
    others: list[type[Refused]] = [
        Forbidden, InvalidRequest, KVUnavailable, MethodNotAllowed, Unexpected, UnknownPath,
    ]  # fmt: skip
    assert {kind.code for kind in (*own, *others)} == set(PAGES)
    assert {page.status for page in PAGES.values()} == {400, 403, 404, 405, 500, 503}
