"""Bring one entry of the KV into the catalog, ahead of the next sync."""

from datetime import UTC, datetime
from typing import Literal
from uuid import uuid4

from shared.catalog.transaction import Catalog, Transaction
from shared.domain.entries import NotYetPublished, Tombstone, parse_entry
from shared.domain.errors import InvalidValue
from shared.domain.model import ImageEntry, Initiator
from shared.domain.values import ImageTag, Variant
from shared.kv import KV

FOUND_IN_KV = Initiator("kv")

Imported = Literal["imported", "refused", "pending"]
"""What became of the import: refused for good, or pending because there is no entry yet or its
publish time is still ahead."""


def import_entry(
    tag: ImageTag, variant: Variant | None, *, catalog: Catalog, kv: KV
) -> Imported:
    """Import the entry of `tag`, if it is one of `variant` (any, if None).

    Raises CatalogUnavailable, KVUnavailable.
    """
    entry = read_entry(tag, kv, variant)
    if not isinstance(entry, ImageEntry):
        return entry
    with catalog.transaction() as tx:
        tx.variants.ensure(entry.variant)
        digest = entry.image_digest
        if digest and tx.versions.owner(digest) not in {None, tag}:
            return "refused"
        if digest and kv.entries.claim(digest, tag, token=str(uuid4())) != tag:
            return "refused"
        if tx.versions.insert_found(entry):
            after = {
                "image_digest": digest,
                "openclaw_version": entry.openclaw_version,
                "variant": entry.variant,
            }
            tx.audit.record(FOUND_IN_KV, "version.published", "version", tag, after=after)
    return "imported"


def foresee_import(
    tag: ImageTag, variant: Variant | None, tx: Transaction, kv: KV
) -> ImageEntry | Literal["refused", "pending"]:
    """Return the entry that `import_entry` would import, or why not. It claims nothing."""
    entry = read_entry(tag, kv, variant)
    if not isinstance(entry, ImageEntry) or entry.image_digest is None:
        return entry
    claim = kv.entries.find_claim(entry.image_digest)
    holders = {tx.versions.owner(entry.image_digest), claim.holder if claim else None}
    return entry if holders <= {None, tag} else "refused"


def read_entry(
    tag: ImageTag, kv: KV, variant: Variant | None = None
) -> ImageEntry | Literal["refused", "pending"]:
    """Read an entry; say why it cannot be imported if there is no valid one of the variant."""
    item = kv.entries.read(tag)
    if item is None:
        return "pending"
    try:
        entry = parse_entry(tag, item, datetime.now(UTC))
    except NotYetPublished:
        return "pending"
    except InvalidValue:
        return "refused"
    if isinstance(entry, Tombstone) or variant not in {None, entry.variant}:
        return "refused"
    return entry
