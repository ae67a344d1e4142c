"""The scheduled reconcile: bring the catalog into agreement with the KV."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from time import monotonic
from typing import Any
from uuid import UUID, uuid4

from shared.catalog.runs import Trigger
from shared.catalog.transaction import Catalog, Transaction
from shared.domain.entries import Tombstone, parse_entry
from shared.domain.errors import InvalidValue
from shared.domain.model import ImageEntry, Initiator
from shared.domain.sync import (
    Batch,
    Finding,
    Known,
    Outcome,
    classify,
    escape_untrusted,
    is_suspect,
)
from shared.domain.values import VARIANT, ImageDigest, ImageTag
from shared.kv import KV
from shared.usecases.import_entry import FOUND_IN_KV
from shared.usecases.reconcile import reconcile

STATEMENT_TIMEOUT_SECONDS = 50.0
"""How long a run may wait for the catalog, once that has shown to be up."""
RECONCILE_SECONDS = 5.0
"""What the pointers may take after the last new version."""
CLAIMS_A_ROUND = 200
STORED_REJECTIONS = 100


@dataclass(frozen=True, slots=True)
class SyncReport:
    """What a run saw and did; `new_findings` were not open before it."""

    run_id: UUID
    outcome: Outcome
    seen: int = 0
    inserted: int = 0
    updated: int = 0
    filled: int = 0
    unchanged: int = 0
    deferred: int = 0
    missing: int = 0
    pointers_copied: int = 0
    rejected: tuple[Finding, ...] = ()
    new_findings: int = 0
    duration_ms: int = 0

    def as_json(self) -> dict[str, Any]:
        rejected = [finding._asdict() for finding in self.rejected]
        return asdict(self) | {"run_id": str(self.run_id), "rejected": rejected}


@dataclass(slots=True)
class _Entries:
    """The KV's image entries, told apart."""

    valid: list[ImageEntry] = field(default_factory=list)
    invalid: list[Finding] = field(default_factory=list)
    present: set[str] = field(default_factory=set)
    buried: set[ImageTag] = field(default_factory=set)

    @property
    def seen(self) -> int:
        return len(self.present) + len(self.buried)


@dataclass(slots=True)
class _Claims:
    """The claims that a run has asked for; it asks for no new version's after `ends`."""

    kv: KV
    token: str
    ends: float | None
    holders: dict[ImageDigest, ImageTag] = field(default_factory=dict)

    def take(self, batch: Batch) -> bool:
        """Claim what the batch would write; False if others hold some of it."""
        late = self._ask(batch.insert, self.ends)
        batch.insert = batch.insert[: len(batch.insert) - len(late)]
        batch.deferred += late
        self._ask(batch.fill, None)
        return all(
            self.holders[entry.image_digest] == entry.image_tag
            for entry in (*batch.insert, *batch.fill)
            if entry.image_digest
        )

    def _ask(self, entries: list[ImageEntry], ends: float | None) -> list[ImageEntry]:
        """Ask in rounds; whom there was no time for."""
        for start in range(0, len(entries), CLAIMS_A_ROUND):
            if ends is not None and monotonic() > ends:
                return entries[start:]
            some = [
                (entry, entry.image_digest)
                for entry in entries[start : start + CLAIMS_A_ROUND]
                if entry.image_digest and entry.image_digest not in self.holders
            ]
            holders = self.kv.entries.claim_all([entry for entry, _ in some], self.token)
            self.holders |= {digest: of for (_, digest), of in zip(some, holders, strict=True)}
        return []


@dataclass(frozen=True, slots=True)
class _Done:
    """The catalog's half of a run."""

    report: SyncReport
    started_at: datetime
    deferred: frozenset[ImageTag] = frozenset()
    unburied: tuple[ImageEntry, ...] = ()
    marked: int = 0


def run_sync(
    *, catalog: Catalog, kv: KV, cap: int, trigger: Trigger, seconds: float | None = None
) -> SyncReport:
    """Run once; a run that finds another at work ends at once as `skipped_locked`.

    `cap` limits new versions a run, 0 does not; after `seconds` no more new ones are taken,
    and the catalog is waited for no longer.
    Raises CatalogUnavailable, KVUnavailable.
    """
    began = monotonic()
    run_id = uuid4()
    with catalog.transaction() as tx:
        locked = tx.runs.try_lock()
        tx.extend_deadline(
            STATEMENT_TIMEOUT_SECONDS if seconds is None else seconds + RECONCILE_SECONDS
        )
        if locked:
            ends = None if seconds is None else began + seconds
            done = _take_in(tx, kv, run_id, trigger, cap, ends)
        else:
            skipped = SyncReport(run_id, "skipped_locked")
            done = _Done(skipped, tx.runs.now())
            tx.runs.record(run_id, done.started_at, "skipped_locked", trigger)
    report = done.report
    buried = 0
    if report.outcome != "skipped_locked":
        now = datetime.now(UTC)
        buried = sum(kv.entries.bury(entry, now) for entry in done.unburied)
        report = _reconcile_all(report, done, catalog, kv)
    report = replace(report, duration_ms=round((monotonic() - began) * 1000))
    _finish(report, catalog, changed=bool(buried or done.marked))
    return report


