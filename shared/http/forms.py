"""Forms that browsers post, read strictly: every field is given at most once."""

from base64 import b64decode

from shared.domain.errors import InvalidRequest
from shared.http.query_strings import parse_query_string

FORM_TOKEN = "form_token"  # noqa: S105  a field's name


def read_form(body: str, *, is_base64: bool) -> dict[str, str]:
    """Parse a urlencoded body, which API Gateway passes in base 64. Raises InvalidRequest."""
    try:
        text = b64decode(body, validate=True).decode() if is_base64 else body
    except ValueError:
        raise InvalidRequest(("form", "cannot be read")) from None
    return parse_query_string(text)
