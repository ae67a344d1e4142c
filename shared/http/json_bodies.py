"""JSON bodies, read strictly: one object, each of its members given once (RFC 8259)."""

import json
from base64 import b64decode
from typing import Any, NoReturn

from shared.domain.errors import InvalidRequest
from shared.domain.values import escape_name

BYTE_ORDER_MARK = "\ufeff"
"""RFC 8259, section 8.1: a parser may ignore it."""


def parse_json_object(body: str, *, is_base64: bool) -> dict[str, Any] | None:
    """Parse the object in a body; None if there is no body. Raises InvalidRequest."""
    text = (_decoded(body) if is_base64 else body).removeprefix(BYTE_ORDER_MARK)
    if not text:
        return None
    try:
        parsed = json.loads(text, object_pairs_hook=_each_once, parse_constant=_refuse)
    except (ValueError, RecursionError):
        raise InvalidRequest(("body", "must be JSON")) from None
    if not isinstance(parsed, dict):
        raise InvalidRequest(("body", "must be a JSON object"))
    return parsed


def _decoded(body: str) -> str:
    try:
        return b64decode(body, validate=True).decode()
    except UnicodeDecodeError:
        raise InvalidRequest(("body", "must be UTF-8")) from None
    except ValueError:
        raise InvalidRequest(("body", "is marked as base64 and is not")) from None


def _each_once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """Refuse a repeated name: RFC 8259 leaves open which member counts."""
    members: dict[str, object] = {}
    for name, value in pairs:
        if name in members:
            raise InvalidRequest((escape_name(name), "is given more than once"))
        members[name] = value
    return members


def _refuse(constant: str) -> NoReturn:
    """Refuse NaN and Infinity, which Python reads although they are not JSON."""
    raise ValueError(constant)
