"""Roll a variant back: its latest becomes what was latest before. Again goes further back."""

from collections.abc import Callable
from dataclasses import dataclass

from shared.catalog.transaction import Catalog, Transaction
from shared.domain.errors import KVUnavailable, NothingToRollBackTo
from shared.domain.etags import UNCONDITIONAL, IfMatch
from shared.domain.model import Initiator
from shared.domain.pointer import Pointer
from shared.domain.values import ImageTag, Variant
from shared.kv import KV
from shared.usecases.moves import ROUNDS, PointerMove, move


@dataclass(frozen=True, slots=True)
class KeptTarget:
    """The target of an earlier attempt of the same call, and how to keep this attempt's.

    `keep` writes where a repeat of the call will read `tag`.
    """

    tag: ImageTag | None
    keep: Callable[[Transaction, ImageTag], None]


class _NotKept(Exception):
    """The target must be kept before the pointer moves to it."""

    def __init__(self, target: ImageTag) -> None:
        super().__init__(target)
        self.target = target


def roll_back(
    variant: Variant,
    *,
    by: Initiator,
    catalog: Catalog,
    kv: KV,
    if_match: IfMatch = UNCONDITIONAL,
    kept: KeptTarget | None = None,
) -> Pointer:
    """Make the newest version latest that was so before the present one first was.

    Versions that are not active are passed over. A repeat under the same cause has been done.
    The target of an earlier attempt that was `kept` is used while it is active; a new one is
    kept, and committed, before the pointer moves. Raises VariantNotFound, NothingToRollBackTo,
    StaleRevision, KVUnavailable, CatalogUnavailable.
    """
    target = kept.tag if kept else None
    with catalog.transaction() as tx:
        tx.variants.get(variant)

    def change(tx: Transaction, pointer: Pointer) -> Pointer:
        found = _lock_target(variant, pointer, tx, target)
        if kept is not None and found != target:
            raise _NotKept(found)
        return pointer.promote(found)

    wanted = PointerMove(variant, change, "latest.rolled_back", if_match)
    for _ in range(ROUNDS):
        try:
            return move(wanted, catalog=catalog, kv=kv, by=by)
        except _NotKept as unkept:
            target = unkept.target
            with catalog.transaction() as tx:
                if kept is not None:
                    kept.keep(tx, target)
    raise KVUnavailable("the pointer is being moved by others")


def rolled_back(variant: Variant, tx: Transaction, pointer: Pointer) -> Pointer:
    """Return the pointer after a rollback, as things are. Raises NothingToRollBackTo."""
    return pointer.promote(_find_target(variant, pointer, tx, None))


def _lock_target(
    variant: Variant, pointer: Pointer, tx: Transaction, kept: ImageTag | None
) -> ImageTag:
    """Find the target, locked so that it stays active. Raises NothingToRollBackTo."""
    target = _find_target(variant, pointer, tx, kept)
    while True:
        tx.versions.lock_for_share([target])
        found = _find_target(variant, pointer, tx, kept)
        if found == target:
            return target
        target = found


def _find_target(
    variant: Variant, pointer: Pointer, tx: Transaction, kept: ImageTag | None
) -> ImageTag:
    if kept is not None and tx.versions.statuses([kept], variant).get(kept) == "active":
        return kept
    target = tx.variants.rollback_target(variant, pointer.latest_tag)
    if target is None:
        raise NothingToRollBackTo("no active version was latest before the present one")
    return target
