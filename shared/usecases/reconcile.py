"""Make a pointer's two copies, in the KV and in the mirror, agree.

The variant's mirror row is the lock. The KV is written first, on the revision that was read;
then the mirror, in the transaction that holds the lock. A process that dies in between leaves
the KV ahead, which the next reconcile copies. docs/pointer-protocol.md has every case.
"""

from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime

from shared.catalog.audit import Action
from shared.catalog.transaction import Catalog, Transaction
from shared.domain.model import Initiator
from shared.domain.pointer import Pointer, Rollout, StoredPointer
from shared.domain.reconciliation import Plan, Standing, plan
from shared.domain.sync_report import Finding
from shared.domain.values import ImageTag, Variant
from shared.kv import KV
from shared.usecases.import_entry import FOUND_IN_KV, import_entry

MAX_LOST_RACES = 3
MAX_STEPS = 12
"""Imports, events and lost races together, so that a busy pipeline cannot keep us looping."""

Standings = dict[ImageTag, Standing]


@dataclass(frozen=True, slots=True)
class Copies:
    """Both copies of a variant's pointer, read while its lock is held.

    `statuses` is the catalog's word on every tag that either copy names.
    """

    mirror: Pointer
    stored: StoredPointer
    statuses: Standings

    def plan(self, standings: Standings, enabling: ImageTag | None = None) -> Plan:
        """Plan one step of agreement; `standings` are tags that the catalog does not have."""
        return plan(self.stored, self.mirror, standings | self.statuses, enabling)

    def may_move(self, standings: Standings) -> bool:
        """Whether a move may start from the mirror, because a reconcile would write nothing.

        So it may when the copies agree; over a pointer that is still pending; and over a dead
        one when the mirror has no latest to put back.
        """
        return self.stored.matches(self.mirror) or not self.plan(standings).has_work

    def next_revision(self) -> int:
        return max(self.stored.revision, self.mirror.revision) + 1


@dataclass(slots=True)
class Reconciled:
    """What `reconcile` did.

    `standings` has the tags that the catalog could not take in, and why; `findings` what is
    left for people; `wrote` says whether a copy was written. Unless it is `finished`, the
    pointer moved too often, and a later call has to go on.
    """

    standings: Standings = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()
    wrote: bool = False
    finished: bool = False


def reconcile(
    variant: Variant, *, catalog: Catalog, kv: KV, enabling: ImageTag | None = None
) -> Reconciled:
    """Make the KV and the mirror agree on this variant's pointer.

    A pointer whose latest has no valid entry yet is left alone, unless it names the version
    that is about to be enabled (`enabling`). Raises CatalogUnavailable, KVUnavailable.
    """
    run = _Reconciling(variant, kv, enabling)
    while not run.is_over:
        with catalog.transaction() as tx:
            if not run.step(tx):
                tx.roll_back()
        if run.import_tag is not None:
            imported = import_entry(run.import_tag, variant, catalog=catalog, kv=kv)
            if imported != "imported":
                run.done.standings[run.import_tag] = imported
    return run.done


