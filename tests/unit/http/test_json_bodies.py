"""JSON bodies: one object, each member once, or a 422 that names what is wrong."""

from base64 import b64encode
from typing import Any

import pytest

from shared.domain.errors import InvalidRequest
from shared.http.json_bodies import parse_json_object


@pytest.mark.parametrize(
    ("text", "parsed"),
    [
        ("", None),
        ("{}", {}),
        (' {"a": {"b": [1, null]}} ', {"a": {"b": [1, None]}}),
        ('\ufeff{"a": 1}', {"a": 1}),
        ('{"a": "\\ud83d\\ude00"}', {"a": "😀"}),
    ],
)
def test_bodies(text: str, parsed: object) -> None:
    """A body is parsed from text or base 64, and no body is None."""
    assert parse_json_object(text, is_base64=False) == parsed
    coded = b64encode(text.encode()).decode()
    assert parse_json_object(coded, is_base64=True) == parsed


@pytest.mark.parametrize(
    ("text", "field", "message"),
    [
        *((text, "body", "must be JSON") for text in ("{", "{}}", "nul", " ", "\x00", "{'a'}")),
        *((text, "body", "must be JSON") for text in ("[" * 100_000, '{"a":' * 50_000)),
        *((f'{{"a": {text}}}', "body", "must be JSON") for text in ("NaN", "-Infinity", "01")),
        *((text, "body", "must be a JSON object") for text in ("[]", "null", '"a"', "1")),
        ('{"a": 1, "a": 1}', "a", "is given more than once"),
        (r'{"status": 1, "st\u0061tus": 2}', "status", "is given more than once"),
        ('{"a": {"b\\n": 1, "b\\n": 2}}', r"b\n", "is given more than once"),
    ],
)  # fmt: skip
def test_bad_bodies(text: str, field: str, message: str) -> None:
    """What is not one JSON object with each member once is refused by name."""
    with pytest.raises(InvalidRequest) as refusal:
        parse_json_object(text, is_base64=False)
    errors: Any = refusal.value.facts["errors"]
    assert errors == [{"field": field, "message": message}]


@pytest.mark.parametrize("text", ["{}", "é", "AAA", "e30=\n"])
def test_what_is_not_base64(text: str) -> None:
    """A body that claims to be base 64 and is not is refused."""
    with pytest.raises(InvalidRequest, match="base64"):
        parse_json_object(text, is_base64=True)


def test_what_is_not_utf_8() -> None:
    """A body that is not UTF-8 (RFC 8259, section 8.1) is refused."""
    with pytest.raises(InvalidRequest, match="UTF-8"):
        parse_json_object(b64encode(b'{"a": "\xff"}').decode(), is_base64=True)
