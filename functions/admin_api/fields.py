"""Types of single fields that paths, bodies, queries and answers share, each described once."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from aws_lambda_powertools.event_handler.openapi.params import Header, Path, Query
from pydantic import Field, PlainSerializer, PlainValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

from shared.domain import values
from shared.domain.errors import InvalidValue
from shared.domain.model import PinState, Source, Status
from shared.domain.values import parse_moment, rfc3339

WITHOUT_NUL = r"^[^\u0000]*$"
DATE_TIME = WithJsonSchema({"type": "string", "format": "date-time"})


def _moment(value: object) -> datetime:
    try:
        return parse_moment(value)
    except InvalidValue as error:
        raise PydanticCustomError("invalid_time", "{m}", {"m": str(error)}) from None


def _only_true(value: object) -> bool:
    if value != "true":
        raise PydanticCustomError("not_true", "must be true, or be left out")
    return True


def _trimmed(limit: int) -> WithJsonSchema:
    """The limit applies after trimming, so this schema is stricter."""
    return WithJsonSchema({"type": "string", "maxLength": limit, "pattern": WITHOUT_NUL})


GivenMoment = Annotated[datetime, PlainValidator(_moment), DATE_TIME]
"""A time in a request: RFC 3339 text with an offset, nothing else."""
Moment = Annotated[datetime, PlainSerializer(rfc3339, return_type=str), DATE_TIME]
"""A time in an answer."""
MomentText = Annotated[str, DATE_TIME]
"""A time that is kept as the text it is answered with."""
Notes = Annotated[values.Notes, _trimmed(2000)]
Reason = Annotated[values.Reason, _trimmed(500)]
OnlyTrue = Annotated[
    bool,
    PlainValidator(_only_true),
    WithJsonSchema({"type": "boolean", "const": True}),
]
"""A filter that is on or absent."""
SearchText = Annotated[str, WithJsonSchema({"type": "string", "pattern": WITHOUT_NUL})]
"""Any text; what no store can hold was refused before."""

ImageTagPath = Annotated[
    values.ImageTag, Path(description="The version's image tag.", examples=["2026.11.1-r1"])
]
VariantPath = Annotated[
    values.Variant, Path(description="The variant's name.", examples=["default"])
]
UserIdPath = Annotated[
    values.UserId,
    Path(
        description="The user's id, as the identity provider gives it.",
        examples=["ana@example.com"],
    ),
]

DryRun = Annotated[
    Literal["true", "false"],
    Query(description="`true` changes nothing and answers what the change would do."),
]
IfMatchHeader = Annotated[
    str | None,
    Header(
        alias="If-Match",
        description="Change only a row whose ETag is one of these; `*` is any row.",
        examples=['"0f8fad5bd9cb469fa16570867728950e-1"'],
    ),
]

ImageTag = Annotated[
    values.ImageTag, Field(description="The container image's tag.", examples=["2026.11.1-r1"])
]
ImageDigest = Annotated[
    values.ImageDigest | None,
    Field(
        description="The digest of the image's manifest; null until it is known.",
        examples=[f"sha256:{'0123456789abcdef' * 4}"],
    ),
]
OpenclawVersion = Annotated[
    values.OpenclawVersion,
    Field(description="The version of OpenClaw in the image.", examples=["2026.11.1"]),
]
Variant = Annotated[
    values.Variant, Field(description="The variant of the image.", examples=["default"])
]
UserId = Annotated[
    values.UserId, Field(description="The user's id.", examples=["ana@example.com"])
]
VersionStatus = Annotated[
    Status,
    Field(
        description="`active`: may be pinned and promoted. `deprecated`: pins apply, new ones "
        "get a warning. `disabled`: no instance starts with it."
    ),
]
RunnableStatus = Annotated[
    Literal["active", "deprecated"] | None,
    Field(description="The version's status; null where the catalog does not know it."),
]
ImageSource = Annotated[
    Source,
    Field(
        description="Which rule chose the image: the user's pin, a rollout, the variant's "
        "latest, or what the instance ran before."
    ),
]
IsPinned = Annotated[bool, Field(description="Whether a pin chose the image.")]
StateOfPin = Annotated[
    PinState, Field(description="Whether the user's pin applied, and if not, why.")
]
ResolvedAt = Annotated[MomentText, Field(description="When the image was chosen.")]
AsOf = Annotated[
    Moment | None,
    Field(
        description="The time of the newest start in the catalog's copy of the fleet; null "
        "while that is empty."
    ),
]
Revision = Annotated[int, Field(description="Counts the row's changes.", examples=[1])]
CreatedAt = Annotated[Moment, Field(description="When the row was made.")]
UpdatedAt = Annotated[Moment, Field(description="When the row last changed.")]
Id = Annotated[UUID, Field(description="The row's id.")]
