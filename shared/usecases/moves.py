"""Moving a pointer, and making its two copies agree: the protocol of pointer writes.

The variant's mirror row is the lock. The KV is written first, on the revision that was read;
then the mirror, in the transaction that holds the lock. Whoever dies in between leaves a KV
that is ahead, which `reconcile` copies.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from shared.catalog.transaction import Catalog, Transaction
from shared.domain.errors import KVUnavailable
from shared.domain.model import Initiator, Status
from shared.domain.pointer import Pointer, StoredPointer
from shared.domain.reconciliation import Plan, is_stuck, plan
from shared.domain.sync import Finding
from shared.domain.values import ImageTag, Variant
from shared.kv import KV

TRIES = 3
ROUNDS = 4
FOUND_IN_KV = Initiator("kv")

Work = Callable[[Transaction, Pointer], Pointer]
"""What a move does under the lock: refuse, or return the pointer that shall be."""


class RolledBack(Exception):
    """Ends a transaction that must not commit; the loop around it decides what follows."""


@dataclass(slots=True)
class Reconciled:
    """What `reconcile` did last, which tags the catalog would not take in, and what is new."""

    plan: Plan = field(default_factory=Plan)
    refused: set[ImageTag] = field(default_factory=set)
    new_findings: int = 0

    @property
    def wrote(self) -> bool:
        return self.plan.put is not None or self.plan.mirror is not None


def reconcile(
    variant: Variant, *, catalog: Catalog, kv: KV, deferred: Collection[ImageTag] = ()
) -> Reconciled:
    """Make KV and mirror agree on this variant's pointer.

    A pointer to an entry among `deferred` is left alone. Raises CatalogUnavailable,
    KVUnavailable.
    """
    done = Reconciled()
    for _ in range(TRIES):
        try:
            done.plan, new_findings = _carry_out(variant, done.refused, catalog, kv)
        except RolledBack:
            done.plan = Plan()
            continue
        done.new_findings += new_findings
        tag = done.plan.import_tag
        if tag is None or tag in deferred:
            break
        if not _import_entry(tag, variant, catalog, kv):
            done.refused.add(tag)
    return done


def move(
    variant: Variant,
    work: Work,
    *,
    catalog: Catalog,
    kv: KV,
    by: Initiator,
    reason: str | None = None,
) -> Pointer:
    """Do `work` and move the pointer to what it returns; the pointer as it stands then.

    Raises what `work` refuses, KVUnavailable and CatalogUnavailable: then nothing has changed,
    or a repeat finds it done.
    """
    refused: set[ImageTag] = set()
    for _ in range(ROUNDS):
        try:
            with catalog.transaction() as tx:
                mirror = tx.variants.lock(variant)
                found = kv.pointers.read(variant, mirror)
                if not agree(tx, variant, found, mirror, refused):
                    raise RolledBack  # noqa: TRY301  the transaction must end first
                target = replace(work(tx, mirror), cause=by.request_id)
                if target.content == mirror.content:
                    return mirror
                target = target.at(max(found.revision, mirror.revision) + 1)
                if not put(variant, target, found, kv, by):
                    raise RolledBack  # noqa: TRY301
                save(tx, variant, mirror, target, by, "latest.promoted", reason)
                return target
        except RolledBack:
            refused |= reconcile(variant, catalog=catalog, kv=kv).refused
    raise KVUnavailable("the pointer is being moved by others")


def agree(
    tx: Transaction,
    variant: Variant,
    found: StoredPointer,
    mirror: Pointer,
    refused: Collection[ImageTag] = (),
) -> bool:
    """May a move start from here? From a true copy, or over a dead pointer nothing replaces."""
    if found.matches(mirror):
        return True
    return is_stuck(found, mirror, known(tx, variant, found, mirror), refused)


def known(
    tx: Transaction, variant: Variant, found: StoredPointer, mirror: Pointer
) -> dict[ImageTag, Status]:
    """What the catalog says of the tags that either copy names."""
    tags = {*mirror.tags, *(found.pointer.tags if found.pointer else ())}
    return tx.versions.statuses(tags, variant) if tags else {}


def put(
    variant: Variant, pointer: Pointer, found: StoredPointer, kv: KV, by: Initiator
) -> bool:
    """Write the KV's copy over what was read. Raises KVUnavailable."""
    return kv.pointers.put(variant, pointer, over=found, by=by.actor, at=datetime.now(UTC))


def save(
    tx: Transaction,
    variant: Variant,
    before: Pointer,
    after: Pointer,
    by: Initiator,
    action: str,
    reason: str | None = None,
) -> None:
    """Write the mirror with the history and the event that go with a new content."""
    tx.variants.save(variant, after)
    if after.latest_tag != before.latest_tag:
        tx.variants.record_promotion(variant, after, before.latest_tag, by.actor, reason)
    if after.content != before.content:
        tx.audit.record(
            by, action, "variant", variant,
            before=_described(before), after=_described(after), reason=reason,
        )  # fmt: skip


def _carry_out(
    variant: Variant, refused: Collection[ImageTag], catalog: Catalog, kv: KV
) -> tuple[Plan, int]:
    """Plan one step and take it; with it, how many findings are new."""
    with catalog.transaction() as tx:
        mirror = tx.variants.lock(variant)
        found = kv.pointers.read(variant, mirror)
        step = plan(found, mirror, known(tx, variant, found, mirror), refused)
        new_findings = 0
        if step.fault is not None:
            finding = Finding(variant, "invalid_pointer", step.fault)
            new_findings = tx.runs.report([finding], tx.runs.now())
        if step.put is not None and not put(variant, step.put, found, kv, FOUND_IN_KV):
            raise RolledBack
        if step.mirror is not None:
            latest = step.mirror.latest_tag != mirror.latest_tag
            action = "latest.adopted" if latest else "rollout.adopted"
            save(tx, variant, mirror, step.mirror, FOUND_IN_KV, action)
        return step, new_findings


def _import_entry(tag: ImageTag, variant: Variant, catalog: Catalog, kv: KV) -> bool:
    """Bring one entry into the catalog; False if it is missing, invalid or in conflict."""
    entry = kv.entries.find(tag, datetime.now(UTC))
    if entry is None or entry.variant != variant:
        return False
    digest = entry.image_digest
    with catalog.transaction() as tx:
        tx.variants.ensure(variant)
        if digest and tx.versions.owner(digest) not in {None, tag}:
            return False
        if digest and kv.entries.claim(digest, tag, token="reconcile") != tag:  # noqa: S106
            return False
        if tx.versions.insert_found(entry):
            after = {
                "image_digest": digest,
                "openclaw_version": entry.openclaw_version,
                "variant": variant,
            }
            tx.audit.record(FOUND_IN_KV, "version.published", "version", tag, after=after)
    return True


def _described(pointer: Pointer) -> dict[str, object]:
    described: dict[str, object] = {
        "latest_tag": pointer.latest_tag,
        "revision": pointer.revision,
    }
    if pointer.rollout:
        described |= {
            "candidate_tag": pointer.rollout.candidate_tag,
            "percent": pointer.rollout.percent,
        }
    return described
