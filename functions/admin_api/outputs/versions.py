"""Versions, as they are answered."""

from pydantic import Field

from functions.admin_api.fields import (
    AsOf,
    CreatedAt,
    Id,
    ImageDigest,
    ImageTag,
    Moment,
    OpenclawVersion,
    Revision,
    UpdatedAt,
    Variant,
    VersionStatus,
)
from functions.admin_api.outputs.base import Output
from shared.domain.etags import row_etag
from shared.domain.values import Actor
from shared.http.pages import Page
from shared.http.responses import Revised


class VersionOutput(Revised, Output):
    """A deployable version."""

    id: Id
    image_tag: ImageTag
    image_digest: ImageDigest
    openclaw_version: OpenclawVersion
    variant: Variant
    status: VersionStatus
    is_latest: bool = Field(description="Whether it is the latest of its variant.")
    rollout_percent: int | None = Field(
        description="The share of users who get it early; null unless it is the candidate."
    )
    published_at: Moment = Field(description="When the image was published.")
    published_by: Actor | None = Field(
        description="Who published it; null for a version that was found in the KV."
    )
    notes: str | None = Field(description="Notes for administrators.")
    revision: Revision
    missing_since: Moment | None = Field(
        description="Since when the KV lacks its entry; null while it is there."
    )
    created_at: CreatedAt
    updated_at: UpdatedAt

    @property
    def etag(self) -> str:
        return row_etag(self.id, self.revision)


class VersionDetailOutput(VersionOutput):
    """A version, and how many users and instances have it."""

    pin_count: int = Field(description="How many users are pinned to it.")
    instance_count: int = Field(description="How many instances run it.")
    as_of: AsOf


class VersionPage(Page[VersionOutput]):
    """A page of versions."""
