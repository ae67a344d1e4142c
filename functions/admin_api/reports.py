"""The shapes of answers about operations: runs and findings, numbers, the log."""

from typing import Any
from uuid import UUID

from functions.admin_api.fields import Moment
from functions.admin_api.models import Page, Shape
from shared.catalog.audit import SubjectKind
from shared.catalog.runs import Trigger
from shared.domain.sync_report import Outcome
from shared.domain.values import Actor


class Rejection(Shape):
    """An item of the KV that was not taken in."""

    image_tag: str
    code: str
    detail: str


class SyncReport(Shape):
    """What a run saw and did; `rejected` names the first 100 of `rejected_total`."""

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
    rejected_total: int
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

    kind: SubjectKind
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


class SyncRunPage(Page[SyncRun]):
    """Runs of the sync, the newest first."""


class FindingPage(Page[Finding]):
    """Open findings."""


class AuditPage(Page[AuditEvent]):
    """The log, newest first."""
