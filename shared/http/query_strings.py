"""Query strings, read strictly: every parameter is a scalar and is given at most once.

API Gateway's parsed parameters cannot be used: it joins repeated ones with commas.
"""

import re
from urllib.parse import unquote_to_bytes

from shared.domain.errors import InvalidRequest
from shared.domain.values import escape_name


def parse_query_string(raw: str) -> dict[str, str]:
    """Parse a raw query string into its parameters by name. Raises InvalidRequest."""
    given: dict[str, str] = {}
    for name, value in _pairs(raw):
        field = _decoded(name, "query")
        if field in given:
            raise InvalidRequest((escape_name(field), "is given more than once"))
        given[field] = _decoded(value, escape_name(field))
    return given


def _pairs(raw: str) -> list[tuple[str, str]]:
    parts = (part.partition("=") for part in raw.split("&") if part)
    return [(name, value) for name, _, value in parts]


def _decoded(text: str, field: str) -> str:
    """Undo percent-encoding, strictly. Raises InvalidRequest."""
    if re.search("%(?![0-9A-Fa-f]{2})", text):
        raise InvalidRequest((field, "must be percent-encoded"))
    try:
        decoded = unquote_to_bytes(text.replace("+", " ")).decode()
    except UnicodeError:
        raise InvalidRequest((field, "must be UTF-8")) from None
    if "\x00" in decoded:
        raise InvalidRequest((field, "must not contain NUL"))
    return decoded
