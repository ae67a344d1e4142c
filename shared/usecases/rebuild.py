"""Rebuilding the KV from the catalog, after a loss that no backup covers."""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Any

from shared.catalog.transaction import Catalog
from shared.domain.model import ImageEntry
from shared.domain.values import ImageTag
from shared.kv import KV
from shared.usecases.reconcile import reconcile
from shared.usecases.sync import STATEMENT_TIMEOUT_SECONDS

AT_ONCE = 8
CLAIMANT = "rebuild"


@dataclass(frozen=True, slots=True)
class KVReport:
    """What the KV had lost. `conflicts` are versions whose digest another tag has claimed."""

    entries: int
    tombstones: int
    pointers_copied: int
    conflicts: list[ImageTag]

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def rebuild_kv(*, catalog: Catalog, kv: KV) -> KVReport:
    """Write what the catalog knows and the KV lacks: claims, entries, tombstones, pointers.

    Nothing that is there is overwritten, so it can be repeated and may run beside anything.
    Instance records are in no other store: they come back as instances start. Raises
    CatalogUnavailable, KVUnavailable.
    """
    with catalog.transaction() as tx:
        tx.extend_deadline(STATEMENT_TIMEOUT_SECONDS)
        deployable, retired = tx.versions.deployable(), tx.versions.retired()
        variants = sorted(tx.variants.all())
    holders = kv.entries.claim_all([*deployable, *retired], CLAIMANT)
    claims = zip([*deployable, *retired], holders, strict=True)
    conflicts = [entry.image_tag for entry, holder in claims if holder != entry.image_tag]
    now = datetime.now(UTC)
    entries = _count(kv.entries.restore, _without_lost_claims(deployable, conflicts))
    tombstones = _count(lambda entry: kv.entries.bury(entry, now), retired)
    copied = sum(reconcile(name, catalog=catalog, kv=kv).wrote for name in variants)
    return KVReport(entries, tombstones, copied, conflicts)


def _without_lost_claims(
    entries: Iterable[ImageEntry], conflicts: list[ImageTag]
) -> list[ImageEntry]:
    """An entry must not name a digest that is another's: it comes back without."""
    return [
        replace(entry, image_digest=None) if entry.image_tag in conflicts else entry
        for entry in entries
    ]


def _count(write: Callable[[ImageEntry], bool], entries: list[ImageEntry]) -> int:
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return sum(pool.map(write, entries))
