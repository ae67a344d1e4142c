"""Pages: no item is skipped, none is repeated."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from shared.domain.errors import InvalidRequest
from shared.http import cursors, pages
from shared.http.pages import Page, PageQuery


class Numbers(Page[int]):
    """Numbers."""


@settings(max_examples=40)
@given(
    st.lists(st.integers(0, 2**63 - 1), unique=True, max_size=9).map(sorted), st.integers(1, 4)
)
def test_pages_make_up_the_list(numbers: list[int], limit: int) -> None:
    """The pages give the whole list in order, whatever the limit."""
    seen: list[int] = []
    following: str | None = None
    while True:
        query = PageQuery.model_construct(limit=limit, cursor=following)
        (after,) = pages.start(query, cursors.whole_number) or (-1,)
        rows = [number for number in numbers if number > after][: limit + 1]
        page = pages.page(query, Numbers, rows, lambda number: (number,))
        assert len(page.items) <= limit
        seen += page.items
        following = page.next_cursor
        if following is None:
            break
        assert len(page.items) == limit
    assert seen == numbers


class ThingsQuery(PageQuery):
    """A list with a filter."""

    status: str | None = None


class OthersQuery(ThingsQuery):
    """Another list with the same filter."""


def test_a_cursor_is_of_one_query() -> None:
    """A cursor is good for its own list and filter, with any limit."""
    asked = ThingsQuery.model_construct(status="active", limit=1)
    text = pages.page(asked, Numbers, [1, 2], lambda n: (n,)).next_cursor
    again: Any = {"status": "active", "cursor": text, "limit": "100"}
    assert pages.start(ThingsQuery(**again), cursors.whole_number) == (1,)
    for other in (
        ThingsQuery(**again | {"status": "disabled"}),
        ThingsQuery(**again | {"status": None}),
        OthersQuery(**again),
    ):
        with pytest.raises(InvalidRequest):
            pages.start(other, cursors.whole_number)


def test_no_items() -> None:
    """An empty list is one page, and the last."""
    page = pages.whole_page(PageQuery(), Numbers, [], None)
    assert (page.items, page.next_cursor) == ([], None)


@pytest.mark.parametrize(
    "limit", ["", "0", "101", "1000", "-1", "1.0", "٥", "+5", "05", "1\n", 5]
)
def test_a_limit_that_is_none(limit: Any) -> None:
    """A limit is a whole number from 1 to 100, in ASCII digits."""
    with pytest.raises(ValidationError, match="must be a whole number from 1 to 100"):
        PageQuery(limit=limit)
