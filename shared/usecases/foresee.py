"""What reconciling a variant's pointer would lead to, worked out in memory.

It reads what `reconcile` reads, without its locks, and writes nothing.
"""

from dataclasses import replace

from shared.catalog.transaction import Transaction
from shared.domain.model import ImageEntry
from shared.domain.pointer import Pointer, StoredPointer
from shared.domain.values import ImageTag, Variant
from shared.kv import KV
from shared.usecases.import_entry import FOUND_IN_KV, foresee_import
from shared.usecases.reconcile import Copies, Standings, make_copies


def read_unlocked(tx: Transaction, variant: Variant, kv: KV) -> Copies:
    """Read both copies and the statuses; lock nothing. Raises KVUnavailable."""
    mirror = tx.variants.find_pointer(variant)
    return make_copies(tx, variant, mirror, kv.pointers.read(variant, mirror))


def agreed(copies: Copies, tx: Transaction, variant: Variant, kv: KV) -> Copies:
    """Return the copies as they would be when a move starts from them.

    Nobody else moves them in memory, so they agree after one reconcile. Raises KVUnavailable.
    """
    return copies if copies.may_move({}) else reconciled(copies, tx, variant, kv)


def reconciled(
    copies: Copies,
    tx: Transaction,
    variant: Variant,
    kv: KV,
    enabling: ImageTag | None = None,
) -> Copies:
    """Return what `reconcile` would leave. Raises KVUnavailable."""
    standings: Standings = {}
    step = copies.plan(standings, enabling)
    while step.import_tag is not None:
        entry = foresee_import(step.import_tag, variant, tx, kv)
        if isinstance(entry, ImageEntry):
            copies = replace(copies, statuses=copies.statuses | {entry.image_tag: "active"})
        else:
            standings[step.import_tag] = entry
        step = copies.plan(standings, enabling)
    stored = as_stored(step.put, FOUND_IN_KV.actor) if step.put else copies.stored
    return replace(copies, mirror=step.mirror or copies.mirror, stored=stored)


def as_stored(pointer: Pointer, by: str) -> StoredPointer:
    """Return what the KV would hold after a put."""
    return StoredPointer(pointer, revision=pointer.revision, moved_by=by)
