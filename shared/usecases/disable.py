"""Disable a version: the kill switch. No instance starts with it afterwards.

It is refused while somebody would be left without a version, unless pins are to be suspended.
A KV that is down never blocks it: then the mirror alone changes. The KV's pointer is dead from
the commit on, so readers use the mirror, and sync mends the KV.
"""

from contextlib import suppress
from dataclasses import dataclass, field, replace

from shared.catalog.transaction import Catalog, Transaction
from shared.domain.errors import (
    CatalogUnavailable,
    InvalidReplacement,
    KVUnavailable,
    TooManyPins,
    VersionInUse,
    VersionPinned,
)
from shared.domain.etags import UNCONDITIONAL, IfMatch
from shared.domain.model import Image, ImageEntry, Initiator, Status, Version
from shared.domain.pointer import Pointer, StoredPointer
from shared.domain.reconciliation import restore_rollout
from shared.domain.values import ImageTag, Notes
from shared.kv import KV
from shared.usecases.import_entry import import_entry, read_entry
from shared.usecases.moves import ROUNDS
from shared.usecases.reconcile import Copies, Standings, make_copies, put, reconcile, save

MAX_MOVED_PINS = 100_000
"""Moving so many takes about three seconds, during which nobody else can change those pins."""
MOVE_PINS_SECONDS = 20.0
LOCK_SECONDS = 5.0
"""A move holds the variant's lock while its KV calls take their time, 2.1 s each at most."""
GIVEN_BACK_SECONDS = 2.0
"""What the catalog gets when a slow KV has used up the event's time. It is less than a call of
the KV needs, so the KV is not asked again."""


@dataclass(frozen=True, slots=True)
class VersionChange:
    """What to change. `replacement` and `force` say what becomes of users when disabling."""

    status: Status | None = None
    notes: Notes | None = None
    replacement: ImageTag | None = None
    force: bool = False


@dataclass(frozen=True, slots=True)
class Changed:
    """The version as it is now, and how many pins this change suspended."""

    version: Version
    suspended: int = 0


@dataclass(slots=True)
class _Disabling:
    """One call of `disable`, and what the reconciles on its way have learned."""

    version: Version
    wanted: VersionChange
    by: Initiator
    kv: KV
    if_match: IfMatch
    standings: Standings = field(default_factory=dict)

    @property
    def tag(self) -> ImageTag:
        return self.version.image_tag

    def attempt(self, tx: Transaction, *, last: bool) -> Changed | None:
        """Disable the version; None if the copies must be reconciled first."""
        mirror = tx.variants.lock(self.version.variant)
        copies = self._read_copies(tx, mirror)
        may_put = copies is not None and copies.may_move(self.standings)
        if copies is not None and not may_put and not last:
            return None
        tx.versions.lock_for_disabling(self.tag, self.wanted.replacement)
        version = tx.versions.get(self.tag, self.if_match)
        named = {*mirror.tags, *(copies.stored.tags if copies else ())}
        check_disabling(version, self.wanted, tx, is_named=self.tag in named)
        moved = None
        if self.wanted.replacement is not None:
            # The pins first: a time-out there leaves nothing done, one after the put would.
            moved = self._move_pins(tx, self.wanted.replacement)
            if self.tag in mirror.tags:
                over = copies if may_put else None
                self._move_pointer(tx, self.wanted.replacement, mirror, over)
        was_enabled = write_change(tx, self.tag, self.wanted, self.by, moved)
        suspended = tx.pins.count(self.tag) if was_enabled else 0
        return Changed(tx.versions.get(self.tag), suspended)

    def _read_copies(self, tx: Transaction, mirror: Pointer) -> Copies | None:
        stored = None
        with suppress(KVUnavailable):
            stored = self.kv.pointers.read(self.version.variant, mirror)
        tx.extend_deadline(GIVEN_BACK_SECONDS)
        if stored is None:
            return None
        return make_copies(tx, self.version.variant, mirror, stored)

    def _move_pins(self, tx: Transaction, replacement: ImageTag) -> int:
        tx.extend_deadline(MOVE_PINS_SECONDS)
        return tx.pins.move(self.tag, replacement, self.by)

    def _move_pointer(
        self, tx: Transaction, replacement: ImageTag, mirror: Pointer, over: Copies | None
    ) -> None:
        """Put the replacement in the version's place: in the KV first where that can be done.

        Else the mirror alone changes, at its revision.
        """
        after = mirror.without(self.tag, replacement)
        if over is not None:
            moved = replaced(self.tag, replacement, over)
            after = moved if self._put(moved, over.stored) else after
        after = replace(after, cause=self.by.cause)
        ends_rollout = after.latest_tag == mirror.latest_tag
        reason = self.by.reason or f"{self.tag} was disabled"
        save(
            tx,
            self.version.variant,
            mirror,
            after,
            replace(self.by, reason=reason),
            "rollout.ended" if ends_rollout else "latest.promoted",
        )

    def _put(self, pointer: Pointer, stored: StoredPointer) -> bool:
        moved = replace(pointer, cause=self.by.cause)
        with suppress(KVUnavailable):
            return put(self.version.variant, moved, stored, self.kv, self.by)
        return False


