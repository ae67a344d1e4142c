"""Forms that browsers post to the sign-in."""

from base64 import b64encode

import pytest

from shared.domain.errors import InvalidRequest
from shared.http.forms import read_form


def test_a_form_is_read() -> None:
    """API Gateway passes it in base 64."""
    body = "form_token=a%26b&note=two+words"
    expected = {"form_token": "a&b", "note": "two words"}
    assert read_form(body, is_base64=False) == expected
    assert read_form(b64encode(body.encode()).decode(), is_base64=True) == expected
    assert read_form("", is_base64=False) == {}


@pytest.mark.parametrize(
    ("body", "is_base64"), [("a=1&a=2", False), ("a=%ff", False), ("?", True), ("/w==", True)]
)
def test_a_form_that_cannot_be_read_is_refused(body: str, *, is_base64: bool) -> None:
    """A repeated field, bytes that are not text, and what is not in base 64."""
    with pytest.raises(InvalidRequest):
        read_form(body, is_base64=is_base64)
