"""Rebuild the KV from the catalog, after a loss that no backup covers."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Any

from shared.catalog.transaction import Catalog
from shared.domain.model import ImageEntry
from shared.domain.values import ImageTag
from shared.kv import KV
from shared.usecases.sync.entries import read_entries
from shared.usecases.sync.pointers import reconcile_all
from shared.usecases.sync.time_limit import TimeLimit

CLAIMANT = "rebuild"
CONFLICTS_NAMED = 100


@dataclass(frozen=True, slots=True)
class KVReport:
    """What was written back into the KV.

    `deferred` counts versions left for a repeat: the time was up, or the KV had no capacity.
    `conflicts` names the first hundred versions whose digest another tag has claimed;
    `conflicts_total` counts all.
    """

    claims: int
    entries: int
    tombstones: int
    pointers_copied: int
    deferred: int
    conflicts: list[ImageTag]
    conflicts_total: int

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def rebuild_kv(*, catalog: Catalog, kv: KV, seconds: float | None = None) -> KVReport:
    """Write what the catalog knows and the KV lacks: claims, entries, tombstones, pointers.

    Items that are there are read first and never changed. So a repeat goes on where this call
    ended, and it may run beside anything. After `seconds` only pointers are still written.
    Instance records are in no other store: they come back as instances start. Raises
    CatalogUnavailable, KVUnavailable.
    """
    limit = TimeLimit(seconds)
    with catalog.transaction() as tx:
        tx.extend_deadline(limit.store_seconds)
        started_at = tx.runs.now()
        deployable, retired = tx.versions.deployable(), tx.versions.retired()
    now = datetime.now(UTC)
    there = read_entries(kv, now)
    claims = _claim([*deployable, *retired], kv, limit.entries_end)
    lost = [entry for entry in deployable if entry.image_tag not in there.tags]
    entries = claims.without_conflicts(lost)
    restored = kv.entries.restore_all(entries, limit.entries_end)
    unburied = [entry for entry in retired if entry.image_tag not in there.buried]
    buried = kv.entries.bury_all(unburied, now, limit.entries_end)
    pointers = reconcile_all(catalog, kv, started_at, limit.pointers_end)
    deferred = claims.deferred | _not_done(entries, restored) | _not_done(unburied, buried)
    return KVReport(
        claims=claims.taken,
        entries=restored.count(True),
        tombstones=buried.count(True),
        pointers_copied=pointers.copied,
        deferred=len(deferred),
        conflicts=claims.conflicts[:CONFLICTS_NAMED],
        conflicts_total=len(claims.conflicts),
    )


@dataclass(frozen=True, slots=True)
class _Claims:
    """How the catalog's digests are claimed in the KV.

    `taken` claims were missing; a tag in `deferred` still has none; one in `conflicts` has a
    digest that another tag has claimed.
    """

    taken: int
    deferred: set[ImageTag]
    conflicts: list[ImageTag]

    def without_conflicts(self, entries: Iterable[ImageEntry]) -> list[ImageEntry]:
        """Leave out what has no claim yet. An entry must not name a digest of another tag."""
        conflicts = set(self.conflicts)
        return [
            replace(entry, image_digest=None) if entry.image_tag in conflicts else entry
            for entry in entries
            if entry.image_tag not in self.deferred
        ]


def _claim(entries: Sequence[ImageEntry], kv: KV, ends: float | None) -> _Claims:
    """Take the claims that are missing."""
    holders: dict[str, ImageTag | None] = {**kv.entries.read_claims()}
    wanted = [entry for entry in entries if entry.image_digest]
    missing = [entry for entry in wanted if entry.image_digest not in holders]
    taken = kv.entries.claim_all(missing, CLAIMANT, ends)
    holders |= {
        str(entry.image_digest): holder for entry, holder in zip(missing, taken, strict=True)
    }
    by_tag = {entry.image_tag: holders[str(entry.image_digest)] for entry in wanted}
    return _Claims(
        taken=sum(
            entry.image_tag == holder for entry, holder in zip(missing, taken, strict=True)
        ),
        deferred={tag for tag, holder in by_tag.items() if holder is None},
        conflicts=[tag for tag, holder in by_tag.items() if holder not in {None, tag}],
    )


def _not_done(entries: Sequence[ImageEntry], results: Sequence[bool | None]) -> set[ImageTag]:
    """The tags of the entries that were not written, nor found to be there."""
    pairs = zip(entries, results, strict=True)
    return {entry.image_tag for entry, result in pairs if result is None}
