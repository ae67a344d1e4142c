"""What a user would run, as it is answered."""

from typing import Literal, Self

from pydantic import Field

from functions.admin_api.fields import (
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
from shared.usecases.provision import Provisioned


class PreviousOutput(Output):
    """What the instance ran before."""

    image_tag: ImageTag
    image_digest: ImageDigest
    openclaw_version: OpenclawVersion
    variant: Variant
    source: ImageSource
    is_pinned: IsPinned
    resolved_at: ResolvedAt


class TraceStepOutput(Output):
    """A rule that was asked, and what it said."""

    rule: Literal["pin", "restart", "rollout", "latest", "keep"] = Field(
        description="The rule, in the order in which rules are asked."
    )
    matched: bool = Field(description="Whether it decided.")
    code: str = Field(description="Why it did or did not.")


class ResolutionOutput(Output):
    """What provisioning would answer, and why."""

    user_id: UserId
    image_tag: ImageTag
    image_digest: ImageDigest
    openclaw_version: OpenclawVersion
    variant: Variant
    source: ImageSource
    is_pinned: IsPinned
    pin_state: StateOfPin
    status: RunnableStatus
    changed: bool | None = Field(
        description="Whether it differs from what the instance ran before; null when nobody "
        "knows what that was."
    )
    previous: PreviousOutput | None = Field(
        description="The instance's record; null before its first start."
    )
    degraded: bool = Field(description="Whether a store was down, so that less was known.")
    recorded: bool = Field(description="False: an explanation records nothing.")
    resolved_at: ResolvedAt
    trace: list[TraceStepOutput] = Field(description="The rules that were asked, in order.")

    @classmethod
    def of(cls, explained: Provisioned) -> Self:
        trace = [step._asdict() for step in explained.resolution.trace]
        return cls.model_validate({**explained.as_json(), "trace": trace})
