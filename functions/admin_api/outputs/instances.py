"""Instances, as they are answered."""

from typing import Self

from pydantic import Field

from functions.admin_api.fields import (
    AsOf,
    ImageDigest,
    ImageSource,
    ImageTag,
    IsPinned,
    OpenclawVersion,
    ResolvedAt,
    RunnableStatus,
    StateOfPin,
    UserId,
    Variant,
)
from functions.admin_api.outputs.base import Output
from functions.admin_api.outputs.pins import PinOutput
from shared.domain.resolution import Resolution
from shared.http.pages import Page
from shared.usecases.instances import InstanceState


class ExpectedOutput(Output):
    """What a restart would run."""

    image_tag: ImageTag
    image_digest: ImageDigest
    openclaw_version: OpenclawVersion
    variant: Variant
    source: ImageSource
    pin_state: StateOfPin
    status: RunnableStatus

    @classmethod
    def of(cls, resolution: Resolution) -> Self:
        image = resolution.image
        return cls.model_validate(
            {
                "image_tag": image.image_tag,
                "image_digest": image.image_digest,
                "openclaw_version": image.openclaw_version,
                "variant": image.variant,
                "source": resolution.source,
                "pin_state": resolution.pin_state,
                "status": image.status,
            }
        )


class InstanceOutput(Output):
    """What an instance was last told to run."""

    user_id: UserId
    image_tag: ImageTag
    image_digest: ImageDigest
    openclaw_version: OpenclawVersion
    variant: Variant
    source: ImageSource
    is_pinned: IsPinned
    resolved_at: ResolvedAt
    pin: PinOutput | None = Field(description="The user's pin.")
    expected: ExpectedOutput | None = Field(
        description="What a restart would run; null where nothing may run."
    )
    drift: bool = Field(description="Whether a restart would change what it runs.")
    outdated: bool = Field(description="Whether an upgrade would.")

    @classmethod
    def of(cls, state: InstanceState) -> Self:
        record = state.instance
        return cls(
            user_id=record.user_id,
            image_tag=record.image_tag,
            image_digest=record.image_digest,
            openclaw_version=record.openclaw_version,
            variant=record.variant,
            source=record.source,
            is_pinned=record.is_pinned,
            resolved_at=record.resolved_at,
            pin=PinOutput.model_validate(state.pin) if state.pin else None,
            expected=ExpectedOutput.of(state.expected) if state.expected else None,
            drift=state.drift,
            outdated=state.outdated,
        )


class InstancesPage(Page[InstanceOutput]):
    """A page of instances."""

    as_of: AsOf


class ShareOutput(Output):
    """How many have one version."""

    image_tag: ImageTag
    instances: int = Field(description="How many instances run it.")
    pins: int = Field(description="How many users are pinned to it by pins that hold.")


class DistributionOutput(Output):
    """The versions that anybody runs or is pinned to."""

    items: list[ShareOutput] = Field(description="By version, the most instances first.")
    as_of: AsOf
