"""The last step of a run: make the two copies of every variant's pointer agree."""

from dataclasses import dataclass, field
from datetime import datetime
from time import monotonic

from shared.catalog.transaction import Catalog
from shared.domain.errors import CatalogUnavailable, InvalidValue, KVUnavailable
from shared.domain.sync_report import Finding
from shared.domain.values import VARIANT, Variant, escape_untrusted
from shared.kv import KV
from shared.usecases.reconcile import reconcile
from shared.usecases.report import judge


@dataclass(slots=True)
class PointerCounts:
    """The outcome of all reconciles. `failed` are the variants left for the next run."""

    copied: int = 0
    rejected: list[Finding] = field(default_factory=list)
    failed: list[Variant] = field(default_factory=list)


def reconcile_all(
    catalog: Catalog, kv: KV, started_at: datetime, ends: float | None
) -> PointerCounts:
    """Judge and reconcile every variant that either store knows, each for itself.

    A variant fails if it is locked for too long, its pointer cannot be read or written or moves
    all the time, or no time is left; the others go on. Raises CatalogUnavailable, KVUnavailable
    if a store's failure stops them all.
    """
    counts = PointerCounts()
    variants, illegal = _list_variants(catalog, kv)
    for variant in sorted(variants):
        if ends is not None and monotonic() > ends:
            counts.failed.append(variant)
        else:
            _reconcile(variant, catalog, kv, counts)
    counts.rejected += illegal
    with catalog.transaction() as tx:
        tx.runs.report(illegal, started_at)
    with catalog.transaction() as tx:
        tx.runs.resolve(started_at, pointers=True, keep=counts.failed)
    return counts


def _list_variants(catalog: Catalog, kv: KV) -> tuple[set[Variant], list[Finding]]:
    """List the variants of both stores, and a finding for each illegal name."""
    with catalog.transaction() as tx:
        variants = set(tx.variants.all())
    illegal: list[Finding] = []
    for sort_key in kv.pointers.variants():
        try:
            variants.add(VARIANT.parse(sort_key))
        except InvalidValue as error:
            name = escape_untrusted(sort_key)
            illegal.append(Finding(name, "invalid_pointer", str(error)))
    return variants, illegal


def _reconcile(variant: Variant, catalog: Catalog, kv: KV, counts: PointerCounts) -> None:
    try:
        # Whoever counted the last report may have died before it judged the rollout.
        judge(variant, kv=kv)
        reconciled = reconcile(variant, catalog=catalog, kv=kv)
    except (CatalogUnavailable, KVUnavailable):
        counts.failed.append(variant)
        return
    if not reconciled.finished:
        counts.failed.append(variant)
        return
    counts.copied += reconciled.wrote
    counts.rejected += reconciled.findings
