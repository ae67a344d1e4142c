"""Where hostile text becomes values: the path's, the query string's, the body's."""

import json
import re
from base64 import b64decode
from collections.abc import Mapping
from typing import TypeVar
from urllib.parse import unquote_to_bytes

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from functions.admin_api.endpoints import PATH_VALUES
from shared.domain.errors import InvalidRequest, InvalidValue

Model = TypeVar("Model", bound=BaseModel)

MOST_ERRORS = 20
LONGEST_NAME = 64
MESSAGES = {
    "missing": "is required",
    "extra_forbidden": "is not known",
    "json_invalid": "must be JSON",
    "model_type": "must be a JSON object",
    "model_attributes_type": "must be a JSON object",
}


def parse_path(values: Mapping[str, str]) -> dict[str, str]:
    """Raises InvalidRequest naming the path's variable."""
    parsed: dict[str, str] = {}
    for name, value in values.items():
        try:
            parsed[name] = PATH_VALUES[name].parse(value)
        except InvalidValue as error:
            raise InvalidRequest((name, str(error))) from None
    return parsed


def parse_query(raw: str, model: type[Model]) -> Model:
    """Read a raw query string, every parameter a scalar. Raises InvalidRequest.

    API Gateway's own parsed parameters are of no use: repeats are joined by commas in them.
    """
    given: dict[str, str] = {}
    for name, value in _pairs(raw):
        field = _decoded(name, "query")
        if field in given:
            raise InvalidRequest((escape_untrusted(field), "is given more than once"))
        given[field] = _decoded(value, escape_untrusted(field))
    try:
        return model.model_validate(given)
    except ValidationError as error:
        raise _invalid(error) from None


def query_names(raw: str) -> set[str]:
    """The names in a raw query string, as far as they can be read."""
    raw_names = (name.encode(errors="replace") for name, _ in _pairs(raw))
    return {unquote_to_bytes(name).decode(errors="replace") for name in raw_names}


def parse_body(
    text: str | None, model: type[Model], *, is_base64: bool = False, required: bool = True
) -> Model:
    """Read a JSON body; an absent one is `{}` where none is required. Raises InvalidRequest."""
    raw = _raw(text or "", is_base64=is_base64)
    if not raw and required:
        raise InvalidRequest(("body", "must be a JSON object"))
    try:
        parsed = model.model_validate_json(raw or b"{}")
    except ValidationError as error:
        raise _invalid(error) from None
    json.loads(raw or b"{}", object_pairs_hook=_each_once)
    return parsed


def escape_untrusted(name: object) -> str:
    """The name of an unknown field is the caller's text too."""
    return str(name).encode("unicode_escape").decode("ascii")[:LONGEST_NAME]


def _each_once(pairs: list[tuple[str, object]]) -> None:
    """JSON leaves open which of two members of one name counts. Raises InvalidRequest."""
    given: set[str] = set()
    for name, _ in pairs:
        if name in given:
            raise InvalidRequest((escape_untrusted(name), "is given more than once"))
        given.add(name)


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


def _raw(text: str, *, is_base64: bool) -> bytes:
    if not is_base64:
        return text.encode(errors="surrogatepass")
    try:
        return b64decode(text, validate=True)
    except ValueError:
        raise InvalidRequest(("body", "must be base64 as it claims to be")) from None


def _invalid(error: ValidationError) -> InvalidRequest:
    details = error.errors(include_url=False, include_context=False, include_input=False)
    return InvalidRequest(*(_fault(detail) for detail in details[:MOST_ERRORS]))


def _fault(detail: ErrorDetails) -> tuple[str, str]:
    field = (
        ".".join(escape_untrusted(part) for part in detail["loc"]) if detail["loc"] else "body"
    )
    return field, MESSAGES.get(detail["type"], detail["msg"])
