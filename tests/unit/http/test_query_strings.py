"""Query strings: hostile text becomes values or a 422 that names its parameter."""

from typing import Any

import pytest

from shared.domain.errors import InvalidRequest
from shared.domain.values import escape_name
from shared.http.query_strings import parse_query_string


def fields(refusal: pytest.ExceptionInfo[InvalidRequest]) -> list[str]:
    errors: Any = refusal.value.facts["errors"]
    return [error["field"] for error in errors]


@pytest.mark.parametrize(
    ("raw", "given"),
    [
        ("", {}),
        ("&&", {}),
        ("limit=100&order=asc", {"limit": "100", "order": "asc"}),
        ("q=a+b%2Bc%26&status=active", {"q": "a b+c&", "status": "active"}),
        ("q=%C3%A9=", {"q": "é="}),
        ("q=a,b", {"q": "a,b"}),
        ("q", {"q": ""}),
        ("%71=x", {"q": "x"}),
    ],
)
def test_query_strings(raw: str, given: dict[str, str]) -> None:
    """Percent-encoding is undone once, a plus is a space, and a comma is a comma."""
    assert parse_query_string(raw) == given


@pytest.mark.parametrize(
    ("raw", "wrong"),
    [
        ("limit=1&limit=1", "limit"),
        ("q=a&%71=b", "q"),
        ("x&x", "x"),
        ("a%0Ab=1&a%0Ab=1", r"a\nb"),
        ("q=%", "q"),
        ("q=%4", "q"),
        ("q=%zz", "q"),
        ("%zz=1", "query"),
        ("q=%FF", "q"),
        ("q=%ED%A0%80", "q"),
        ("q=\ud800", "q"),
        ("\ud800=1", "query"),
        ("q=%00", "q"),
    ],
)
def test_bad_query_strings(raw: str, wrong: str) -> None:
    """A broken or repeated parameter is named, and its value is not repeated."""
    with pytest.raises(InvalidRequest) as refusal:
        parse_query_string(raw)
    assert fields(refusal) == [wrong]


def test_a_name_that_the_caller_chose() -> None:
    """A caller's name is cut and escaped before it is repeated."""
    assert escape_name("é\n\ud800") == r"\xe9\n\ud800"
    assert len(escape_name("x" * 1000)) == 64
