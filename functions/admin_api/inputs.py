"""Bodies: strict, and nothing but what is declared.

In a body a null stands for what is omitted, wherever null is allowed.
"""

from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationInfo,
    field_validator,
)
from pydantic_core import PydanticCustomError

from functions.admin_api.fields import GivenMoment, Notes, Reason
from shared.domain.model import Status
from shared.domain.pointer import MAX_BRAKE_FAILURES
from shared.domain.values import ImageDigest, ImageTag, OpenclawVersion, UserId, Variant
from shared.usecases.bulk_pins import MOST_ITEMS, Mode

STRICT = ConfigDict(strict=True, extra="forbid", frozen=True)
ONLY_WHEN_DISABLING: dict[str, Any] = {
    "required": ["status"],
    "properties": {"status": {"const": "disabled"}},
}
WHY = "Why. It is kept in the audit log and must name nobody."


class PublishInput(BaseModel):
    """A version to publish; of a known tag, what is omitted stays."""

    model_config = ConfigDict(
        **STRICT,
        json_schema_extra={
            "examples": [{"image_tag": "2026.11.1-r1", "openclaw_version": "2026.11.1"}]
        },
    )

    image_tag: ImageTag = Field(description="The container image's tag.")
    openclaw_version: OpenclawVersion = Field(
        description="The version of OpenClaw in the image."
    )
    image_digest: ImageDigest | None = Field(
        None, description="The digest of the image's manifest. Once known it never changes."
    )
    variant: Variant | None = Field(
        None, description="The image's variant; a new tag's is `default` unless given."
    )
    notes: Notes | None = Field(None, description="Notes for administrators.")
    published_at: GivenMoment | None = Field(
        None, description="When the image was published; now unless given. The first one stays."
    )
    set_latest: bool = Field(
        default=False, description="Whether to make it the latest of its variant too."
    )


class VersionChangeInput(BaseModel):
    """What to change; `{}` changes nothing."""

    model_config = ConfigDict(
        **STRICT,
        json_schema_extra={
            "dependentSchemas": {
                "force": ONLY_WHEN_DISABLING,
                "replacement": {
                    "anyOf": [
                        {"properties": {"replacement": {"type": "null"}}},
                        ONLY_WHEN_DISABLING,
                    ]
                },
            },
            "examples": [{"status": "deprecated"}],
        },
    )

    status: Status | None = Field(None, description="The new status.")
    notes: Notes | None = Field(None, description="The new notes; an empty text empties them.")
    replacement: ImageTag | None = Field(
        None, description="When disabling: the version that takes over its pins and its place."
    )
    force: bool = Field(
        default=False,
        description="When disabling: leave its pins suspended. A replacement wins over it.",
    )
    reason: Reason | None = Field(None, description=WHY)

    @field_validator("replacement", "force")
    @classmethod
    def _only_when_disabling(cls, value: object, info: ValidationInfo) -> object:
        if value is not None and info.data.get("status") != "disabled":
            raise PydanticCustomError("misplaced", 'goes only with the status "disabled"')
        return value


class ReasonInput(BaseModel):
    """Why it is done."""

    model_config = STRICT

    reason: Reason | None = Field(None, description=WHY)


NO_REASON = ReasonInput()


def _whole(value: object) -> object:
    """In JSON 10.0 is a whole number like any other."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


WholeNumber = Annotated[int, BeforeValidator(_whole)]


class BrakeInput(BaseModel):
    """After which failed starts a rollout is held: both thresholds must be reached."""

    model_config = STRICT

    min_failures: WholeNumber = Field(
        ge=1, le=MAX_BRAKE_FAILURES, description="The minimum number of failed starts."
    )
    percent: WholeNumber = Field(
        ge=1, le=100, description="The minimum percentage of reported starts that failed."
    )


class RolloutInput(BaseModel):
    """The candidate and its share of users; an omitted brake leaves the one that is there."""

    model_config = ConfigDict(
        **STRICT,
        json_schema_extra={
            "examples": [
                {
                    "image_tag": "2026.11.1-r1",
                    "percent": 10,
                    "brake": {"min_failures": 5, "percent": 20},
                }
            ]
        },
    )

    image_tag: ImageTag = Field(description="The version to roll out.")
    percent: WholeNumber = Field(ge=0, le=100, description="The share of users who get it.")
    brake: BrakeInput | None = Field(
        None, description="After which failed starts the rollout is held; never unless given."
    )
    reason: Reason | None = Field(None, description=WHY)


class PinInput(BaseModel):
    """The version to pin, why, and until when."""

    model_config = ConfigDict(
        **STRICT, json_schema_extra={"examples": [{"image_tag": "2026.11.1-r1"}]}
    )

    image_tag: ImageTag = Field(description="The version to pin.")
    reason: Reason | None = Field(None, description=WHY)
    expires_at: GivenMoment | None = Field(
        None, description="When the pin ends, in the future; never unless given."
    )


class BulkPinItem(BaseModel):
    """A user to pin or to unpin."""

    model_config = ConfigDict(
        **STRICT,
        json_schema_extra={
            "if": {"properties": {"op": {"const": "pin"}}},
            "then": {
                "required": ["image_tag"],
                "properties": {"image_tag": {"type": "string"}},
            },
            "else": {
                "properties": {"image_tag": {"type": "null"}, "expires_at": {"type": "null"}}
            },
        },
    )

    op: Literal["pin", "unpin"] = Field(description="What to do.")
    user_id: UserId = Field(description="The user's id.")
    image_tag: ImageTag | None = Field(
        None, validate_default=True, description="The version to pin."
    )
    reason: Reason | None = Field(None, description=WHY)
    expires_at: GivenMoment | None = Field(
        None, description="When the pin ends, in the future; never unless given."
    )

    @field_validator("image_tag", "expires_at")
    @classmethod
    def _belongs_to_a_pin(cls, value: object, info: ValidationInfo) -> object:
        op = info.data.get("op")
        if op == "pin" and info.field_name == "image_tag" and value is None:
            raise PydanticCustomError("missing_tag", "is required to pin")
        if op == "unpin" and value is not None:
            raise PydanticCustomError("misplaced", "goes only with pinning")
        return value


class BulkPinsInput(BaseModel):
    """Users to pin and to unpin, each named once."""

    model_config = ConfigDict(
        **STRICT,
        json_schema_extra={
            "examples": [
                {
                    "mode": "atomic",
                    "items": [
                        {
                            "op": "pin",
                            "user_id": "ana@example.com",
                            "image_tag": "2026.11.1-r1",
                        }
                    ],
                }
            ]
        },
    )

    mode: Mode = Field(
        description="`atomic`: all or nothing. `best_effort`: every item that is accepted."
    )
    items: list[BulkPinItem] = Field(
        min_length=1, max_length=MOST_ITEMS, description="What to do, in any order."
    )

    @field_validator("items")
    @classmethod
    def _name_each_user_once(cls, items: list[BulkPinItem]) -> list[BulkPinItem]:
        seen: dict[str, int] = {}
        for index, item in enumerate(items):
            first = seen.setdefault(item.user_id, index)
            if first != index:
                raise PydanticCustomError(
                    "repeated_user",
                    "must name each user once; item {index} has the user of item {first}",
                    {"index": index, "first": first},
                )
        return items
