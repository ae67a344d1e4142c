"""Move a variant's pointer: the KV first, on the revision that was read, then the mirror.

docs/pointer-protocol.md says why in this order.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

from shared.catalog.audit import Action
from shared.catalog.transaction import Catalog, Transaction
from shared.domain.errors import KVUnavailable
from shared.domain.etags import UNCONDITIONAL, IfMatch, variant_etag
from shared.domain.model import Initiator
from shared.domain.pointer import Pointer
from shared.domain.reconciliation import restore_rollout
from shared.domain.values import Variant
from shared.kv import KV
from shared.usecases.reconcile import Copies, Standings, put, read_copies, reconcile, save

ROUNDS = 4

Part = Literal["latest", "rollout"]
Change = Callable[[Transaction, Pointer], Pointer]
"""What a move does under the lock: refuse, or return the pointer that is wanted."""


@dataclass(frozen=True, slots=True)
class PointerMove:
    """What a move wants, how the log calls it, and from which states it may start.

    `if_match` is about the variant once its copies agree. `asserts` is the part of the pointer
    that the call is about. With `recounts` the reports of the rollout are deleted with the put.
    """

    variant: Variant
    change: Change
    action: Action
    if_match: IfMatch = UNCONDITIONAL
    asserts: Part = "latest"
    recounts: bool = False


def move(wanted: PointerMove, *, catalog: Catalog, kv: KV, by: Initiator) -> Pointer:
    """Move the pointer as wanted, and return it as it is then.

    A call that moved it before, by its cause, has been done: nothing is checked or written.
    Raises what the change refuses, StaleRevision, KVUnavailable and CatalogUnavailable: then
    nothing has changed, or a repeat finds it done.
    """
    standings: Standings = {}
    for _ in range(ROUNDS):
        with catalog.transaction() as tx:
            pointer = _attempt(tx, wanted, standings, kv, by)
            if pointer is None:
                tx.roll_back()
        if pointer is not None:
            return pointer
        standings |= reconcile(wanted.variant, catalog=catalog, kv=kv).standings
    raise KVUnavailable("the pointer is being moved by others")


def _attempt(
    tx: Transaction, wanted: PointerMove, standings: Standings, kv: KV, by: Initiator
) -> Pointer | None:
    """Move from here; None if the copies must be reconciled first, or the KV's moved.

    `standings` is what the reconciles on the way have learned.
    """
    copies = read_copies(tx, wanted.variant, kv)
    if not copies.may_move(standings):
        return None
    if is_done(tx, wanted.variant, copies.mirror, by):
        return copies.mirror
    wanted.if_match.check(variant_etag(wanted.variant, copies.mirror))
    pointer = wanted_pointer(copies, tx, wanted.change, wanted.asserts)
    if pointer is None:
        return copies.mirror
    moved = replace(pointer, cause=by.cause)
    recounted = moved.rollout if wanted.recounts else None
    if not put(wanted.variant, moved, copies.stored, kv, by, recounted):
        return None
    save(tx, wanted.variant, copies.mirror, moved, by, wanted.action)
    return moved


def wanted_pointer(
    copies: Copies, tx: Transaction, change: Change, asserts: Part
) -> Pointer | None:
    """Return the pointer to put, at its revision; None if both copies say it already."""
    start = restore_rollout(copies.mirror, copies.stored)
    wanted = change(tx, start)
    stands = wanted.content == start.content and _part(wanted, asserts) == _part(
        copies.stored.pointer or Pointer(), asserts
    )
    return None if stands else wanted.at(copies.next_revision())


def _part(pointer: Pointer, part: Part) -> object:
    return pointer.latest_tag if part == "latest" else pointer.rollout


def is_done(tx: Transaction, variant: Variant, mirror: Pointer, by: Initiator) -> bool:
    """Whether this very call has moved the pointer before."""
    if by.cause is None:
        return False
    return mirror.cause == by.cause or tx.variants.was_promoted_by(variant, by.cause)
