"""Cursors: where the next page of a query starts.

Base64url of a JSON list: the query's fingerprint, then the sort key of the last row. A cursor
is not secret, and it is parsed like any other input.
"""

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable
from hashlib import sha256
from typing import Any
from uuid import UUID

from shared.domain.errors import InvalidRequest, InvalidValue
from shared.domain.values import parse_moment, rfc3339

Parse = Callable[[object], Any]
"""Returns one part of a key as the statement takes it, or raises ValueError."""

BIGGEST = 2**63 - 1


def fingerprint(name: str, wanted: object) -> str:
    """Hash a query: its list, its filters and its order."""
    text = json.dumps([name, wanted], sort_keys=True, default=str)
    return sha256(text.encode()).hexdigest()[:12]


def encode(mark: str, *key: object) -> str:
    text = json.dumps([mark, *key], separators=(",", ":"), default=str)
    return urlsafe_b64encode(text.encode()).decode().rstrip("=")


def decode(cursor: str | None, mark: str, shape: tuple[Parse, ...]) -> tuple[Any, ...] | None:
    """Return the key after which to go on, None for the first page.

    Raises InvalidRequest if the cursor is malformed or belongs to another query.
    """
    if cursor is None:
        return None
    try:
        found, *key = _unpacked(cursor)
        if found != mark:
            raise InvalidValue("of another query")
        return tuple(parse(part) for parse, part in zip(shape, key, strict=True))
    except (ValueError, TypeError, RecursionError):
        raise InvalidRequest(("cursor", "is not a cursor of this query")) from None


def moment(value: object) -> str:
    """Parse a time into text: to the microsecond, and in UTC."""
    return rfc3339(parse_moment(value))


def whole_number(value: object) -> int:
    if type(value) is not int or not 0 <= value <= BIGGEST:
        raise InvalidValue("must be a whole number")
    return value


def uuid(value: object) -> UUID:
    return UUID(str(value))


def _unpacked(cursor: str) -> list[Any]:
    padded = cursor + "=" * (-len(cursor) % 4)
    unpacked = json.loads(urlsafe_b64decode(padded))
    if not isinstance(unpacked, list):
        raise InvalidValue("not a list")
    return unpacked
