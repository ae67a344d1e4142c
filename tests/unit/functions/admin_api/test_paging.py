"""Cursors and pages: no item skipped, none repeated, no cursor believed."""

import json
from base64 import urlsafe_b64encode
from itertools import product
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from functions.admin_api import cursor, paging
from functions.admin_api.models import Page
from functions.admin_api.requests import ListQuery, VersionsQuery
from shared.domain.errors import InvalidRequest
from shared.domain.values import IMAGE_TAG
from tests.support.requests import listing

MARK = cursor.fingerprint("/v1/things", {"limit": 1})
SHAPE = (cursor.moment, IMAGE_TAG.parse)
MOMENT = "2026-11-24T12:00:00.000001Z"


def packed(content: object) -> str:
    text = content if isinstance(content, bytes) else json.dumps(content).encode()
    return urlsafe_b64encode(text).decode().rstrip("=")


def test_the_first_page() -> None:
    """Needs no cursor."""
    assert cursor.decode(None, MARK, SHAPE) is None


def test_a_cursor_comes_back() -> None:
    """As the key that it was made from, in characters that a URL can hold."""
    text = cursor.encode(MARK, MOMENT, "v1")
    assert cursor.decode(text, MARK, SHAPE) == (MOMENT, "v1")
    assert text.replace("-", "").replace("_", "").isalnum()


@pytest.mark.parametrize(
    ("given_", "kept"),
    [
        (MOMENT, MOMENT),
        ("2026-11-24t14:00:00+23:59", "2026-11-23T14:01:00.000000Z"),
        ("2026-11-24T12:00:00.123456789Z", "2026-11-24T12:00:00.123456Z"),
    ],
)
def test_a_moment_is_one_that_the_database_reads(given_: str, kept: str) -> None:
    """Which takes no offset beyond 15:59."""
    assert cursor.decode(packed([MARK, given_, "v1"]), MARK, SHAPE) == (kept, "v1")


@pytest.mark.parametrize(
    ("parse", "part", "value"),
    [
        (cursor.whole_number, 0, 0),
        (cursor.whole_number, 2**63 - 1, 2**63 - 1),
        (cursor.uuid, str(UUID(int=1)), UUID(int=1)),
        (IMAGE_TAG.parse, "v1", "v1"),
    ],
)
def test_parts(parse: cursor.Parse, part: object, value: object) -> None:
    """Each kind that lists are sorted by."""
    assert cursor.decode(packed([MARK, part]), MARK, (parse,)) == (value,)


@pytest.mark.parametrize(
    "hostile",
    [
        "", "!", "é", "\ud800", "A", packed(b"\xff"), packed(b"{"), packed(b"[" * 100_000),
        packed(f'["{MARK}", NaN, "v1"]'.encode()),
        *map(packed, ({}, "v1", None, [], [MARK], [MARK, MOMENT], [MARK, MOMENT, "v1", "v2"])),
        *(packed([mark, MOMENT, "v1"]) for mark in ("other", None, [MARK])),
        *(packed([MARK, moment, "v1"]) for moment in ("yesterday", 1, None, f"{MOMENT}\n")),
        *(packed([MARK, MOMENT, tag]) for tag in ("latest", "\0", "\ud800", 1)),
    ],
)  # fmt: skip
def test_hostile_cursors(hostile: str) -> None:
    """Malformed, of another query or with another key's parts: refused, never a crash."""
    with pytest.raises(InvalidRequest, match="cursor: is not a cursor of this query"):
        cursor.decode(hostile, MARK, SHAPE)


@pytest.mark.parametrize(
    ("parse", "wrong"),
    [
        *product([cursor.whole_number], [-1, 2**63, 1.0, True, "1", None]),
        *product([cursor.uuid], ["", 1, None, []]),
    ],
)
def test_hostile_parts(parse: cursor.Parse, wrong: object) -> None:
    """A number that the database could not hold, or what is none."""
    with pytest.raises(InvalidRequest):
        cursor.decode(packed([MARK, wrong]), MARK, (parse,))


class Numbers(Page[int]):
    """Numbers."""


@settings(max_examples=40)
@given(
    st.lists(st.integers(0, 2**63 - 1), unique=True, max_size=9).map(sorted), st.integers(1, 4)
)
def test_pages_make_up_the_list(numbers: list[int], limit: int) -> None:
    """Whole and in order, whatever the limit; the last page says so."""
    seen: list[int] = []
    following: Any = None
    while True:
        request = listing(ListQuery.model_construct(limit=limit, cursor=following))
        (after,) = paging.start(request, cursor.whole_number) or (-1,)
        rows = [number for number in numbers if number > after][: limit + 1]
        page: Any = paging.page(request, Numbers, rows, lambda number: (number,)).body
        assert len(page.items) <= limit
        seen += page.items
        following = page.next_cursor
        if following is None:
            break
        assert len(page.items) == limit
    assert seen == numbers


def test_a_cursor_is_of_one_query() -> None:
    """Another path, filter or order: refused. Another limit is the same query."""
    asked = VersionsQuery(status="active")
    rows = [1, 2]
    made: Any = paging.page(
        listing(asked.model_copy(update={"limit": 1})), Numbers, rows, lambda n: (n,)
    )
    text = made.body.next_cursor
    again = asked.model_copy(update={"cursor": text, "limit": 100})
    assert paging.start(listing(again), cursor.whole_number) == (1,)
    for changes, path in (
        ({"status": "disabled"}, "/v1/things"),
        ({"status": None}, "/v1/things"),
        ({"order": "asc"}, "/v1/things"),
        ({}, "/v1/others"),
    ):
        other = listing(again.model_copy(update=changes), path)
        with pytest.raises(InvalidRequest):
            paging.start(other, cursor.whole_number)


def test_no_items() -> None:
    """A page, and the last."""
    page: Any = paging.whole_page(listing(ListQuery()), Numbers, [], None).body
    assert (page.items, page.next_cursor) == ([], None)