def disable(
    tag: ImageTag,
    wanted: VersionChange,
    *,
    by: Initiator,
    catalog: Catalog,
    kv: KV,
    if_match: IfMatch = UNCONDITIONAL,
) -> Changed:
    """Disable a version; one that only the KV knows is imported first.

    Raises VersionNotFound, StaleRevision, VersionInUse, VersionPinned, TooManyPins,
    InvalidReplacement, CatalogUnavailable.
    """
    version = _find_or_import(tag, if_match, catalog, kv)
    disabling = _Disabling(version, wanted, by, kv, if_match)
    rounds_left = ROUNDS
    while True:
        rounds_left -= 1
        catalog.database.deadline.extend(GIVEN_BACK_SECONDS)
        catalog.database.deadline.extend_catalog(LOCK_SECONDS)
        with catalog.transaction() as tx:
            changed = disabling.attempt(tx, last=rounds_left == 0)
        if changed is not None:
            return changed
        with suppress(CatalogUnavailable, KVUnavailable):
            done = reconcile(version.variant, catalog=catalog, kv=kv)
            disabling.standings |= done.standings


def check_disabling(
    version: Version | Image, wanted: VersionChange, tx: Transaction, *, is_named: bool
) -> None:
    """Refuse to strand anybody. `is_named`: a copy of the pointer names the version.

    Raises VersionInUse, VersionPinned, InvalidReplacement, TooManyPins.
    """
    if wanted.replacement is not None:
        _check_replacement(version, wanted.replacement, tx)
    elif version.status != "disabled":
        _refuse_to_strand(version.image_tag, tx, is_named=is_named, force=wanted.force)


def _refuse_to_strand(tag: ImageTag, tx: Transaction, *, is_named: bool, force: bool) -> None:
    if is_named:
        raise VersionInUse("the version is latest or candidate; name a replacement")
    pinned = 0 if force else tx.pins.count(tag)
    if pinned:
        raise VersionPinned(
            f"the version has pins ({pinned}): name a replacement to move them to, or force"
            " to leave them suspended",
            pin_count=pinned,
        )


def _check_replacement(
    version: Version | Image, replacement: ImageTag, tx: Transaction
) -> None:
    other = tx.versions.find(replacement)
    if other is None or other.retired_at is not None:
        raise InvalidReplacement("the replacement is not a known version")
    if other.image_tag == version.image_tag:
        raise InvalidReplacement("the replacement must be another version")
    if other.variant != version.variant:
        raise InvalidReplacement(f"the replacement is of the variant {other.variant}")
    if other.status != "active":
        raise InvalidReplacement(f"the replacement is {other.status}, not active")
    pinned = tx.pins.count(version.image_tag)
    if pinned > MAX_MOVED_PINS:
        raise TooManyPins(
            f"{pinned} pins are more than the {MAX_MOVED_PINS:,} that one call moves: pin"
            " users elsewhere first, or force to leave the pins suspended",
            pin_count=pinned,
        )


def replaced(tag: ImageTag, replacement: ImageTag, copies: Copies) -> Pointer:
    """Return the pointer that takes the place of one that names `tag`, at its revision."""
    start = restore_rollout(copies.mirror, copies.stored)
    return start.without(tag, replacement).at(copies.next_revision())


def write_change(
    tx: Transaction,
    tag: ImageTag,
    wanted: VersionChange,
    by: Initiator,
    moved_pins: int | None = None,
) -> bool:
    """Write and log what differs; return whether the status did.

    `moved_pins` says how many pins a replacement took over.
    """
    before = tx.versions.get(tag)
    status_differs = wanted.status is not None and wanted.status != before.status
    if wanted.status is not None and status_differs:
        tx.versions.set_status(tag, wanted.status)
        tx.audit.record(
            by, "version.status_changed", "version", tag,
            before={"status": before.status},
            after={"status": wanted.status, "replacement": wanted.replacement}
            | ({} if moved_pins is None else {"moved_pins": moved_pins}),
        )  # fmt: skip
    if wanted.notes is not None and wanted.notes != before.notes:
        tx.versions.set_notes(tag, wanted.notes)
        tx.audit.record(
            by, "version.notes_changed", "version", tag,
            before={"notes": before.notes}, after={"notes": wanted.notes},
        )  # fmt: skip
    return status_differs


def _find_or_import(tag: ImageTag, if_match: IfMatch, catalog: Catalog, kv: KV) -> Version:
    """Raises VersionNotFound for a version that is retired, or that neither store knows.

    With `if_match` a version that is not in the catalog is stale.
    """
    with catalog.transaction() as tx:
        if if_match != UNCONDITIONAL or tx.versions.find(tag) is not None:
            return tx.versions.get(tag, if_match)
    with suppress(KVUnavailable):
        if import_entry(tag, None, catalog=catalog, kv=kv) == "refused":
            entry = read_entry(tag, kv)
            if isinstance(entry, ImageEntry):
                reconcile(entry.variant, catalog=catalog, kv=kv)
    with catalog.transaction() as tx:
        return tx.versions.get(tag)
