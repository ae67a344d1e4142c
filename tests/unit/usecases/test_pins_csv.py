"""Pins as CSV: what is exported is imported again, and no cell is a formula."""

import csv
import re
from datetime import UTC, datetime, timedelta
from io import StringIO
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.model import Pin
from shared.domain.values import IMAGE_TAG, USER_ID, TextRule
from shared.usecases.pins_csv import COLUMNS, Fault, read_pins, write_pins

NOW = datetime(2026, 11, 25, tzinfo=UTC)
CELLS = st.text(st.sampled_from("=+-@＝\t\r\n'\",; aZ9é"), min_size=1)


def of_rule(rule: TextRule) -> st.SearchStrategy[str]:
    """Texts that a rule allows, with those first that a spreadsheet would run."""
    assert rule.pattern
    texts = st.from_regex(rule.pattern, fullmatch=True).filter(lambda text: len(text) <= 128)
    return texts.filter(lambda text: text not in rule.reserved and text.isascii())


def pin(
    user_id: str, tag: str, reason: str | None = None, expires_at: datetime | None = None
) -> Pin:
    return Pin(
        UUID(int=1), user_id, tag, reason, "=HYPERLINK(1)", expires_at, "applied", 1, NOW, NOW
    )


PINS = st.lists(
    st.builds(
        pin,
        of_rule(USER_ID),
        of_rule(IMAGE_TAG),
        st.none() | CELLS.map(str.strip).filter(bool),
        st.none() | st.datetimes(timezones=st.just(UTC)),
    ),
    unique_by=lambda one: one.user_id,
    max_size=5,
)


@given(PINS)
def test_what_is_exported_comes_back(pins: list[Pin]) -> None:
    """User, version, reason and end are as they were, whatever characters they hold."""
    read = read_pins(write_pins(pins).encode())
    assert read.faults == []
    assert [(item.user_id, item.content, item.reason) for item in read.items] == [
        (one.user_id, one.content, one.reason) for one in pins
    ]


@given(PINS)
def test_no_cell_is_a_formula(pins: list[Pin]) -> None:
    """A spreadsheet runs nothing of it."""
    text = write_pins(pins).removeprefix("\ufeff")
    [header, *rows] = csv.reader(StringIO(text, newline=""), strict=True)
    assert tuple(header) == COLUMNS
    assert len(rows) == len(pins)
    for separators in ("", ";", "\t", ";\t\r\n"):
        cells = [part for row in rows for cell in row for part in _split(cell, separators)]
        assert not [cell for cell in cells if cell.startswith(tuple("=+-@\t\r＝＋－＠"))]


def _split(cell: str, separators: str) -> list[str]:
    """What a cell becomes where spreadsheets separate cells by other characters."""
    return re.split(f"[{separators}]", cell) if separators else [cell]


def test_an_export_can_be_read() -> None:
    """One line a pin, with the names that the API uses."""
    text = write_pins([pin("=1+1@example.com", "one", 'it\'s, "so"', NOW + timedelta(1))])
    assert text == (
        "\ufeffuser_id,image_tag,reason,expires_at,state,pinned_by,created_at\r\n"
        '\'=1+1@example.com,one,"it\'s, ""so""",2026-11-26T00:00:00.000000Z,applied,'
        "'=HYPERLINK(1),2026-11-25T00:00:00.000000Z\r\n"
    )


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_a_file_of_a_spreadsheet(delimiter: str) -> None:
    """A byte order mark, other line ends, empty lines, few columns in any order, semicolons."""
    text = "\ufeffimage_tag,user_id\n\none,ana\ntwo,ben\n\n".replace(",", delimiter)
    read = read_pins(text.encode())
    assert read.faults == []
    assert [(one.user_id, one.content and one.content.image_tag) for one in read.items] == [
        ("ana", "one"), ("ben", "two"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "faults"),
    [
        ("", [(1, ""), (1, "")]),
        ("user_id\nana\n", [(1, "")]),
        ("user_id,image_tag,secret\nana,one,x\n", [(1, "")]),
        ("user_id,image_tag,user_id\nana,one,ben\n", [(1, "")]),
        ("user_id,image_tag\nana,one,two\n", [(2, "")]),
        ("user_id,image_tag\nana\n,one\nben,one\n", [(2, "image_tag"), (3, "user_id")]),
        ("user_id,image_tag\nana,one\nben,two\nana,two\n", [(4, "user_id")]),
        (
            'user_id,image_tag,reason,expires_at\na b,la test,"x\ny",soon\n\nben,one\nc d,one',
            [(2, "user_id"), (2, "image_tag"), (2, "expires_at"), (6, "user_id")],
        ),
        ('user_id,image_tag\nana,"one\nben,two\n', [(2, "")]),
        ('user_id,image_tag\nana,"one"x\nben,two\n', [(2, "")]),
        (f"user_id,image_tag\nana,{'x' * 200_000}\n", [(2, "")]),
        (f"user_id,image_tag,reason\nana,one,{'x' * 501}\n", [(2, "reason")]),
    ],
)
def test_every_fault_is_named(text: str, faults: list[tuple[int, str]]) -> None:
    """By line and column; what is written there is not repeated."""
    read = read_pins(text.encode())
    assert [fault[:2] for fault in read.faults] == faults
    told = " ".join(fault.message for fault in read.faults)
    assert not [value for value in ("secret", "a b", "la test", "soon") if value in told]


def test_a_thousand_pins_and_no_more() -> None:
    """The line of the first pin that is too many is named."""
    lines = [f"user-{number},one" for number in range(1001)]
    read = read_pins("\n".join(["user_id,image_tag", *lines[:1000]]).encode())
    assert (len(read.items), read.faults) == (1000, [])
    read = read_pins("\n".join(["user_id,image_tag", *lines]).encode())
    assert [fault.line for fault in read.faults] == [1002]
    assert read_pins(b"user_id,image_tag\n\xff,one").faults == [Fault(1, "", "must be UTF-8")]
