"""Forms and query strings, parsed into models that say what is allowed."""

import re
from base64 import b64decode
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Annotated, Any, TypeVar
from urllib.parse import parse_qsl

from pydantic import BaseModel, PlainSerializer, PlainValidator, ValidationError
from pydantic_core import PydanticCustomError

from functions.console.uploads import is_upload, parse_upload
from shared.domain.errors import InvalidRequest, InvalidValue, Refused
from shared.domain.values import TEXT_BREAKERS, escape_name, parse_moment, rfc3339
from shared.http.faults import name_fault

MOST_FIELDS = 2_500
"""A post of a thousand ticked pins is well within it."""

LOCAL_TIME = re.compile(r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?)?", re.ASCII)
"""What a `datetime-local` field sends, and what people type where a browser has none."""

Model = TypeVar("Model", bound=BaseModel)
Form = dict[str, str | list[str]]


@dataclass(frozen=True, slots=True)
class FilledForm:
    """What a person has typed into a form, and what is wrong with it, by field."""

    values: Form = field(default_factory=dict)
    faults: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, values: Form, refusal: Refused) -> "FilledForm":
        errors: Any = refusal.facts.get("errors", ())
        return cls(values, {error["field"]: error["message"] for error in errors})

    def value(self, name: str, otherwise: object = "") -> object:
        """What was typed into a field; `otherwise` if it was in no form yet."""
        return self.values.get(name, otherwise)


def parse_form(body: str, is_base64: bool, content_type: str = "") -> Form:
    """Parse a form, urlencoded or with files; a field given several times is a list.

    The content of a file is in base64. Raises InvalidRequest.
    """
    try:
        raw = b64decode(body) if is_base64 else body.encode()
        pairs = _parse(raw, content_type)
    except ValueError:
        raise InvalidRequest(("form", "cannot be read")) from None
    form: Form = {}
    for name, value in pairs:
        if TEXT_BREAKERS.search(name + value):
            raise InvalidRequest((escape_name(name), "must not contain NUL"))
        earlier = form.get(name)
        form[name] = value if earlier is None else [*_listed(earlier), value]
    return form


def _parse(raw: bytes, content_type: str) -> list[tuple[str, str]]:
    if is_upload(content_type):
        sent = parse_upload(raw, content_type)
        if len(sent) > MOST_FIELDS:
            raise ValueError("too many fields")
        return sent
    return parse_qsl(
        raw.decode(), keep_blank_values=True, errors="strict", max_num_fields=MOST_FIELDS
    )


def validate(model: type[Model], given: Mapping[str, Any]) -> Model:
    """Make a model of fields; an empty field counts as left out. Raises InvalidRequest."""
    filled = {name: value for name, value in given.items() if value != ""}
    try:
        return model.model_validate(filled)
    except ValidationError as error:
        raise InvalidRequest(*map(name_fault, error.errors())) from None


def pairs(form: Form) -> list[tuple[str, str]]:
    """The fields one by one, as a browser would send them."""
    return [(name, one) for name, value in form.items() for one in _listed(value)]


def _listed(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


def _utc(value: object) -> datetime:
    """Parse what a `datetime-local` field sends, or an RFC 3339 time."""
    try:
        if isinstance(value, str) and LOCAL_TIME.fullmatch(value):
            return datetime.fromisoformat(value).replace(tzinfo=UTC)
        return parse_moment(value)
    except (InvalidValue, ValueError):
        raise PydanticCustomError("invalid_time", "must be a date and a time in UTC") from None


UtcInput = Annotated[
    datetime,
    PlainValidator(_utc),
    PlainSerializer(rfc3339, return_type=str, when_used="json"),
]
"""A time from a form, in UTC; in an address as RFC 3339."""
