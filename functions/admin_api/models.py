"""The shapes of answers. The catalog's values of the same names fit in as they are."""

from typing import Any, Generic, Literal, TypeVar
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from functions.admin_api.fields import Moment, MomentText, Revised
from shared.catalog.audit import Kind
from shared.catalog.runs import Trigger
from shared.domain.model import PinState, Source, Status
from shared.domain.synchronisation import Outcome
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
    changed: bool
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


class Rejection(Shape):
    """An item of the KV that was not taken in."""

    image_tag: str
    code: str
    detail: str


class SyncReport(Shape):
    """What a run saw and did; `new_findings` were not open before it."""

    run_id: UUID
    outcome: Outcome
    seen: int
    inserted: int
    updated: int
    filled: int
    unchanged: int
    deferred: int
    missing: int
    pointers_copied: int
    rejected: list[Rejection]
    new_findings: int
    duration_ms: int


class SyncRun(SyncReport):
    """A stored report."""

    started_at: Moment
    finished_at: Moment | None
    trigger: Trigger


class Finding(Shape):
    """Something to be mended by people, open until it is."""

    image_tag: str
    code: str
    detail: str
    first_seen: Moment
    last_seen: Moment


class VersionCounts(Shape):
    """Versions that are not retired."""

    total: int
    active: int
    deprecated: int
    disabled: int
    variants: int


class PinCounts(Shape):
    """`total` counts every row; soon is within seven days."""

    total: int
    suspended: int
    expired: int
    expiring_soon: int


class Stats(Shape):
    """The numbers of the overview."""

    versions: VersionCounts
    pins: PinCounts
    last_sync: SyncRun | None


class Subject(Shape):
    """What an event is about; an erased user is a pseudonym."""

    kind: Kind
    id: str


class AuditEvent(Shape):
    """Who changed what, when and why."""

    id: int
    at: Moment
    actor: Actor
    action: str
    subject: Subject
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    reason: str | None
    request_id: str | None


class VersionPage(Page[Version]):
    """Versions."""


class VariantPage(Page[Variant]):
    """Variants."""


class PinPage(Page[Pin]):
    """Pins."""


class InstancePage(Page[Instance]):
    """Instances."""


class SyncRunPage(Page[SyncRun]):
    """Runs of the sync, the newest first."""


class FindingPage(Page[Finding]):
    """Open findings."""


class AuditPage(Page[AuditEvent]):
    """The log, newest first."""
