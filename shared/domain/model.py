"""The domain's values: versions, pins, images, instances. All are frozen."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, NamedTuple
from uuid import UUID

from shared.domain.etags import row_etag
from shared.domain.values import (
    Actor,
    ImageDigest,
    ImageTag,
    OpenclawVersion,
    Reason,
    UserId,
    Variant,
    rfc3339,
)

Status = Literal["active", "deprecated", "disabled"]
Intent = Literal["provision", "restart", "upgrade"]
Source = Literal["pin", "rollout", "latest", "instance"]
PinState = Literal["none", "applied", "expired", "suspended", "unknown"]


@dataclass(frozen=True, slots=True)
class ImageEntry:
    """An entry of the KV: the fact that an image exists."""

    image_tag: ImageTag
    openclaw_version: OpenclawVersion
    variant: Variant
    published_at: datetime
    image_digest: ImageDigest | None = None


@dataclass(frozen=True, slots=True)
class Version:
    """A row of the catalog. `is_latest`, `rollout_percent` and `is_held` are the mirror's."""

    id: UUID
    image_tag: ImageTag
    image_digest: ImageDigest | None
    openclaw_version: OpenclawVersion
    variant: Variant
    status: Status
    is_latest: bool
    rollout_percent: int | None
    is_held: bool
    published_at: datetime
    published_by: Actor | None
    notes: str | None
    revision: int
    missing_since: datetime | None
    retired_at: datetime | None
    created_at: datetime
    updated_at: datetime

    @property
    def etag(self) -> str:
        return row_etag(self.id, self.revision)

    @property
    def image(self) -> "Image":
        """What a decision needs of it."""
        return Image(
            self.image_tag, self.image_digest, self.openclaw_version, self.variant, self.status
        )


class PinContent(NamedTuple):
    """What was decided for a user. The log keeps it; it never names the user."""

    image_tag: ImageTag
    reason: str | None
    expires_at: datetime | None

    def as_json(self) -> dict[str, str | None]:
        expires_at = rfc3339(self.expires_at) if self.expires_at else None
        return {"image_tag": self.image_tag, "reason": self.reason, "expires_at": expires_at}


@dataclass(frozen=True, slots=True)
class Pin:
    """A user's pin; `state` is as of the statement that read it."""

    id: UUID
    user_id: UserId
    image_tag: ImageTag
    reason: str | None
    pinned_by: Actor
    expires_at: datetime | None
    state: Literal["applied", "expired", "suspended"]
    revision: int
    created_at: datetime
    updated_at: datetime

    @property
    def content(self) -> PinContent:
        return PinContent(self.image_tag, self.reason, self.expires_at)

    @property
    def etag(self) -> str:
        return row_etag(self.id, self.revision)


@dataclass(frozen=True, slots=True)
class Image:
    """An image that an instance may run.

    `status` is None for a version that only the KV knows so far. A retired version is
    `disabled`.
    """

    image_tag: ImageTag
    image_digest: ImageDigest | None
    openclaw_version: OpenclawVersion
    variant: Variant
    status: Status | None = None

    @property
    def runnable(self) -> bool:
        return self.status != "disabled"


@dataclass(frozen=True, slots=True)
class Instance:
    """What a user's instance was last told to run.

    `decided_at` orders decisions: the database's time when it was asked, as RFC 3339 text.
    """

    user_id: UserId
    image_tag: ImageTag
    image_digest: ImageDigest | None
    openclaw_version: OpenclawVersion
    variant: Variant
    source: Source
    is_pinned: bool
    resolved_at: str
    decided_at: str

    @property
    def image(self) -> Image:
        return Image(self.image_tag, self.image_digest, self.openclaw_version, self.variant)


@dataclass(frozen=True, slots=True)
class Initiator:
    """Who asks for a change, in which request, and why.

    `call_id` is the same for every repeat of one call, if the caller has named it by a key.
    """

    actor: Actor
    request_id: str | None = None
    reason: Reason | None = None
    call_id: str | None = None

    @property
    def cause(self) -> str | None:
        """What a move leaves in the pointer, so that a repeat of the call finds it done."""
        return self.call_id or self.request_id
