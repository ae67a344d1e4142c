"""Variants, as they are answered."""

from collections.abc import Mapping
from typing import Self

from pydantic import Field

from functions.admin_api.fields import ImageTag, Moment, UpdatedAt, Variant
from functions.admin_api.outputs.base import Output
from functions.admin_api.outputs.versions import VersionOutput
from shared.catalog.variants import Mirror
from shared.domain import values
from shared.domain.model import Version
from shared.domain.values import Actor
from shared.http.pages import Page
from shared.http.responses import Revised

Versions = Mapping[values.ImageTag, Version]


class BrakeOutput(Output):
    """After which failed starts a rollout is held: both thresholds must be reached."""

    min_failures: int = Field(description="The minimum number of failed starts.")
    percent: int = Field(description="The minimum percentage of reported starts that failed.")


class RolloutOutput(Output):
    """The share of a rollout, and its brake."""

    percent: int = Field(description="The share of users who get it, 0 to 100.")
    held: bool = Field(
        description="Whether its brake has stopped it: then nobody gets the candidate."
    )
    brake: BrakeOutput | None = Field(
        description="After which failed starts it is held; null for never."
    )


class ReportsOutput(Output):
    """How many starts of the candidate were reported since the rollout began or resumed."""

    ok: int = Field(description="How many went well.")
    failed: int = Field(description="How many failed.")


class VariantOutput(Revised, Output):
    """A variant and where it points."""

    variant: Variant
    latest: VersionOutput | None = Field(
        description="What users run who have no pin; null before the first promotion."
    )
    candidate: VersionOutput | None = Field(
        description="What is being rolled out; null without a rollout."
    )
    rollout: RolloutOutput | None = Field(description="Null without a rollout.")
    revision: int = Field(
        description="The revision of its pointer in the KV; 0 before there is a latest."
    )
    updated_at: UpdatedAt

    @classmethod
    def of(cls, mirror: Mirror, versions: Versions) -> Self:
        """The variant with the versions that its mirror names."""
        rollout = mirror.pointer.rollout
        shown = cls(
            variant=mirror.variant,
            latest=_version(versions, mirror.latest_tag),
            candidate=_version(versions, mirror.candidate_tag),
            rollout=RolloutOutput.model_validate(rollout) if rollout else None,
            revision=mirror.revision,
            updated_at=mirror.updated_at,
        )
        return shown.with_etag(mirror.etag)


class PromotionOutput(Output):
    """A move of a variant's latest."""

    revision: int = Field(description="The pointer's revision after the move.")
    image_tag: ImageTag
    previous_tag: ImageTag | None = Field(description="What was the latest before.")
    promoted_by: Actor = Field(description="Who moved it; `kv` for a move found there.")
    reason: str | None = Field(description="Why, in their words.")
    at: Moment = Field(description="When it moved.")


class VariantDetailOutput(VariantOutput):
    """A variant with the reports of its rollout and the moves of its latest."""

    reports: ReportsOutput | None = Field(
        description="How the candidate's starts went; null without a rollout, or if the KV "
        "does not answer."
    )
    promotions: list[PromotionOutput] = Field(
        description="The latest hundred moves, the newest first."
    )


class PromotedOutput(Revised, Output):
    """The variant after the move."""

    variant: VariantOutput = Field(description="The variant after the move.")

    @property
    def etag(self) -> str:
        return self.variant.etag


class VariantPage(Page[VariantOutput]):
    """A page of variants."""


def _version(versions: Versions, tag: values.ImageTag | None) -> VersionOutput | None:
    return VersionOutput.model_validate(versions[tag]) if tag else None
