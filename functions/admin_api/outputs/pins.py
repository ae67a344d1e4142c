"""Pins, as they are answered."""

from typing import Literal, Self

from pydantic import Field

from functions.admin_api.fields import (
    CreatedAt,
    ImageTag,
    Moment,
    Revision,
    UpdatedAt,
    UserId,
)
from functions.admin_api.outputs.base import Output
from functions.admin_api.outputs.versions import VersionOutput
from shared.domain.values import Actor
from shared.http.pages import Page
from shared.http.responses import Revised
from shared.usecases.bulk_pins import BulkResult
from shared.usecases.pins import Pinned


def _is_empty(value: object) -> bool:
    return not value


class PinOutput(Output):
    """A user's pin."""

    user_id: UserId
    image_tag: ImageTag
    reason: str | None = Field(description="Why, in the words of who pinned.")
    pinned_by: Actor = Field(description="Who pinned.")
    expires_at: Moment | None = Field(description="When it ends; null for a pin without end.")
    state: Literal["applied", "expired", "suspended"] = Field(
        description="`suspended`: its version is disabled, so it decides nothing."
    )
    revision: Revision
    created_at: CreatedAt
    updated_at: UpdatedAt


class UserPinOutput(Revised, Output):
    """A user's pin with its version, and what to know about it."""

    pin: PinOutput = Field(description="The pin.")
    version: VersionOutput = Field(description="The version that it names.")
    warnings: list[Literal["version_deprecated"]] = Field(
        description="Warnings that do not prevent the pin."
    )

    @classmethod
    def of(cls, pinned: Pinned) -> Self:
        """The pin with its version; its ETag is the pin's."""
        return cls.model_validate(pinned).with_etag(pinned.pin.etag)


class BulkResultOutput(Output):
    """The result of one item."""

    user_id: UserId
    status: Literal["pinned", "unpinned", "unchanged", "failed"] = Field(
        description="`unchanged`: it was in the requested state already."
    )
    code: str | None = Field(
        None, exclude_if=_is_empty, description="Why it failed; absent if it did not."
    )
    warnings: tuple[Literal["version_deprecated"], ...] = Field(
        (), exclude_if=_is_empty, description="What is worth knowing; absent if nothing is."
    )


class BulkOutput(Output):
    """The result of each item, in their order."""

    applied: int = Field(description="How many items are as requested, changed or not.")
    failed: int = Field(description="How many items failed.")
    results: list[BulkResultOutput] = Field(description="One result an item.")

    @classmethod
    def of(cls, results: list[BulkResult]) -> Self:
        failed = sum(result.status == "failed" for result in results)
        return cls.model_validate(
            {"applied": len(results) - failed, "failed": failed, "results": results}
        )


class PinPage(Page[PinOutput]):
    """A page of pins."""