def _take_in(
    tx: Transaction, kv: KV, run_id: UUID, trigger: Trigger, cap: int, ends: float | None
) -> _Done:
    started_at = tx.runs.now()
    entries = _read_entries(kv, datetime.now(UTC))
    batch = _settle(entries, tx.batches.known(), cap, _Claims(kv, str(run_id), ends))
    inserted = tx.batches.insert(batch.insert) if batch.insert else 0
    filled = tx.batches.update(batch.fill) if batch.fill else 0
    updated = tx.batches.update(batch.update) if batch.update else 0
    suspect = is_suspect(entries.seen, tx.runs.past())
    marked = _mark(tx, batch, started_at, suspect=suspect)
    missing = tx.batches.missing()
    rejected = (*entries.invalid, *batch.conflicts)
    new = tx.runs.report([*rejected, *_missed(missing)], started_at)
    tx.runs.resolve(started_at, pointers=False)
    outcome: Outcome = "suspect_partial" if suspect else "ok"
    tx.runs.record(run_id, started_at, outcome, trigger)
    retired = tx.versions.retired()
    return _Done(
        SyncReport(
            run_id, outcome, entries.seen, inserted, updated, filled, batch.unchanged,
            len(batch.deferred), len(missing), rejected=rejected, new_findings=new,
        ),
        started_at,
        frozenset(entry.image_tag for entry in batch.deferred),
        tuple(entry for entry in retired if entry.image_tag not in entries.buried),
        marked,
    )  # fmt: skip


def _read_entries(kv: KV, now: datetime) -> _Entries:
    entries = _Entries()
    for sort_key, item in kv.entries.read_all():
        try:
            entry = parse_entry(sort_key, item, now)
        except InvalidValue as error:
            entries.present.add(sort_key)
            entries.invalid.append(
                Finding(escape_untrusted(sort_key), "invalid_entry", str(error))
            )
            continue
        if isinstance(entry, Tombstone):
            entries.buried.add(entry.image_tag)
        else:
            entries.present.add(sort_key)
            entries.valid.append(entry)
    return entries


def _settle(
    entries: _Entries, known: Mapping[ImageTag, Known], cap: int, claims: _Claims
) -> Batch:
    """Sort the entries, and take the claims of what is about to be written.

    A claim that somebody else holds settles whose the digest is, so they are sorted again.
    """
    settled = False
    while not settled:
        batch = classify(entries.valid, known, entries.present, cap, claims.holders)
        settled = claims.take(batch)
    return batch


def _mark(tx: Transaction, batch: Batch, read_at: datetime, *, suspect: bool) -> int:
    """Say of rows whether the KV still has them; a suspect run believes only in what it saw."""
    missing = [] if suspect else batch.missing
    if missing:
        tx.batches.mark_missing(missing, read_at)
    if batch.returned:
        tx.batches.mark_found(batch.returned)
    return len(missing) + len(batch.returned)


def _missed(missing: list[tuple[ImageTag, bool, bool]]) -> Iterator[Finding]:
    for tag, pinned, latest in missing:
        if pinned or latest:
            what = "latest" if latest else "pinned"
            yield Finding(tag, "missing", f"the KV lost this version and it is {what}")


def _reconcile_all(report: SyncReport, done: _Done, catalog: Catalog, kv: KV) -> SyncReport:
    """Make the two copies of every pointer agree, each in transactions of its own."""
    with catalog.transaction() as tx:
        variants = set(tx.variants.all())
    illegal: list[Finding] = []
    for sort_key in kv.pointers.variants():
        try:
            variants.add(VARIANT.parse(sort_key))
        except InvalidValue as error:
            illegal.append(Finding(escape_untrusted(sort_key), "invalid_pointer", str(error)))
    copied = new = 0
    findings: list[Finding] = []
    for variant in sorted(variants):
        reconciled = reconcile(variant, catalog=catalog, kv=kv)
        copied += reconciled.wrote
        findings += reconciled.findings
    with catalog.transaction() as tx:
        new += tx.runs.report(illegal, done.started_at)
        tx.runs.resolve(done.started_at, pointers=True)
    return replace(
        report,
        pointers_copied=copied,
        rejected=(*report.rejected, *illegal, *findings),
        new_findings=report.new_findings + new,
    )


def _finish(report: SyncReport, catalog: Catalog, *, changed: bool) -> None:
    counts = report.as_json()
    counts["rejected"] = counts["rejected"][:STORED_REJECTIONS]
    wrote = report.inserted + report.updated + report.filled + report.pointers_copied
    with catalog.transaction() as tx:
        tx.runs.finish(report.run_id, counts)
        if wrote or changed:
            by = Initiator(FOUND_IN_KV.actor, str(report.run_id))
            tx.audit.record(by, "sync.finished", "sync", report.run_id, after=counts)
