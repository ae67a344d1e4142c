"""Preview what is done to versions: publish, change, retire, promote."""

from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial

from shared.catalog.transaction import Catalog, Transaction
from shared.domain.errors import KVUnavailable
from shared.domain.etags import UNCONDITIONAL, IfMatch
from shared.domain.model import Image, ImageEntry, Version
from shared.domain.pointer import Pointer
from shared.domain.values import ImageTag, Variant
from shared.kv import KV
from shared.kv.entries import image_of
from shared.usecases.disable import GIVEN_BACK_SECONDS, VersionChange, check_disabling, replaced
from shared.usecases.foresee import agreed, as_stored, read_unlocked, reconciled
from shared.usecases.import_entry import foresee_import
from shared.usecases.moves import PointerMove
from shared.usecases.preview import (
    Outcome,
    Preview,
    foresee_move,
    snapshot,
    weigh_change,
)
from shared.usecases.promote import promoted
from shared.usecases.publish import (
    Publication,
    check_registered,
    check_variant,
    wanted_entry,
)
from shared.usecases.reconcile import Copies
from shared.usecases.retire import check_retirement


def preview_promotion(
    tag: ImageTag, *, catalog: Catalog, kv: KV, if_match: IfMatch = UNCONDITIONAL
) -> Preview:
    """Preview `promote`. Raises the same."""
    with snapshot(catalog) as tx:
        variant = tx.versions.get(tag).variant
        copies = read_unlocked(tx, variant, kv)
        change = partial(promoted, tag)
        wanted = PointerMove(variant, change, "latest.promoted", if_match)
        after = foresee_move(wanted, copies, tx, kv)
        return weigh_change(variant, Outcome.of(copies), after, tx=tx, kv=kv)


def preview_publication(
    publication: Publication,
    *,
    catalog: Catalog,
    kv: KV,
    if_match: IfMatch = UNCONDITIONAL,
) -> Preview:
    """Preview `publish`. Raises the same."""
    now = datetime.now(UTC)
    with snapshot(catalog) as tx:
        wanted = wanted_entry(publication, tx, now)
        check_variant(wanted.variant, if_match, tx)
        given = publication.variant is not None
        entry = kv.entries.merged(wanted, variant_given=given, now=now)
        version = tx.versions.find(entry.image_tag)
        copies = read_unlocked(tx, entry.variant, kv)

        def change(tx: Transaction, pointer: Pointer) -> Pointer:
            check_registered(publication, entry, version, tx)
            return pointer.promote(entry.image_tag)

        if publication.set_latest:
            move = PointerMove(entry.variant, change, "latest.promoted", if_match)
            after = foresee_move(move, copies, tx, kv)
        else:
            check_registered(publication, entry, version, tx)
            after = Outcome.of(copies)
        image = version.image if version else replace(image_of(entry), status="active")
        after = replace(after, images={entry.image_tag: image})
        return weigh_change(entry.variant, Outcome.of(copies), after, tx=tx, kv=kv)


def preview_version_change(
    tag: ImageTag,
    wanted: VersionChange,
    *,
    catalog: Catalog,
    kv: KV,
    if_match: IfMatch = UNCONDITIONAL,
) -> Preview:
    """Preview `change`. Raises the same."""
    with snapshot(catalog) as tx:
        if wanted.status == "disabled":
            return _preview_disabling(tag, wanted, tx, kv, if_match)
        version = tx.versions.get(tag, if_match)
        enabling = wanted.status is not None and version.status == "disabled"
        if enabling:
            copies = read_unlocked(tx, version.variant, kv)
            before, after = Outcome.of(copies), _enabled(copies, tx, version, kv)
        else:
            before = after = _outcome_now(
                _try_to_read(tx, version.variant, kv), tx, version.variant
            )
        image = replace(version.image, status=wanted.status or version.status)
        after = replace(after, images={tag: image})
        return weigh_change(version.variant, before, after, tx=tx, kv=kv)


def preview_retirement(
    tag: ImageTag, *, catalog: Catalog, kv: KV, if_match: IfMatch = UNCONDITIONAL
) -> Preview:
    """Preview `retire`. Raises the same."""
    with snapshot(catalog) as tx:
        version = tx.versions.get(tag, if_match)
        copies = read_unlocked(tx, version.variant, kv)
        check_retirement(tag, {*copies.stored.tags, *copies.mirror.tags}, tx)
        before = Outcome.of(copies)
        after = replace(before, images={tag: replace(version.image, status="disabled")})
        return weigh_change(version.variant, before, after, tx=tx, kv=kv)


def _try_to_read(tx: Transaction, variant: Variant, kv: KV) -> Copies | None:
    """Read the copies; None, with time left for the catalog, if the KV does not answer."""
    with suppress(KVUnavailable):
        return read_unlocked(tx, variant, kv)
    tx.extend_deadline(GIVEN_BACK_SECONDS)
    return None


def _outcome_now(copies: Copies | None, tx: Transaction, variant: Variant) -> Outcome:
    return Outcome.of(copies) if copies else Outcome(tx.variants.find_pointer(variant), None)


def _enabled(copies: Copies, tx: Transaction, version: Version, kv: KV) -> Outcome:
    """Return what enabling would leave of the pointer."""
    tag, variant = version.image_tag, version.variant
    if tag not in copies.stored.tags:
        return Outcome.of(copies)
    return Outcome.of(reconciled(copies, tx, variant, kv, enabling=tag))


def _preview_disabling(
    tag: ImageTag, wanted: VersionChange, tx: Transaction, kv: KV, if_match: IfMatch
) -> Preview:
    image = _find_or_foresee(tag, tx, kv, if_match)
    copies = _try_to_read(tx, image.variant, kv)
    before, over = _outcome_now(copies, tx, image.variant), None
    with suppress(KVUnavailable):
        over = agreed(copies, tx, image.variant, kv) if copies else None
    start = Outcome.of(over) if over else before
    named = {*start.mirror.tags, *(start.stored.tags if start.stored else ())}
    check_disabling(image, wanted, tx, is_named=tag in named)
    after = replace(start, images={tag: replace(image, status="disabled")})
    if wanted.replacement is not None:
        after = replace(
            _without(tag, wanted.replacement, after, over),
            moved_pins={tag: wanted.replacement},
        )
    return weigh_change(image.variant, before, after, tx=tx, kv=kv)


def _without(
    tag: ImageTag, replacement: ImageTag, outcome: Outcome, over: Copies | None
) -> Outcome:
    """Put the replacement in the version's place: in both copies, or in the mirror alone."""
    if tag not in outcome.mirror.tags:
        return outcome
    if over is None:
        return replace(outcome, mirror=outcome.mirror.without(tag, replacement))
    pointer = replaced(tag, replacement, over)
    return replace(outcome, mirror=pointer, stored=as_stored(pointer, ""))


def _find_or_foresee(tag: ImageTag, tx: Transaction, kv: KV, if_match: IfMatch) -> Image:
    """Find a version, or one that disabling would import. Raises VersionNotFound."""
    if if_match == UNCONDITIONAL and tx.versions.find(tag) is None:
        with suppress(KVUnavailable):
            entry = foresee_import(tag, None, tx, kv)
            if isinstance(entry, ImageEntry):
                return replace(image_of(entry), status="active")
    return tx.versions.get(tag, if_match).image
