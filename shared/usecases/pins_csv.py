"""Pins as CSV (RFC 4180), for spreadsheets: what is exported can be imported again.

A spreadsheet would run a cell that starts with `=`, `+`, `-`, `@`, a tab or a carriage return
as a formula, so such a cell gets an apostrophe in front; an import takes it away again. So does
what follows a semicolon, a tab or the end of a line inside a cell: spreadsheets of some
countries begin a new cell there, whatever the quotes say.
https://owasp.org/www-community/attacks/CSV_Injection
"""

import csv
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from io import StringIO
from typing import NamedTuple, TypeVar

from shared.domain.errors import InvalidValue
from shared.domain.model import Pin, PinContent
from shared.domain.values import IMAGE_TAG, REASON, USER_ID, parse_moment, rfc3339
from shared.usecases.bulk_pins import MOST_ITEMS, BulkItem

Value = TypeVar("Value")

REQUIRED = ("user_id", "image_tag")
TAKEN = (*REQUIRED, "reason", "expires_at")
COLUMNS = (*TAKEN, "state", "pinned_by", "created_at")
"""The columns of an export. An import needs the first two and ignores the last three."""

BEGINNING = r"(?<![^;\t\r\n])"
FORMULA = re.compile(BEGINNING + r"(?='*[=+\-@\t\r＝＋－＠])")
"""Full-width signs count as well. So do apostrophes, so that a cell which has them of its own
comes back as it was."""
NEUTRALISED = re.compile(BEGINNING + r"'(?='*[=+\-@\t\r＝＋－＠])")
BYTE_ORDER_MARK = "\ufeff"
"""Tells spreadsheets that the file is UTF-8."""
DELIMITERS = ",;\t"
"""In some countries spreadsheets save with semicolons, and all of them copy with tabs."""


class Fault(NamedTuple):
    """What is wrong in a file; `column` is empty when it is about the whole line."""

    line: int
    column: str
    message: str


@dataclass(slots=True)
class Import:
    """The pins of a file, in its order, with their lines. With any faults do nothing."""

    items: list[BulkItem] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)


def write_pins(pins: Iterable[Pin]) -> str:
    """Write pins as CSV, with a line of column names."""
    text = StringIO(newline="")
    text.write(BYTE_ORDER_MARK)
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    for pin in pins:
        writer.writerow(map(_neutralise, _cells(pin)))
    return text.getvalue()


def read_pins(content: bytes) -> Import:
    """Read pins from CSV: at most 1,000, each user once. No fault repeats a value."""
    read = Import()
    try:
        text = content.decode().removeprefix(BYTE_ORDER_MARK)
    except UnicodeDecodeError:
        read.faults.append(Fault(1, "", "must be UTF-8"))
        return read
    rows = _rows(text, read.faults)
    line, names = next(rows, (1, []))
    read.faults += [Fault(line, "", message) for message in _header_faults(names)]
    if not read.faults:
        _read_rows(names, rows, read)
    return read


def _read_rows(
    names: Sequence[str], rows: Iterator[tuple[int, list[str]]], read: Import
) -> None:
    seen: dict[str, int] = {}
    for number, (line, cells) in enumerate(rows, 1):
        if number > MOST_ITEMS:
            read.faults.append(Fault(line, "", f"must be among the first {MOST_ITEMS:,} pins"))
            return
        if len(cells) > len(names):
            read.faults.append(Fault(line, "", "must not have more cells than columns"))
            continue
        item = _item(line, dict(zip(names, cells, strict=False)), read.faults)
        first = seen.setdefault(item.user_id, line) if item else line
        if first != line:
            read.faults.append(Fault(line, "user_id", f"must not be the user of line {first}"))
        elif item:
            read.items.append(item)
            read.lines.append(line)


def _rows(text: str, faults: list[Fault]) -> Iterator[tuple[int, list[str]]]:
    """Return the rows that are not empty, each with the line on which it starts."""
    head = text.partition("\n")[0]
    delimiter = max(DELIMITERS, key=head.count)
    reader = csv.reader(StringIO(text, newline=""), delimiter=delimiter, strict=True)
    while True:
        line = reader.line_num + 1
        try:
            cells = next(reader, None)
        except csv.Error:
            faults.append(Fault(line, "", "must be CSV, with quotes in pairs"))
            return
        if cells is None:
            return
        if cells:
            yield line, list(map(_restore, cells))


def _header_faults(names: Sequence[str]) -> Iterator[str]:
    yield from (f"must name the column {name}" for name in REQUIRED if name not in names)
    unknown = [str(place) for place, name in enumerate(names, 1) if name not in COLUMNS]
    if unknown:
        yield f"must name known columns only, unlike column {', '.join(unknown)}"
    elif len(set(names)) < len(names):
        yield "must name each column once"


def _item(line: int, cells: Mapping[str, str], faults: list[Fault]) -> BulkItem | None:
    def parsed(name: str, parse: Callable[[object], Value]) -> Value | None:
        text = cells.get(name, "")
        if not text and name not in REQUIRED:
            return None
        try:
            return parse(text)
        except InvalidValue as error:
            faults.append(Fault(line, name, str(error)))
        return None

    user_id, image_tag = parsed("user_id", USER_ID.parse), parsed("image_tag", IMAGE_TAG.parse)
    reason, expires_at = parsed("reason", REASON.parse), parsed("expires_at", parse_moment)
    if any(fault.line == line for fault in faults) or not user_id or not image_tag:
        return None
    return BulkItem(user_id, PinContent(image_tag, reason or None, expires_at), reason or None)


def _cells(pin: Pin) -> Iterable[str]:
    expires_at = rfc3339(pin.expires_at) if pin.expires_at else ""
    created_at = rfc3339(pin.created_at)
    return (
        pin.user_id, pin.image_tag, pin.reason or "", expires_at, pin.state, pin.pinned_by,
        created_at,
    )  # fmt: skip


def _neutralise(cell: str) -> str:
    return FORMULA.sub("'", cell)


def _restore(cell: str) -> str:
    return NEUTRALISED.sub("", cell)
