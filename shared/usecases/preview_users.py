"""Preview what is done to one user: pin, unpin, erase."""

from contextlib import suppress
from dataclasses import replace
from datetime import datetime

from shared.catalog.transaction import Catalog, Transaction
from shared.domain.errors import CatalogUnavailable, KVUnavailable
from shared.domain.etags import UNCONDITIONAL, IfMatch
from shared.domain.impact import tag_of
from shared.domain.model import Version
from shared.domain.resolution import Facts, PinFact, Resolution, decide
from shared.domain.values import ImageTag, UserId
from shared.kv import KV
from shared.usecases.disable import GIVEN_BACK_SECONDS
from shared.usecases.pins import check_expiry, get_pinnable
from shared.usecases.preview import MoveCount, MovedUser, Preview, snapshot
from shared.usecases.provision import Start, gather


def preview_pin(
    user_id: UserId,
    tag: ImageTag,
    *,
    catalog: Catalog,
    kv: KV,
    expires_at: datetime | None = None,
    if_match: IfMatch = UNCONDITIONAL,
) -> Preview:
    """Preview `put_pin`. Raises the same."""
    check_expiry(expires_at)
    with snapshot(catalog) as tx:
        _check_pin(user_id, tx, if_match)
        version = get_pinnable(tag, tx)
        is_known = _is_known(user_id, tx, kv)
    before = gather(Start(user_id, "upgrade"), catalog.database, kv)
    return _compare(before, _pinned(before, version, expires_at), is_known=is_known)


def preview_unpin(
    user_id: UserId, *, catalog: Catalog, kv: KV, if_match: IfMatch = UNCONDITIONAL
) -> Preview:
    """Preview `remove_pin`. Raises the same."""
    with snapshot(catalog) as tx:
        _check_pin(user_id, tx, if_match)
        is_known = _is_known(user_id, tx, kv)
    before = gather(Start(user_id, "upgrade"), catalog.database, kv)
    after = gather(Start(user_id, "upgrade", ignores_pin=True), catalog.database, kv)
    return _compare(before, after, is_known=is_known)


def preview_erasure(user_id: UserId, *, catalog: Catalog, kv: KV) -> Preview:
    """Preview `erase_user`: then the user is like one who was never seen. Raises the same."""
    with snapshot(catalog):
        is_known = kv.instances.find(user_id) is not None
    before = gather(Start(user_id, "upgrade"), catalog.database, kv)
    stranger = Start(user_id, "upgrade", ignores_pin=True, ignores_record=True)
    after = gather(stranger, catalog.database, kv)
    return _compare(before, after, is_known=is_known)


def _check_pin(user_id: UserId, tx: Transaction, if_match: IfMatch) -> None:
    pin = tx.pins.find(user_id)
    if_match.check(pin.etag if pin else None)


def _is_known(user_id: UserId, tx: Transaction, kv: KV) -> bool:
    """Whether the user has an instance, by its record or, if the KV is down, by its copy."""
    with suppress(KVUnavailable):
        return kv.instances.find(user_id) is not None
    tx.extend_deadline(GIVEN_BACK_SECONDS)
    return tx.fleet.has(user_id)


def _pinned(before: Facts, version: Version, expires_at: datetime | None) -> Facts:
    images = {**before.images, version.image_tag: version.image}
    pin = PinFact(version.image_tag, expires_at)
    return replace(before, pin=pin, images=images, variant=version.variant)


def _compare(before: Facts, after: Facts, *, is_known: bool) -> Preview:
    if not (before.catalog_up and after.catalog_up):
        raise CatalogUnavailable("the catalog did not answer in time")
    old, new = decide(before), decide(after)
    move = tag_of(old), tag_of(new)
    moves = is_known and move[0] != move[1]
    stays = is_known and not moves and isinstance(new, Resolution) and new.source == "pin"
    return Preview(
        users=int(moves),
        moves=[MoveCount(*move, 1)] if moves else [],
        pinned=int(stays),
        sample=[MovedUser(before.user_id, *move)] if moves else [],
        as_of=before.now,
    )
