"""Publish a version: the KV's half first, then the catalog's."""

from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from uuid import uuid4

from shared.catalog.transaction import Catalog, Transaction
from shared.domain.entries import check_published_at
from shared.domain.errors import (
    DigestChanged,
    DigestInUse,
    InvalidRequest,
    InvalidValue,
    KVUnavailable,
    StaleRevision,
    TagRetired,
    VariantChanged,
    VersionNotActive,
)
from shared.domain.etags import UNCONDITIONAL, IfMatch, variant_etag
from shared.domain.identity import find_conflict, tag_retired
from shared.domain.model import ImageEntry, Initiator, Version
from shared.domain.pointer import Pointer
from shared.domain.values import (
    DEFAULT_VARIANT,
    ImageDigest,
    ImageTag,
    Notes,
    OpenclawVersion,
    Variant,
)
from shared.kv import KV
from shared.kv.entries import Registration
from shared.usecases.moves import PointerMove, is_done, move

PERMANENT = (DigestInUse, DigestChanged, VariantChanged, TagRetired, StaleRevision)


@dataclass(frozen=True, slots=True)
class Publication:
    """What the publisher says; of a known tag, what is omitted stays."""

    image_tag: ImageTag
    openclaw_version: OpenclawVersion
    image_digest: ImageDigest | None = None
    variant: Variant | None = None
    notes: Notes | None = None
    published_at: datetime | None = None
    set_latest: bool = False


@dataclass(frozen=True, slots=True)
class Published:
    """The version, and whether it is new to the catalog."""

    version: Version
    is_new: bool


def publish(
    publication: Publication,
    *,
    by: Initiator,
    catalog: Catalog,
    kv: KV,
    if_match: IfMatch = UNCONDITIONAL,
) -> Published:
    """Publish a version. Idempotent.

    `if_match` is about the variant. Raises InvalidRequest, DigestInUse, DigestChanged,
    VariantChanged, TagRetired, StaleRevision, VersionNotActive (only with `set_latest`),
    CatalogUnavailable, KVUnavailable. After a permanent refusal, what this very call
    has written to the KV is undone. A repeat under a cause that has moved the pointer does not
    move it again, and checks neither `if_match` nor the status.
    """
    now = datetime.now(UTC)
    with catalog.transaction() as tx:
        if publication.set_latest and _has_moved(publication.image_tag, by, tx):
            publication, if_match = replace(publication, set_latest=False), UNCONDITIONAL
        wanted = wanted_entry(publication, tx, now)
        check_variant(wanted.variant, if_match, tx)
    registration = kv.entries.register(
        wanted,
        variant_given=publication.variant is not None,
        by=by.actor,
        token=str(uuid4()),
        now=now,
    )
    try:
        is_new = _write_catalog_half(
            publication, registration, if_match, by=by, catalog=catalog, kv=kv
        )
    except PERMANENT:
        with suppress(KVUnavailable):
            kv.entries.undo(registration)
        raise
    with catalog.transaction() as tx:
        return Published(tx.versions.get(publication.image_tag), is_new)


def _has_moved(tag: ImageTag, by: Initiator, tx: Transaction) -> bool:
    """Whether this very call has moved latest before, as far as the catalog knows."""
    version = tx.versions.find(tag)
    if version is None:
        return False
    mirror = tx.variants.find_pointer(version.variant)
    return is_done(tx, version.variant, mirror, by)


def wanted_entry(publication: Publication, tx: Transaction, now: datetime) -> ImageEntry:
    """Return the entry to register, or refuse it by what the catalog knows."""
    try:
        published_at = check_published_at(publication.published_at or now, now)
    except InvalidValue as error:
        raise InvalidRequest(("published_at", str(error))) from None
    wanted = ImageEntry(
        publication.image_tag,
        publication.openclaw_version,
        publication.variant or DEFAULT_VARIANT,
        published_at,
        publication.image_digest,
    )
    version = tx.versions.find(publication.image_tag)
    _refuse(publication, version, tx)
    if version is None:
        return wanted
    return replace(
        wanted,
        variant=version.variant,
        published_at=version.published_at,
        image_digest=version.image_digest or wanted.image_digest,
    )


def _refuse(publication: Publication, version: Version | None, tx: Transaction) -> None:
    digest = publication.image_digest
    owner = tx.versions.owner(digest) if digest else None
    if version is not None and version.retired_at is not None:
        raise tag_retired()
    if conflict := find_conflict(publication, version, owner):
        raise conflict
    if publication.set_latest and version is not None and version.status != "active":
        raise VersionNotActive(f"the version is {version.status}")


def check_variant(
    variant: Variant, if_match: IfMatch, tx: Transaction, *, lock: bool = False
) -> None:
    """Raises StaleRevision unless the variant's mirror is in one of the states."""
    if if_match != UNCONDITIONAL:
        read = tx.variants.lock if lock else tx.variants.find_pointer
        if_match.check(variant_etag(variant, read(variant)))


def check_registered(
    publication: Publication, entry: ImageEntry, version: Version | None, tx: Transaction
) -> None:
    """Refuse what contradicts the catalog's row, or another's digest. `entry` is the KV's."""
    as_registered = replace(publication, image_digest=entry.image_digest, variant=entry.variant)
    _refuse(as_registered, version, tx)


def _write_catalog_half(
    publication: Publication,
    registration: Registration,
    if_match: IfMatch,
    *,
    by: Initiator,
    catalog: Catalog,
    kv: KV,
) -> bool:
    """Write the catalog's half; True if the version is new to it."""
    entry = registration.entry
    is_new: bool | None = None

    def change(tx: Transaction, pointer: Pointer) -> Pointer:
        nonlocal is_new
        is_new = _upsert(publication, registration, by, tx)
        return pointer.promote(entry.image_tag)

    if publication.set_latest:
        wanted = PointerMove(entry.variant, change, "latest.promoted", if_match)
        move(wanted, catalog=catalog, kv=kv, by=by)
        if is_new is not None:
            return is_new
        # This very call has moved the pointer before, whatever has become of it since.
        publication, if_match = replace(publication, set_latest=False), UNCONDITIONAL
    with catalog.transaction() as tx:
        check_variant(entry.variant, if_match, tx, lock=True)
        tx.variants.ensure(entry.variant)
        return _upsert(publication, registration, by, tx)


def _upsert(
    publication: Publication, registration: Registration, by: Initiator, tx: Transaction
) -> bool:
    """Write the row and its event; True if this is the publish that made the version.

    A `sync` between the two halves may have made the row, without knowing whose it is.
    """
    entry, tag = registration.entry, registration.entry.image_tag
    if tx.versions.insert(entry, by.actor, publication.notes):
        tx.audit.record(by, "version.published", "version", tag, after=_content(entry))
        return True
    tx.versions.lock_for_change(tag)
    before = tx.versions.find(tag)
    check_registered(publication, entry, before, tx)
    publisher = by.actor if registration.published_by == by.actor else None
    if tx.versions.republish(entry, publication.notes, publisher):
        after = tx.versions.get(tag)
        tx.audit.record(
            by, "version.updated", "version", tag,
            before=_content(before) if before else None, after=_content(after),
        )  # fmt: skip
    return publisher is not None and before is not None and before.published_by is None


def _content(version: ImageEntry | Version) -> dict[str, object]:
    content: dict[str, object] = {
        "image_digest": version.image_digest,
        "openclaw_version": version.openclaw_version,
        "variant": version.variant,
    }
    if isinstance(version, Version):
        content["published_by"] = version.published_by
    return content
