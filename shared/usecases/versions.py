"""Changing a version: its status, its notes, its retirement."""

from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from shared.catalog.transaction import Catalog, Transaction
from shared.domain.errors import (
    InvalidReplacement,
    KVUnavailable,
    VersionInUse,
    VersionPinned,
)
from shared.domain.model import ImageEntry, Initiator, Status, Version
from shared.domain.pointer import Pointer, StoredPointer
from shared.domain.values import ImageTag, Notes, Variant
from shared.kv import KV
from shared.usecases.moves import ROUNDS, RolledBack, agree, put, reconcile, save

STATEMENT_TIMEOUT_SECONDS = 20.0
"""How long moving pins may take: a hundred thousand take about two seconds."""


@dataclass(frozen=True, slots=True)
class VersionChange:
    """What to change. `replacement` and `force` say what becomes of users when disabling."""

    status: Status | None = None
    notes: Notes | None = None
    replacement: ImageTag | None = None
    force: bool = False


@dataclass(frozen=True, slots=True)
class Changed:
    """The version as it is now, and how many pins this very change suspended."""

    version: Version
    suspended: int = 0


def change(
    tag: ImageTag, wanted: VersionChange, *, by: Initiator, catalog: Catalog, kv: KV
) -> Changed:
    """Change status or notes.

    Raises VersionNotFound, VersionInUse, VersionPinned, InvalidReplacement, CatalogUnavailable,
    and KVUnavailable only when enabling.
    """
    with catalog.transaction() as tx:
        version = tx.versions.get(tag)
    suspended = 0
    if wanted.status == "disabled":
        suspended = _disable(version, wanted, by, catalog, kv)
    elif not _change_enabled(tag, wanted, by, catalog):
        _enable(version, wanted, by, catalog, kv)
    with catalog.transaction() as tx:
        return Changed(tx.versions.get(tag), suspended)


def retire(tag: ImageTag, *, by: Initiator, catalog: Catalog, kv: KV) -> None:
    """Delete a version for good: disabled, hidden, its tag and digest taken for ever.

    Raises VersionNotFound, VersionInUse, VersionPinned, KVUnavailable, CatalogUnavailable.
    """
    with catalog.transaction() as tx:
        variant = tx.versions.get(tag).variant
    with catalog.transaction() as tx:
        mirror = tx.variants.lock(variant)
        tx.versions.lock_for_retirement(tag)
        version = tx.versions.get(tag)
        found = kv.pointers.read(variant, mirror)
        if _is_named(tag, found, mirror):
            raise VersionInUse("the version is latest or candidate of its variant")
        _refuse_pinned(tx, tag)
        tx.versions.retire(tag)
        tx.audit.record(
            by, "version.retired", "version", tag, before={"status": version.status}
        )
    with suppress(KVUnavailable):  # `sync` writes a tombstone that is missing
        kv.entries.bury(_entry(version), datetime.now(UTC))


def _change_enabled(
    tag: ImageTag, wanted: VersionChange, by: Initiator, catalog: Catalog
) -> bool:
    """Change what needs no look at the pointer; False if it would enable the version."""
    with catalog.transaction() as tx:
        tx.versions.lock_for_change(tag)
        if wanted.status is not None and tx.versions.get(tag).status == "disabled":
            return False
        _write(tx, tag, wanted, by)
        return True


def _disable(
    version: Version, wanted: VersionChange, by: Initiator, catalog: Catalog, kv: KV
) -> int:
    """The kill switch: the KV can't block it, and nobody is stranded by it.

    How many pins it suspended is returned.
    """
    rounds = 0
    while True:
        rounds += 1
        try:
            with catalog.transaction() as tx:
                return _disable_once(tx, version, wanted, by, kv, last=rounds == ROUNDS)
        except RolledBack:
            with suppress(KVUnavailable):
                reconcile(version.variant, catalog=catalog, kv=kv)


def _disable_once(
    tx: Transaction,
    version: Version,
    wanted: VersionChange,
    by: Initiator,
    kv: KV,
    *,
    last: bool,
) -> int:
    mirror = tx.variants.lock(version.variant)
    found = _read_if_possible(kv, version.variant, mirror)
    in_agreement = found is not None and agree(tx, version.variant, found, mirror)
    if found is not None and not in_agreement and not last:
        raise RolledBack
    tx.versions.lock_for_change(version.image_tag)
    _refuse_to_strand(tx, version.image_tag, wanted, found, mirror)
    if wanted.replacement is not None:
        _check_replacement(tx, version, wanted.replacement)
        over = found if in_agreement else None
        _point_elsewhere(tx, version, wanted.replacement, mirror, over, by, kv)
        tx.extend_deadline(STATEMENT_TIMEOUT_SECONDS)
        tx.pins.move(version.image_tag, wanted.replacement, by)
    return tx.pins.count(version.image_tag) if _write(tx, version.image_tag, wanted, by) else 0


