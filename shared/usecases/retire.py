"""Retire a version: disabled for good and hidden, its tag and digest stay taken."""

from collections.abc import Collection
from contextlib import suppress
from datetime import UTC, datetime

from shared.catalog.transaction import Catalog, Transaction
from shared.domain.errors import KVUnavailable, VersionInUse, VersionPinned
from shared.domain.etags import UNCONDITIONAL, IfMatch
from shared.domain.model import ImageEntry, Initiator, Version
from shared.domain.values import ImageTag
from shared.kv import KV


def retire(
    tag: ImageTag,
    *,
    by: Initiator,
    catalog: Catalog,
    kv: KV,
    if_match: IfMatch = UNCONDITIONAL,
) -> None:
    """Retire a version that no copy of its variant's pointer names and nobody is pinned to.

    Raises VersionNotFound, StaleRevision, VersionInUse, VersionPinned, KVUnavailable,
    CatalogUnavailable.
    """
    with catalog.transaction() as tx:
        variant = tx.versions.get(tag, if_match).variant
    with catalog.transaction() as tx:
        mirror = tx.variants.lock(variant)
        tx.versions.lock_for_retirement(tag)
        version = tx.versions.get(tag, if_match)
        stored = kv.pointers.read(variant, mirror)
        check_retirement(tag, {*stored.tags, *mirror.tags}, tx)
        tx.versions.retire(tag)
        before = {"status": version.status}
        tx.audit.record(by, "version.retired", "version", tag, before=before)
    with suppress(KVUnavailable):  # sync writes a tombstone that is missing
        kv.entries.bury(_entry(version), datetime.now(UTC))


def check_retirement(tag: ImageTag, named: Collection[ImageTag], tx: Transaction) -> None:
    """Refuse what is `named` by a copy of the pointer. Raises VersionInUse, VersionPinned."""
    if tag in named:
        raise VersionInUse("the version is latest or candidate of its variant")
    if pinned := tx.pins.count(tag):
        raise VersionPinned(f"the version has pins ({pinned})", pin_count=pinned)


def _entry(version: Version) -> ImageEntry:
    return ImageEntry(
        version.image_tag,
        version.openclaw_version,
        version.variant,
        version.published_at,
        version.image_digest,
    )
