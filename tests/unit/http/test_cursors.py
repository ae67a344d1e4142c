"""Cursors: opaque to clients, and never believed."""

import json
from base64 import urlsafe_b64encode
from itertools import product
from uuid import UUID

import pytest

from shared.domain.errors import InvalidRequest
from shared.domain.values import IMAGE_TAG
from shared.http import cursors

MARK = cursors.fingerprint("things", {"limit": 1})
SHAPE = (cursors.moment, IMAGE_TAG.parse)
MOMENT = "2026-11-24T12:00:00.000001Z"


def packed(content: object) -> str:
    text = content if isinstance(content, bytes) else json.dumps(content).encode()
    return urlsafe_b64encode(text).decode().rstrip("=")


def test_the_first_page() -> None:
    """The first page needs no cursor."""
    assert cursors.decode(None, MARK, SHAPE) is None


def test_a_cursor_comes_back() -> None:
    """A cursor is URL-safe text and gives back the key that it was made from."""
    text = cursors.encode(MARK, MOMENT, "v1")
    assert cursors.decode(text, MARK, SHAPE) == (MOMENT, "v1")
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
    """A time is kept in UTC, because PostgreSQL takes no offset beyond 15:59."""
    assert cursors.decode(packed([MARK, given_, "v1"]), MARK, SHAPE) == (kept, "v1")


@pytest.mark.parametrize(
    ("parse", "part", "value"),
    [
        (cursors.whole_number, 0, 0),
        (cursors.whole_number, 2**63 - 1, 2**63 - 1),
        (cursors.uuid, str(UUID(int=1)), UUID(int=1)),
        (IMAGE_TAG.parse, "v1", "v1"),
    ],
)
def test_parts(parse: cursors.Parse, part: object, value: object) -> None:
    """Every kind of sort key comes back as its own type."""
    assert cursors.decode(packed([MARK, part]), MARK, (parse,)) == (value,)


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
    """A cursor that is malformed or of another query is refused."""
    with pytest.raises(InvalidRequest, match="cursor: is not a cursor of this query"):
        cursors.decode(hostile, MARK, SHAPE)


@pytest.mark.parametrize(
    ("parse", "wrong"),
    [
        *product([cursors.whole_number], [-1, 2**63, 1.0, True, "1", None]),
        *product([cursors.uuid], ["", 1, None, []]),
    ],
)
def test_hostile_parts(parse: cursors.Parse, wrong: object) -> None:
    """A key that the database could not hold is refused."""
    with pytest.raises(InvalidRequest):
        cursors.decode(packed([MARK, wrong]), MARK, (parse,))
