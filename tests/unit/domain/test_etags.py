"""ETags and If-Match, by RFC 9110, sections 8.8.3 and 13.1.1."""

from dataclasses import replace
from uuid import UUID

import pytest

from shared.domain.errors import StaleRevision
from shared.domain.etags import UNCONDITIONAL, IfMatch, row_etag, variant_etag
from shared.domain.pointer import Brake, Pointer, Rollout

ROLLOUT = Rollout("v2", 20, "salt", brake=Brake(3, 10))
POINTER = Pointer(7, "v1", ROLLOUT, cause="request-1")


@pytest.mark.parametrize(
    "header", ["*", " * ", '"a"', '"b", "a"', '"b" ,"a"', ', "a",', '"b,c","a"', 'W/"b", "a"']
)
def test_a_state_that_is_named_may_change(header: str) -> None:
    """One of a list is enough; `*` is any state."""
    IfMatch(header).check("a")


@pytest.mark.parametrize(
    "header",
    ["", " ", "a", '"b"', 'W/"a"', 'w/"a"', '"a', 'a"', '*, "a"', '"A"', '"a" "b"', '"b,a"',
     '"xa"', "'a'", '"a"; "b"'],
)  # fmt: skip
def test_any_other_state_may_not(header: str) -> None:
    """A weak ETag never matches, and neither does what is no list of ETags."""
    with pytest.raises(StaleRevision) as refused:
        IfMatch(header).check("a")
    assert header not in {*refused.value.detail.split()} - {"", "a"}


@pytest.mark.parametrize("header", ["*", '"a"'])
def test_nothing_matches_a_row_that_is_not_there(header: str) -> None:
    """Not even `*`."""
    with pytest.raises(StaleRevision, match=r"^there is nothing that could match If-Match$"):
        IfMatch(header).check(None)


def test_without_the_header_everything_may_change() -> None:
    """A row that is not there as well."""
    for etag in ("a", None):
        UNCONDITIONAL.check(etag)


def test_exactly_one_state() -> None:
    """The state that was seen may change, and no other; a row that is not there is one too."""
    IfMatch.exactly("a").check("a")
    IfMatch.exactly(None).check(None)
    for seen, now in (("a", "b"), ("a", None), (None, "a")):
        with pytest.raises(StaleRevision):
            IfMatch.exactly(seen).check(now)


def test_a_variants_etag_covers_revision_content_and_cause() -> None:
    """Whatever differs in one of them is another state."""
    states = [
        POINTER, POINTER.at(8), replace(POINTER, latest_tag="v3"),
        POINTER.without_rollout(), replace(POINTER, cause="request-2"),
        *(replace(POINTER, rollout=replace(ROLLOUT, **changed)) for changed in (
            {"held": True}, {"percent": 21}, {"salt": "other"}, {"brake": None},
            {"candidate_tag": "v4"},
        )),
    ]  # fmt: skip
    etags = {variant_etag("default", state) for state in states}
    assert len(etags | {variant_etag("beta", POINTER)}) == len(states) + 1
    assert variant_etag("default", POINTER) == variant_etag("default", replace(POINTER))


def test_a_rows_etag_is_of_that_row_alone() -> None:
    """A row that was made again has another id, so the ETag does not come back."""
    rows = [UUID(int=1), UUID(int=2)]
    assert len({row_etag(row, revision) for row in rows for revision in (1, 2)}) == 4
