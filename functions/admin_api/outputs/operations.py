"""Runs and findings of the sync, the overview's numbers, and the audit log."""

from datetime import datetime
from typing import Any, Self
from uuid import UUID

from pydantic import Field

from functions.admin_api.fields import AsOf, Moment
from functions.admin_api.outputs.base import Output
from shared.catalog.audit import SubjectKind
from shared.catalog.runs import Run, Trigger
from shared.catalog.statistics import Statistics
from shared.domain.sync_report import Outcome
from shared.domain.values import Actor
from shared.http.pages import Page
from shared.usecases.instances import FleetCounts
from shared.usecases.verify_audit import Verification


class RejectionOutput(Output):
    """An item of the KV that was not taken in."""

    image_tag: str = Field(description="The item's tag, or the variant of a pointer.")
    code: str = Field(description="What is wrong with it, for programs.")
    detail: str = Field(description="What is wrong with it, in words.")


class SyncReportOutput(Output):
    """What a run of the sync saw and did."""

    run_id: UUID = Field(description="The run's id.")
    outcome: Outcome = Field(
        description="`skipped_locked`: another run was going on. `suspect_partial`: the KV "
        "answered so little that nothing was taken for missing."
    )
    seen: int = Field(description="Entries read, invalid ones too.")
    inserted: int = Field(description="New versions taken in.")
    updated: int = Field(description="Versions whose entry had changed.")
    filled: int = Field(description="Versions whose digest became known.")
    unchanged: int = Field(description="Versions that agreed already.")
    deferred: int = Field(description="New versions and digests left to the next run.")
    missing: int = Field(description="Versions that the KV lacks now.")
    pointers_copied: int = Field(
        description="Pointers adopted from the KV or put back into it."
    )
    rejected: list[RejectionOutput] = Field(
        description="What was not taken in: the first hundred items."
    )
    rejected_total: int = Field(description="How many items were not taken in.")
    duration_ms: int = Field(description="How long the run took.")


class SyncRunOutput(SyncReportOutput):
    """A stored report."""

    started_at: Moment = Field(description="When the run began.")
    finished_at: Moment | None = Field(description="When it ended.")
    trigger: Trigger = Field(description="What started it.")

    @classmethod
    def of(cls, run: Run) -> Self:
        stored = {
            **run.report.as_json(),
            "started_at": run.started_at,
            "finished_at": run.finished_at,
            "trigger": run.trigger,
        }
        return cls.model_validate(stored)


class FindingOutput(Output):
    """A problem that somebody has to fix; it stays open until then."""

    image_tag: str = Field(description="The tag, or the variant of a pointer.")
    code: str = Field(description="What is wrong, for programs.")
    detail: str = Field(description="What is wrong, in words.")
    first_seen: Moment = Field(description="When a run first found it.")
    last_seen: Moment = Field(description="When a run last found it.")


class VersionCountsOutput(Output):
    """Versions that are not retired."""

    total: int = Field(description="All of them.")
    active: int = Field(description="Those that are active.")
    deprecated: int = Field(description="Those that are deprecated.")
    disabled: int = Field(description="Those that are disabled.")
    variants: int = Field(description="How many variants there are.")

    @classmethod
    def of(cls, counted: Statistics) -> Self:
        return cls(
            total=counted.versions_total,
            active=counted.versions_active,
            deprecated=counted.versions_deprecated,
            disabled=counted.versions_disabled,
            variants=counted.variants,
        )


class PinCountsOutput(Output):
    """Pins, whatever their state."""

    total: int = Field(description="Every row.")
    suspended: int = Field(description="Pins to a disabled version.")
    expired: int = Field(description="Pins whose end has passed.")
    expiring_soon: int = Field(description="Pins that end within seven days.")
    stale: int = Field(
        description="Pins without an end that are older than 90 days, and pins to a deprecated "
        "version."
    )

    @classmethod
    def of(cls, counted: Statistics) -> Self:
        return cls(
            total=counted.pins_total,
            suspended=counted.pins_suspended,
            expired=counted.pins_expired,
            expiring_soon=counted.pins_expiring_soon,
            stale=counted.pins_stale,
        )


class InstanceCountsOutput(Output):
    """Instances in the catalog's copy of the fleet."""

    total: int = Field(description="All of them.")
    pinned: int = Field(description="Those whose image was chosen by a pin.")
    drift: int = Field(description="Those that a restart would change.")
    outdated: int = Field(description="Those that an upgrade would change.")


class StatsOutput(Output):
    """The numbers of the overview."""

    versions: VersionCountsOutput = Field(description="Versions that are not retired.")
    pins: PinCountsOutput = Field(description="Pins, whatever their state.")
    instances: InstanceCountsOutput = Field(
        description="Instances in the catalog's copy of the fleet."
    )
    last_sync: SyncRunOutput | None = Field(
        description="The newest run of the sync; null before the first."
    )
    as_of: AsOf

    @classmethod
    def of(
        cls,
        counted: Statistics,
        instances: FleetCounts,
        as_of: datetime | None,
        runs: list[Run],
    ) -> Self:
        return cls(
            versions=VersionCountsOutput.of(counted),
            pins=PinCountsOutput.of(counted),
            instances=InstanceCountsOutput.model_validate(instances),
            as_of=as_of,
            last_sync=SyncRunOutput.of(runs[0]) if runs else None,
        )


class SubjectOutput(Output):
    """What an event is about."""

    kind: SubjectKind = Field(description="What kind of thing it is.")
    id: str = Field(description="A tag, a variant, a run or a user; a pseudonym once erased.")


class AuditEventOutput(Output):
    """Who changed what, when and why."""

    id: int = Field(description="Grows with every event.")
    at: Moment = Field(description="When it happened.")
    actor: Actor = Field(description="Who did it.")
    action: str = Field(description="What was done.")
    subject: SubjectOutput = Field(description="What it was done to.")
    before: dict[str, Any] | None = Field(description="The changed values before.")
    after: dict[str, Any] | None = Field(description="The changed values afterwards.")
    reason: str | None = Field(description="Why, in their words.")
    request_id: str | None = Field(description="The request by which it was done.")


class VerificationOutput(Output):
    """The result of recomputing the newest seals."""

    sealed_through: int | None = Field(
        description="The highest id of a sealed event; null before the first seal."
    )
    events: int = Field(description="How many sealed events were looked at.")
    seals: int = Field(description="How many seals were computed anew.")
    unsealed: int = Field(description="Events that the next runs of the sync will seal.")
    ok: bool = Field(description="Whether everything is as it was sealed.")
    first_bad_event: int | None = Field(
        description="The first event that was changed, removed or inserted afterwards; or the "
        "first of a seal that was."
    )

    @classmethod
    def of(cls, verification: Verification) -> Self:
        return cls.model_validate(verification)


class SyncRunPage(Page[SyncRunOutput]):
    """A page of runs."""


class FindingPage(Page[FindingOutput]):
    """A page of open findings."""


class AuditPage(Page[AuditEventOutput]):
    """A page of the audit log."""
