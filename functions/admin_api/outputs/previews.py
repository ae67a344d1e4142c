"""Previews, as they are answered."""

import operator
from typing import Literal, Self

from pydantic import ConfigDict, Field

from functions.admin_api.fields import Moment, UserId
from functions.admin_api.outputs.base import Output
from shared.domain.values import ImageTag
from shared.http.responses import PreviewAnswer
from shared.usecases import preview

FROM = Field(alias="from", description="What they would run without it; null for nothing.")
TO = Field(alias="to", description="What they would run with it; null for nothing.")
BY_NAME = ConfigDict(populate_by_name=True)


class MoveOutput(Output):
    """Users who would run another image at their next upgrade."""

    model_config = BY_NAME

    from_tag: ImageTag | None = FROM
    to_tag: ImageTag | None = TO
    users: int = Field(description="How many.")


class MovedUserOutput(Output):
    """A user who would run another image at the next upgrade."""

    model_config = BY_NAME

    user_id: UserId
    from_tag: ImageTag | None = FROM
    to_tag: ImageTag | None = TO


class ImpactOutput(Output):
    """What the change would do to known instances."""

    users: int = Field(description="How many would run another image at their next upgrade.")
    moves: list[MoveOutput] = Field(description="The same by pair of images, most users first.")
    pinned: int = Field(
        description="How many of the variant's users stay because a pin says so."
    )
    sample: list[MovedUserOutput] = Field(description="Up to twenty of those who would move.")
    as_of: Moment | None = Field(
        description="When the newest record that was counted was written; null without any."
    )
    estimate: bool = Field(
        default=False,
        exclude_if=operator.not_,
        description="Only there, and true, for a new rollout: which users it reaches is drawn "
        "when it starts.",
    )


class PreviewOutput(PreviewAnswer, Output):
    """What the same request would do without `dry_run`; nothing was changed."""

    dry_run: Literal[True] = Field(description="Says that nothing was changed.")
    impact: ImpactOutput = Field(description="What the change would do to known instances.")

    @classmethod
    def of(cls, impact: preview.Preview) -> Self:
        return cls(dry_run=True, impact=ImpactOutput.model_validate(impact))
