"""The rules for texts that identify things. Each rule is written here, once.

`ImageTag` and its siblings are plain `str` to a type checker. The rule travels with the type:
a pydantic model that names the type validates by it, and code without pydantic calls
`RULE.parse`.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

from shared.domain.errors import InvalidValue

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
    from pydantic_core import CoreSchema

Value = TypeVar("Value")

TEXT_BREAKERS = re.compile("[\x00\ud800-\udfff]")
"""What neither PostgreSQL (NUL) nor UTF-8 (lone surrogates) can hold."""


def escape_untrusted(text: object, limit: int = 128) -> str:
    """Turn a text that a caller chose into short ASCII that messages and logs may repeat."""
    return str(text).encode("unicode_escape").decode("ascii")[:limit]


def escape_name(name: object) -> str:
    """Turn a name that a caller chose for a field or a parameter into shorter ASCII still."""
    return escape_untrusted(name, limit=64)


@dataclass(frozen=True, slots=True)
class TextRule:
    """A rule for one kind of text.

    `allowed` completes the sentence "must be …" in a refusal. `pattern` is matched to the very
    end with ASCII digits; `limit` counts characters after trimming.
    """

    allowed: str
    pattern: str | None = None
    limit: int | None = None
    reserved: frozenset[str] = frozenset()
    lower: bool = False
    trim: bool = False

    def parse(self, value: object) -> str:
        """Return the text as it is stored, or raise InvalidValue."""
        if not isinstance(value, str):
            raise InvalidValue("must be a string")
        text = value.strip() if self.trim else value
        text = text.lower() if self.lower else text
        if TEXT_BREAKERS.search(text):
            raise InvalidValue("must not contain NUL or lone surrogates")
        if self.limit is not None and len(text) > self.limit:
            raise InvalidValue(f"must be {self.allowed}")
        if self.pattern is not None and not re.fullmatch(self.pattern, text, re.ASCII):
            raise InvalidValue(f"must be {self.allowed}")
        if text in self.reserved:
            raise InvalidValue(
                "must not be " + " or ".join(f"`{word}`" for word in self.reserved)
            )
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
    "an OCI image tag: letters, digits, `.`, `_`, `-`, at most 128 characters,"
    " not starting with `.` or `-`",
    r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}",
    reserved=frozenset({"latest"}),
)
"""The OCI distribution specification's tag grammar, less the tag that means no version."""
IMAGE_DIGEST = TextRule(
    "an OCI image digest: `sha256:` and 64 hexadecimal digits",
    r"sha256:[0-9a-f]{64}",
    lower=True,
)
"""The OCI image specification's digest grammar, SHA-256 alone."""
OPENCLAW_VERSION = TextRule(
    "an OpenClaw version: year, month and number, such as `2026.7.1`,"
    " `2026.7.1-beta.3` (before it) or `2026.7.1-2` (after it)",
    r"[0-9]{4}\.(?:0?[1-9]|1[0-2])\.(?:0?[1-9]|[1-9][0-9])(?:-(?:beta\.)?[0-9]{1,3})?",
)
"""As OpenClaw releases are numbered. The third number starts as the day of the month and
counts on past its last day: `2026.7.35` was released."""
START_ID = TextRule("1 to 255 printable ASCII characters without spaces", r"[!-~]{1,255}")
VARIANT = TextRule(
    "a variant: lower-case letters, digits, `-`, at most 64 characters,"
    " not starting or ending with `-`",
    r"[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?",
)
USER_ID = TextRule(
    '1 to 255 printable ASCII characters without space, `?`, `#`, `%`, `\\`, `"`, `<`, `>`;'
    " no part between slashes may be empty, `.` or `..`",
    r"(?!(?:.*/)?\.{0,2}(?:/|$))[!$&-;=@-\[\]-~]+",
    limit=255,
)
"""Whatever an identity provider calls a user, as long as it fits into the path of a URL."""
IDEMPOTENCY_KEY = TextRule("1 to 255 printable ASCII characters", r"[ -~]{1,255}")
"""The header `Idempotency-Key`: whatever a client makes up for one call and its repeats."""
NOTES = TextRule("at most 2000 characters", limit=2000, trim=True)
REASON = TextRule("at most 500 characters", limit=500, trim=True)

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
EARLIEST_PUBLISHED = datetime(2000, 1, 1, tzinfo=UTC)


def openclaw_order(version: OpenclawVersion) -> list[int]:
    """The numbers by which OpenClaw versions sort: three of the date, kind, number in the kind.

    A beta (kind 0) comes before the release (1), a correction (2) after it. The catalog's
    generated column `openclaw_order` is the same list.
    """
    whole = version if "-" in version else f"{version}.1.0"
    return [int(n) for n in whole.replace("-beta.", ".0.").replace("-", ".2.").split(".")]


def tag_order(tag: ImageTag) -> str:
    """The text by which tags sort in natural order: `r2` before `r10`.

    Each number is preceded by how many digits it has. The catalog's function
    `kiloclaw_tag_order` returns the same.
    """
    return re.sub("[0-9]+", lambda number: _sized(number[0].lstrip("0")), tag)


def _sized(digits: str) -> str:
    return f"{len(digits):03}{digits}"


def rfc3339(moment: datetime) -> str:
    """Format a time with microseconds and `Z`, so that such texts sort as their times do."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds")[:26] + "Z"


RFC3339 = re.compile(
    r"\d{4}-\d\d-\d\d[Tt]([01]\d|2[0-3]):[0-5]\d:\d\d(\.\d{1,9})?"
    r"([Zz]|[+-]([01]\d|2[0-3]):[0-5]\d)",
    re.ASCII,
)


def parse_moment(value: object) -> datetime:
    """Read an RFC 3339 time; the offset is required. Raises InvalidValue."""
    if not isinstance(value, str) or not RFC3339.fullmatch(value):
        raise InvalidValue(
            "must be an RFC 3339 time with an offset, such as `2026-11-25T12:00:00Z`"
        )
    try:
        return datetime.fromisoformat(value.upper()).astimezone(UTC)
    except (ValueError, OverflowError):
        raise InvalidValue("must be a time that exists") from None


def parse_attribute(
    item: Mapping[str, object], name: str, parse: Callable[[object], Value]
) -> Value:
    """Parse an attribute of a KV item; the message of InvalidValue names the attribute."""
    try:
        return parse(item.get(name))
    except InvalidValue as error:
        raise type(error)(f"{name} {error}") from None
