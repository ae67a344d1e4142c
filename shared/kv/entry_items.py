"""Image entries and claims as items of the table."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from typing import Any

from shared.domain.entries import Tombstone, parse_entry
from shared.domain.errors import InvalidValue
from shared.domain.identity import tag_retired
from shared.domain.model import ImageEntry
from shared.domain.values import DEFAULT_VARIANT, Actor, ImageTag, rfc3339
from shared.kv.table import Attributes, as_read, key, plain, texts

CONDITION_ATTRIBUTES = (
    "pk", "image_tag", "image_digest", "openclaw_version", "variant", "published_at",
    "deleted_at", "written_by",
)  # fmt: skip


def parse_stored(item: Attributes, now: datetime) -> ImageEntry | Tombstone | None:
    """Parse a stored item; None if it is malformed."""
    try:
        return parse_entry(item["sk"]["S"], plain(item), now)
    except InvalidValue:
        return None


def holder_of(claim: Attributes) -> ImageTag:
    """The tag that a claim names, unparsed: others may have written it."""
    return str(plain(claim).get("image_tag"))


def known_entry(stored: Attributes | None, now: datetime) -> ImageEntry | None:
    """The valid entry that is stored. Raises TagRetired for a tombstone."""
    known = parse_stored(stored, now) if stored else None
    if isinstance(known, Tombstone):
        raise tag_retired()
    return known


def publisher_of(stored: Attributes | None) -> Actor | None:
    by = plain(stored or {}).get("published_by")
    return by if isinstance(by, str) else None


def merge(known: ImageEntry | None, wanted: ImageEntry) -> ImageEntry:
    """Merge what is wanted into a stored entry. A malformed one is replaced."""
    if known is None:
        return wanted
    return replace(
        known,
        openclaw_version=wanted.openclaw_version,
        image_digest=known.image_digest or wanted.image_digest,
    )


def attributes_of(entry: ImageEntry) -> dict[str, Any]:
    return texts(
        image_tag=entry.image_tag,
        image_digest=entry.image_digest,
        openclaw_version=entry.openclaw_version,
        variant=entry.variant or DEFAULT_VARIANT,
        published_at=rfc3339(entry.published_at),
    )


def writes_of(
    entry: ImageEntry,
    stored: Attributes | None,
    claim: Attributes | None,
    mark: dict[str, Any],
) -> Iterator[dict[str, dict[str, Any]]]:
    others = {
        name: of for name, of in (stored or {}).items() if name not in CONDITION_ATTRIBUTES
    }
    item = others | attributes_of(entry) | key("IMAGE", entry.image_tag)
    yield {"Put": {"Item": item | mark} | as_read(stored, *CONDITION_ATTRIBUTES).parameters()}
    if entry.image_digest:
        item = key("DIGEST", entry.image_digest) | texts(image_tag=entry.image_tag)
        item["written_by"] = mark["written_by"]
        condition = as_read(claim, "pk", "image_tag", "written_by")
        yield {"Put": {"Item": item} | condition.parameters()}
