"""Keep the catalog's copy of the fleet in step with the KV."""

from dataclasses import dataclass

from shared.catalog.transaction import Catalog
from shared.domain.fleet import Changes


@dataclass(frozen=True, slots=True)
class Applied:
    """How many rows a batch has written and removed; older decisions change nothing."""

    written: int
    removed: int


def apply_changes(changes: Changes, *, catalog: Catalog) -> Applied:
    """Bring a batch of the stream into the copy: one delete and one upsert.

    Repeated and overlapping batches are harmless. Raises CatalogUnavailable.
    """
    if not changes.users:
        return Applied(0, 0)
    with catalog.transaction() as tx:
        tx.fleet.take_turn()
        removed = tx.fleet.remove(changes.removals)
        return Applied(written=tx.fleet.upsert(changes.instances), removed=removed)
