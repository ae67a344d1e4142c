"""Name the field that breaks a rule, and the rule, without repeating the value."""

from collections.abc import Mapping
from typing import Any

from shared.domain.values import escape_name

MESSAGES: Mapping[str, str] = {
    "missing": "is required",
    "extra_forbidden": "is not known",
    "string_type": "must be a string",
    "string_too_long": "must have at most {max_length} characters",
    "string_unicode": "must not contain lone surrogates",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "uuid_parsing": "must be a UUID",
    "greater_than_equal": "must be at least {ge}",
    "less_than_equal": "must be at most {le}",
    "literal_error": "must be {expected}",
    "invalid_key": "must not have names with lone surrogates",
}


def name_fault(error: Mapping[str, Any], place: str = "request") -> tuple[str, str]:
    """Return the field of one of pydantic's errors and what is wrong with it.

    `place` is what is wrong where the error has no field.
    """
    field = ".".join(map(escape_name, error["loc"])) or place
    template = MESSAGES.get(error["type"])
    return field, template.format_map(error.get("ctx", {})) if template else error["msg"]