def _point_elsewhere(
    tx: Transaction,
    version: Version,
    replacement: ImageTag,
    mirror: Pointer,
    over: StoredPointer | None,
    by: Initiator,
    kv: KV,
) -> None:
    """Let the replacement take over what the variant's pointer names the version as."""
    tag, variant = version.image_tag, version.variant
    if tag not in mirror.tags:
        return
    after = _put_if_possible(kv, variant, mirror.without(tag, replacement), mirror, by, over)
    latest = after.latest_tag != mirror.latest_tag
    action = "latest.promoted" if latest else "rollout.ended"
    save(tx, variant, mirror, after, by, action, f"{tag} was disabled")


def _refuse_to_strand(
    tx: Transaction,
    tag: ImageTag,
    wanted: VersionChange,
    found: StoredPointer | None,
    mirror: Pointer,
) -> None:
    already = tx.versions.get(tag).status == "disabled"
    if wanted.replacement is not None or already:
        return
    if _is_named(tag, found, mirror):
        raise VersionInUse("the version is latest or candidate; name a replacement")
    if not wanted.force:
        _refuse_pinned(tx, tag)


def _put_if_possible(
    kv: KV,
    variant: Variant,
    after: Pointer,
    mirror: Pointer,
    by: Initiator,
    found: StoredPointer | None,
) -> Pointer:
    """Write the KV first; where that can't be done, the mirror alone keeps its revision.

    The KV's pointer is dead from the commit on then: readers use the mirror, and `sync` mends
    the KV.
    """
    if found is None:
        return after
    moved = replace(after, cause=by.request_id).at(max(found.revision, mirror.revision) + 1)
    with suppress(KVUnavailable):
        if put(variant, moved, found, kv, by):
            return moved
    return after


def _enable(
    version: Version, wanted: VersionChange, by: Initiator, catalog: Catalog, kv: KV
) -> None:
    """A KV pointer that still names the version is put right first: enabling moves nobody."""
    for attempt in range(ROUNDS):
        with catalog.transaction() as tx:
            mirror = tx.variants.lock(version.variant)
            found = kv.pointers.read(version.variant, mirror)
            names_it = found.pointer is not None and version.image_tag in found.pointer.tags
            nothing_to_put_back = attempt > 0 and mirror.latest_tag is None
            if not names_it or nothing_to_put_back:
                tx.versions.lock_for_change(version.image_tag)
                _write(tx, version.image_tag, wanted, by)
                return
        reconcile(version.variant, catalog=catalog, kv=kv)
    raise KVUnavailable("the pointer is being moved by others")


def _write(tx: Transaction, tag: ImageTag, wanted: VersionChange, by: Initiator) -> bool:
    """Write what differs; True if the status did."""
    before = tx.versions.get(tag)
    status_differs = wanted.status is not None and wanted.status != before.status
    if wanted.status is not None and status_differs:
        tx.versions.set_status(tag, wanted.status)
        tx.audit.record(
            by, "version.status_changed", "version", tag,
            before={"status": before.status},
            after={"status": wanted.status, "replacement": wanted.replacement},
        )  # fmt: skip
    if wanted.notes is not None and wanted.notes != before.notes:
        tx.versions.set_notes(tag, wanted.notes)
        tx.audit.record(
            by, "version.notes_changed", "version", tag,
            before={"notes": before.notes}, after={"notes": wanted.notes},
        )  # fmt: skip
    return status_differs


def _check_replacement(tx: Transaction, version: Version, replacement: ImageTag) -> None:
    tx.versions.lock_for_share([replacement])
    other = tx.versions.find(replacement)
    if other is None or other.image_tag == version.image_tag:
        raise InvalidReplacement("the replacement must be another version")
    if other.status != "active" or other.variant != version.variant:
        raise InvalidReplacement("the replacement must be active and of the same variant")


def _is_named(tag: ImageTag, found: StoredPointer | None, mirror: Pointer) -> bool:
    in_kv = found is not None and found.pointer is not None and tag in found.pointer.tags
    return in_kv or tag in mirror.tags


def _refuse_pinned(tx: Transaction, tag: ImageTag) -> None:
    if count := tx.pins.count(tag):
        raise VersionPinned(f"{count} users are pinned to the version", pin_count=count)


def _read_if_possible(kv: KV, variant: Variant, mirror: Pointer) -> StoredPointer | None:
    with suppress(KVUnavailable):
        return kv.pointers.read(variant, mirror)
    return None


def _entry(version: Version) -> ImageEntry:
    return ImageEntry(
        version.image_tag,
        version.openclaw_version,
        version.variant,
        version.published_at,
        version.image_digest,
    )
