"""Sync: bring the catalog into agreement with the KV."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from time import monotonic
from uuid import UUID, uuid4

from shared.catalog.runs import Trigger
from shared.catalog.transaction import Catalog, Transaction
from shared.domain.model import ImageEntry, Initiator
from shared.domain.sync import Presence, Sorting, compare_presence, is_suspect
from shared.domain.sync_report import Finding, Outcome, SyncReport
from shared.kv import KV
from shared.usecases.import_entry import FOUND_IN_KV
from shared.usecases.sync.entries import Claims, KVEntries, read_entries
from shared.usecases.sync.pointers import reconcile_all
from shared.usecases.sync.time_limit import TimeLimit


@dataclass(frozen=True, slots=True)
class _Run:
    """What a run was asked to do."""

    id: UUID
    trigger: Trigger
    cap: int
    limit: TimeLimit


@dataclass(frozen=True, slots=True)
class _Half:
    """What a run has done so far, and the retired versions whose entry has no tombstone."""

    report: SyncReport
    started_at: datetime
    changed: bool = False
    without_tombstone: Sequence[ImageEntry] = ()


def run_sync(
    *, catalog: Catalog, kv: KV, cap: int, trigger: Trigger, seconds: float | None = None
) -> SyncReport:
    """Run once. A run that finds another at work ends at once as `skipped_locked`.

    `cap` limits how many new versions enter the catalog; 0 means no cap. After `seconds` the
    run takes no more new ones, and some seconds later it stops asking the stores. Raises
    CatalogUnavailable, KVUnavailable.
    """
    began = monotonic()
    run = _Run(uuid4(), trigger, cap, TimeLimit(seconds))
    with catalog.transaction() as tx:
        locked = tx.runs.try_lock()
        tx.extend_deadline(run.limit.store_seconds)
        half = _sync_catalog(tx, kv, run) if locked else _skip(tx, run)
    if locked:
        half = _sync_kv(half, catalog, kv, run)
    duration_ms = round((monotonic() - began) * 1000)
    return _finish(replace(half.report, duration_ms=duration_ms), half.changed, catalog)


def _skip(tx: Transaction, run: _Run) -> _Half:
    now = tx.runs.now()
    tx.runs.record(run.id, now, "skipped_locked", run.trigger)
    return _Half(SyncReport(run.id, "skipped_locked"), now)


def _sync_catalog(tx: Transaction, kv: KV, run: _Run) -> _Half:
    """Read the KV, and write to the catalog what it says of versions."""
    read_at = tx.runs.now()
    named = kv.pointers.named_tags()
    entries = read_entries(kv, datetime.now(UTC))
    known = tx.batches.known()
    sorting = Sorting(entries.valid, known, named)
    claims = Claims(kv, str(run.id), run.limit.entries_end)
    claims.take(sorting, run.cap, named)
    report = SyncReport(
        run.id,
        "suspect_partial" if is_suspect(entries.seen, tx.runs.past()) else "ok",
        seen=entries.seen,
        inserted=tx.batches.insert(claims.insert),
        filled=tx.batches.update(claims.fill, read_at),
        updated=tx.batches.update(sorting.update, read_at),
        unchanged=sorting.unchanged,
        deferred=len(sorting.new) + len(sorting.fill) + claims.unclaimed,
    )
    marked = _mark(tx, compare_presence(known, entries.present), read_at, report.outcome)
    report = _report_findings(tx, report, entries, sorting, read_at)
    tx.runs.record(run.id, read_at, report.outcome, run.trigger)
    retired = tx.versions.retired()
    return _Half(
        report,
        read_at,
        changed=report.wrote or bool(marked),
        without_tombstone=[e for e in retired if e.image_tag not in entries.buried],
    )


def _mark(tx: Transaction, presence: Presence, read_at: datetime, outcome: Outcome) -> int:
    """Mark the rows that the KV has lost, unmark those that are back, and count both.

    A suspect run marks nothing as lost.
    """
    lost = 0
    if outcome != "suspect_partial":
        lost = tx.batches.mark_missing(presence.lost, read_at)
    return lost + tx.batches.mark_found(presence.returned)


def _report_findings(
    tx: Transaction,
    report: SyncReport,
    entries: KVEntries,
    sorting: Sorting,
    read_at: datetime,
) -> SyncReport:
    """Open a finding for each thing that people must mend, and close those mended since."""
    rejected = [*entries.invalid, *sorting.conflicts.values()]
    missing = tx.batches.missing()
    lost = [
        Finding(row.image_tag, "missing", f"the KV lost this version and it is {row.use}")
        for row in missing
        if row.use
    ]
    tx.runs.report([*rejected, *lost], read_at)
    tx.runs.resolve(read_at, pointers=False)
    return replace(report, missing=len(missing)).reject(rejected)


def _sync_kv(half: _Half, catalog: Catalog, kv: KV, run: _Run) -> _Half:
    """Write missing tombstones, and make the two copies of every pointer agree."""
    now = datetime.now(UTC)
    buried = kv.entries.bury_all(half.without_tombstone, now, run.limit.entries_end)
    pointers = reconcile_all(catalog, kv, half.started_at, run.limit.pointers_end)
    report = replace(
        half.report,
        pointers_copied=pointers.copied,
        failed_variants=tuple(pointers.failed),
    ).reject(pointers.rejected)
    changed = half.changed or any(buried) or pointers.copied > 0
    return replace(half, report=report, changed=changed)


def _finish(report: SyncReport, changed: bool, catalog: Catalog) -> SyncReport:
    counts = report.as_json()
    with catalog.transaction() as tx:
        tx.runs.finish(report.run_id, counts, changed=changed)
        if changed:
            by = Initiator(FOUND_IN_KV.actor, str(report.run_id))
            tx.audit.record(by, "sync.finished", "sync", report.run_id, after=counts)
    return report