@dataclass(slots=True)
class _Reconciling:
    """One call of `reconcile`.

    `import_tag` must be imported before the next step; `announced` are the revisions whose
    refusal is in the log.
    """

    variant: Variant
    kv: KV
    enabling: ImageTag | None
    done: Reconciled = field(default_factory=Reconciled)
    import_tag: ImageTag | None = None
    announced: set[int] = field(default_factory=set)
    steps_left: int = MAX_STEPS
    races_left: int = MAX_LOST_RACES

    @property
    def is_over(self) -> bool:
        return self.done.finished or self.steps_left <= 0 or self.races_left <= 0

    def step(self, tx: Transaction) -> bool:
        """Plan one step and take it; False, to roll back, if the KV's pointer has moved."""
        self.steps_left -= 1
        copies = read_copies(tx, self.variant, self.kv)
        step = copies.plan(self.done.standings, self.enabling)
        self.import_tag = step.import_tag
        if step.import_tag is not None or self._announces(tx, step, copies.stored):
            return True
        findings = _report(tx, self.variant, step)
        if step.put and not put(self.variant, step.put, copies.stored, self.kv, FOUND_IN_KV):
            self.races_left -= 1
            return False
        if step.mirror:
            _adopt(tx, self.variant, copies.mirror, step.mirror)
        self.done.findings, self.done.wrote = findings, step.has_work
        self.done.finished = True
        return True

    def _announces(self, tx: Transaction, step: Plan, stored: StoredPointer) -> bool:
        """Log that the KV's pointer is refused, and why, before it is overwritten.

        The event is committed on its own, so that no crash can undo a pipeline's move in
        silence.
        """
        if not step.reverts or stored.revision in self.announced:
            return False
        self.announced.add(stored.revision)
        keeps_latest = step.put and step.put.latest_tag in stored.tags[:1]
        action: Action = "rollout.reverted" if keeps_latest else "latest.reverted"
        # A damaged revision identifies nothing.
        refused = describe(stored.pointer) if stored.pointer else {}
        refused |= {"revision": stored.revision or None, "refused_because": step.fault}
        tx.audit.record(FOUND_IN_KV, action, "variant", self.variant, after=refused)
        return True


def read_copies(tx: Transaction, variant: Variant, kv: KV) -> Copies:
    """Lock the variant, then read the KV's pointer, then the statuses. Raises KVUnavailable."""
    mirror = tx.variants.lock(variant)
    stored = kv.pointers.read(variant, mirror)
    return make_copies(tx, variant, mirror, stored)


def make_copies(
    tx: Transaction, variant: Variant, mirror: Pointer, stored: StoredPointer
) -> Copies:
    tags = {*mirror.tags, *stored.tags}
    statuses: Standings = {**tx.versions.statuses(tags, variant)} if tags else {}
    return Copies(mirror, stored, statuses)


def put(
    variant: Variant,
    pointer: Pointer,
    stored: StoredPointer,
    kv: KV,
    by: Initiator,
    recounted: Rollout | None = None,
) -> bool:
    """Write the KV's copy over what was read; False if it has moved. Raises KVUnavailable.

    The reports of a `recounted` rollout are deleted in the same write.
    """
    return kv.pointers.put(
        variant,
        pointer,
        over=stored,
        by=by.actor,
        at=datetime.now(UTC),
        without_reports=recounted.salt if recounted else None,
    )


def save(
    tx: Transaction,
    variant: Variant,
    before: Pointer,
    after: Pointer,
    by: Initiator,
    action: Action,
) -> None:
    """Write the mirror, with the event and the history that go with the move."""
    tx.variants.save(variant, after)
    if after.latest_tag != before.latest_tag:
        tx.variants.record_promotion(variant, after, before.latest_tag, by)
    tx.audit.record(
        by, action, "variant", variant, before=describe(before), after=describe(after)
    )


def describe(pointer: Pointer) -> dict[str, object]:
    """Return what the log keeps of a pointer."""
    described: dict[str, object] = {
        "latest_tag": pointer.latest_tag,
        "revision": pointer.revision,
    }
    if pointer.rollout:
        described |= {
            "candidate_tag": pointer.rollout.candidate_tag,
            "percent": pointer.rollout.percent,
            "held": pointer.rollout.held,
        }
        if pointer.rollout.brake:
            described["brake"] = asdict(pointer.rollout.brake)
    return described


def _report(tx: Transaction, variant: Variant, step: Plan) -> tuple[Finding, ...]:
    findings: list[Finding] = []
    if step.fault is not None:
        findings.append(Finding(variant, "invalid_pointer", step.fault))
    if step.pending is not None:
        findings.append(Finding(variant, "pointer_pending", step.pending))
    if findings:
        tx.runs.report(findings, tx.runs.now())
    return tuple(findings)


def _adopt(tx: Transaction, variant: Variant, before: Pointer, after: Pointer) -> None:
    """Write the mirror; with an event and the history if its content changes."""
    if after.content == before.content:
        tx.variants.save(variant, after)
    else:
        latest = after.latest_tag != before.latest_tag
        action: Action = "latest.adopted" if latest else "rollout.adopted"
        save(tx, variant, before, after, FOUND_IN_KV, action)
