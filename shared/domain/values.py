"""The texts that identify things: each rule is written here, once.

`ImageTag` and its siblings are plain `str` to a type checker. The rule travels with the type:
a pydantic model that names the type validates by it, and code without pydantic calls
`RULE.parse`.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

from shared.domain.errors import InvalidValue

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
    from pydantic_core import CoreSchema

TEXT_BREAKERS = re.compile("[\x00\ud800-\udfff]")
"""What neither PostgreSQL (NUL) nor UTF-8 (lone surrogates) can hold."""


@dataclass(frozen=True, slots=True)
class TextRule:
    """A rule for one kind of text.

    `pattern` is matched to the very end with ASCII digits; `limit` counts characters after
    trimming.
    """

    name: str
    pattern: str | None = None
    limit: int | None = None
    reserved: frozenset[str] = frozenset()
    lower: bool = False
    trim: bool = False

    def parse(self, value: object) -> str:
        """Return the text as it is stored, or raise InvalidValue."""
        if not isinstance(value, str):
            raise InvalidValue(f"{self.name} must be a string")
        text = value.strip() if self.trim else value
        text = text.lower() if self.lower else text
        if TEXT_BREAKERS.search(text):
            raise InvalidValue(f"{self.name} must not contain NUL or lone surrogates")
        if self.limit is not None and len(text) > self.limit:
            raise InvalidValue(f"{self.name} must have at most {self.limit} characters")
        if self.pattern is not None and not re.fullmatch(self.pattern, text, re.ASCII):
            raise InvalidValue(f"{self.name} must match {self.pattern}")
        if text in self.reserved:
            raise InvalidValue(f"{self.name} is a reserved word")
        return text

    def __get_pydantic_core_schema__(
        self, _source: object, _handler: "GetCoreSchemaHandler"
    ) -> "CoreSchema":
        from pydantic_core import PydanticCustomError, core_schema  # noqa: PLC0415

        def parse(value: str) -> str:
            try:
                return self.parse(value)
            except InvalidValue as error:
                raise PydanticCustomError("invalid_text", "{m}", {"m": str(error)}) from None

        return core_schema.no_info_after_validator_function(parse, core_schema.str_schema())

    def __get_pydantic_json_schema__(
        self, schema: "CoreSchema", handler: "GetJsonSchemaHandler"
    ) -> dict[str, Any]:
        document: dict[str, Any] = handler(schema)
        if self.pattern is not None:
            either_case = (
                self.pattern.replace("0-9a-f", "0-9a-fA-F") if self.lower else self.pattern
            )
            document["pattern"] = f"^{either_case}$"
        if self.limit is not None and not self.trim:
            document["maxLength"] = self.limit
        if self.reserved:
            document["not"] = {"enum": sorted(self.reserved)}
        return document


IMAGE_TAG = TextRule(
    "image tag", r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}", reserved=frozenset({"latest"})
)
"""The OCI distribution specification's tag grammar, less the tag that means no version."""
IMAGE_DIGEST = TextRule("image digest", r"sha256:[0-9a-f]{64}", lower=True)
"""The OCI image specification's digest grammar, SHA-256 alone."""
OPENCLAW_VERSION = TextRule("OpenClaw version", r"[0-9]{4}\.[0-9]{1,2}\.[0-9]{1,2}")
VARIANT = TextRule("variant", r"[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?")
USER_ID = TextRule("user id", r"[A-Za-z0-9][A-Za-z0-9._:@|+=~-]{0,127}")
NOTES = TextRule("notes", limit=2000, trim=True)
REASON = TextRule("reason", limit=500, trim=True)

ImageTag = Annotated[str, IMAGE_TAG]
ImageDigest = Annotated[str, IMAGE_DIGEST]
OpenclawVersion = Annotated[str, OPENCLAW_VERSION]
Variant = Annotated[str, VARIANT]
UserId = Annotated[str, USER_ID]
Notes = Annotated[str, NOTES]
Reason = Annotated[str, REASON]
Actor = str
"""A person's e-mail address, else the token's subject; `kv` for what was found in the KV."""

DEFAULT_VARIANT = "default"
PUBLISHED_AHEAD_SECONDS = 60


def rfc3339(moment: datetime) -> str:
    """Microseconds and `Z`, always: such texts sort as their moments do."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds")[:26] + "Z"


RFC3339 = re.compile(
    r"\d{4}-\d\d-\d\d[Tt]([01]\d|2[0-3]):[0-5]\d:\d\d(\.\d{1,9})?"
    r"([Zz]|[+-]([01]\d|2[0-3]):[0-5]\d)",
    re.ASCII,
)


def parse_moment(value: object, name: str = "time") -> datetime:
    """Read an RFC 3339 time; the offset is required. Raises InvalidValue."""
    if not isinstance(value, str) or not RFC3339.fullmatch(value):
        raise InvalidValue(f"{name} must be an RFC 3339 time with an offset")
    try:
        return datetime.fromisoformat(value.upper()).astimezone(UTC)
    except (ValueError, OverflowError):
        raise InvalidValue(f"{name} must be a time that exists") from None
