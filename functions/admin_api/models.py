"""The shapes of answers. The catalog's values of the same names fit in as they are."""

from typing import Generic, Literal, TypeVar
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from functions.admin_api.fields import Moment, MomentText, Revised
from shared.domain.model import PinState, Source, Status
from shared.domain.values import Actor, ImageDigest, ImageTag, OpenclawVersion, UserId
from shared.domain.values import Variant as VariantName

T = TypeVar("T")


class Shape(BaseModel):
    """Says no more and no less than declared."""

    model_config = ConfigDict(from_attributes=True, extra="forbid", frozen=True)


class Page(Shape, Generic[T]):
    """Part of a list; `next_cursor` is null on the last page."""

    items: list[T]
    next_cursor: str | None


class Version(Revised, Shape):
    """A deployable version."""

    id: UUID
    image_tag: ImageTag
    image_digest: ImageDigest | None
    openclaw_version: OpenclawVersion
    variant: VariantName
    status: Status
    is_latest: bool
    rollout_percent: int | None
    published_at: Moment
    published_by: Actor | None
    notes: str | None
    revision: int
    missing_since: Moment | None
    created_at: Moment
    updated_at: Moment

    @property
    def etag(self) -> int:
        return self.revision


class VersionDetail(Version):
    """A version and who has it; not `complete`: counting instances took too long."""

    pin_count: int
    instance_count: int
    complete: bool


class Pin(Shape):
    """A user's pin."""

    user_id: UserId
    image_tag: ImageTag
    reason: str | None
    pinned_by: Actor
    expires_at: Moment | None
    state: Literal["applied", "expired", "suspended"]
    revision: int
    created_at: Moment
    updated_at: Moment


class PinAnswer(Revised, Shape):
    """A pin with its version, and what to know about it."""

    pin: Pin
    version: Version
    warnings: list[Literal["version_deprecated"]]

    @property
    def etag(self) -> int:
        return self.pin.revision


class Rollout(Shape):
    """How far the candidate is out. `held` and `brake` are for failures that stop it."""

    percent: int
    held: bool
    brake: None


class Variant(Revised, Shape):
    """A variant and where it points."""

    variant: VariantName
    latest: Version | None
    candidate: Version | None
    rollout: Rollout | None
    revision: int
    updated_at: Moment

    @property
    def etag(self) -> int:
        return self.revision


class Promotion(Shape):
    """A move of latest; by `kv` if it was found there."""

    revision: int
    image_tag: ImageTag
    previous_tag: ImageTag | None
    promoted_by: Actor
    reason: str | None
    at: Moment


class VariantDetail(Variant):
    """A variant with the moves of its latest, the newest first."""

    promotions: list[Promotion]


class Promoted(Revised, Shape):
    """The variant after the move."""

    variant: Variant

    @property
    def etag(self) -> int:
        return self.variant.revision


class Previous(Shape):
    """What the instance ran before."""

    image_tag: ImageTag
    image_digest: ImageDigest | None
    openclaw_version: OpenclawVersion
    variant: VariantName
    source: Source
    is_pinned: bool
    resolved_at: MomentText


class Step(Shape):
    """A rule that was asked, and what it said."""

    rule: Literal["pin", "restart", "rollout", "latest", "keep"]
    matched: bool
    code: str


class Resolution(Shape):
    """What provisioning would answer, and why."""

    user_id: UserId
    image_tag: ImageTag
    image_digest: ImageDigest | None
    openclaw_version: OpenclawVersion
    variant: VariantName
    source: Source
    is_pinned: bool
    pin_state: PinState
    status: Literal["active", "deprecated"] | None
    changed: bool | None
    previous: Previous | None
    degraded: bool
    recorded: bool
    resolved_at: MomentText
    trace: list[Step]


class Expected(Shape):
    """What a restart would run."""

    image_tag: ImageTag
    image_digest: ImageDigest | None
    openclaw_version: OpenclawVersion
    variant: VariantName
    source: Source
    pin_state: PinState
    status: Literal["active", "deprecated"] | None


class Instance(Shape):
    """What an instance was last told to run.

    `drift`: a restart would change it. `outdated`: an upgrade would. `expected` is null where
    nothing may run.
    """

    user_id: UserId
    image_tag: ImageTag
    image_digest: ImageDigest | None
    openclaw_version: OpenclawVersion
    variant: VariantName
    source: Source
    is_pinned: bool
    resolved_at: MomentText
    pin: Pin | None
    expected: Expected | None
    drift: bool
    outdated: bool


class VersionPage(Page[Version]):
    """Versions."""


class VariantPage(Page[Variant]):
    """Variants."""


class PinPage(Page[Pin]):
    """Pins."""


class InstancePage(Page[Instance]):
    """Instances."""
