"""Move a variant's pointer: the KV first, on the revision that was read, then the mirror.

docs/pointer-protocol.md says why in this order.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

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

Change = Callable[[Transaction, Pointer], Pointer]
"""What a move does under the lock: refuse, or return the pointer that is wanted."""


@dataclass(slots=True)
class _Move:
    """A move, and what the reconciles on its way have learned."""

    variant: Variant
    change: Change
    action: Action
    by: Initiator
    kv: KV
    if_match: IfMatch
    standings: Standings = field(default_factory=dict)

    def attempt(self, tx: Transaction) -> Pointer | None:
        """Move from here; None if the copies must be reconciled first, or the KV's moved."""
        copies = read_copies(tx, self.variant, self.kv)
        if not copies.may_move(self.standings):
            return None
        self.if_match.check(variant_etag(self.variant, copies.mirror))
        wanted = wanted_pointer(copies, tx, self.change)
        if wanted is None:
            return copies.mirror
        moved = replace(wanted, cause=self.by.request_id)
        if not put(self.variant, moved, copies.stored, self.kv, self.by):
            return None
        save(tx, self.variant, copies.mirror, moved, self.by, self.action)
        return moved


def move(
    variant: Variant,
    change: Change,
    action: Action,
    *,
    catalog: Catalog,
    kv: KV,
    by: Initiator,
    if_match: IfMatch = UNCONDITIONAL,
) -> Pointer:
    """Move the pointer to what `change` returns, log it as `action`, return it as it is then.

    `if_match` is about the variant, once its copies agree. Raises what `change` refuses,
    StaleRevision, KVUnavailable and CatalogUnavailable: then nothing has
    changed, or a repeat finds it done.
    """
    mover = _Move(variant, change, action, by, kv, if_match)
    for _ in range(ROUNDS):
        with catalog.transaction() as tx:
            pointer = mover.attempt(tx)
            if pointer is None:
                tx.roll_back()
        if pointer is not None:
            return pointer
        mover.standings |= reconcile(variant, catalog=catalog, kv=kv).standings
    raise KVUnavailable("the pointer is being moved by others")


def wanted_pointer(copies: Copies, tx: Transaction, change: Change) -> Pointer | None:
    """Return the pointer to put, at its revision; None if both copies say it already."""
    start = restore_rollout(copies.mirror, copies.stored)
    wanted = change(tx, start)
    return None if _stands(wanted, start, copies) else wanted.at(copies.next_revision())


def _stands(wanted: Pointer, start: Pointer, copies: Copies) -> bool:
    """Whether both copies say already what is asserted, so that there is nothing to put."""
    stored = copies.stored.pointer.latest_tag if copies.stored.pointer else None
    return wanted.content == start.content and stored == wanted.latest_tag
