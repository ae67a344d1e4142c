"""Pin a user to a version, unpin, and erase a user."""

from dataclasses import dataclass
from datetime import UTC, datetime

from shared.catalog.transaction import Catalog, Transaction
from shared.domain.errors import (
    InvalidRequest,
    PinNotFound,
    VersionDisabled,
    VersionNotFound,
)
from shared.domain.etags import UNCONDITIONAL, IfMatch
from shared.domain.model import Initiator, Pin, Version
from shared.domain.values import ImageTag, UserId
from shared.kv import KV


@dataclass(frozen=True, slots=True)
class Pinned:
    """A pin with its version. `warnings` has `version_deprecated` if that is deprecated."""

    pin: Pin
    version: Version
    is_new: bool = False

    @property
    def warnings(self) -> list[str]:
        return ["version_deprecated"] if self.version.status == "deprecated" else []


def get_pin(user_id: UserId, *, catalog: Catalog) -> Pinned:
    """Find a user's pin and its version. Raises PinNotFound."""
    with catalog.transaction() as tx:
        pin = tx.pins.find(user_id)
        # An expired pin does not keep its version from being retired.
        version = tx.versions.find(pin.image_tag) if pin else None
        if pin is None or version is None:
            raise PinNotFound("the user has no pin")
        return Pinned(pin, version)


def put_pin(
    user_id: UserId,
    tag: ImageTag,
    *,
    by: Initiator,
    catalog: Catalog,
    expires_at: datetime | None = None,
    if_match: IfMatch = UNCONDITIONAL,
) -> Pinned:
    """Pin a user, replacing any earlier pin; the initiator's reason is kept in the pin.

    `if_match` is about the earlier pin. Raises VersionNotFound, VersionDisabled, StaleRevision,
    InvalidRequest for an expiry in the past.
    """
    check_expiry(expires_at)
    with catalog.transaction() as tx:
        alias = tx.users.lock(user_id)
        tx.versions.lock_for_share([tag])
        tx.pins.lock(user_id)
        before = tx.pins.find(user_id)
        if_match.check(before.etag if before else None)
        version = get_pinnable(tag, tx)
        tx.pins.put(user_id, tag, by, expires_at)
        pin = tx.pins.find_all([user_id])[user_id]
        if before is None or before.revision != pin.revision:
            tx.audit.record(
                by, "pin.set", "user", alias,
                before=before.content.as_json() if before else None,
                after=pin.content.as_json(),
            )  # fmt: skip
        return Pinned(pin, version, is_new=before is None)


def check_expiry(expires_at: datetime | None) -> None:
    """Raises InvalidRequest for an expiry in the past."""
    if expires_at is not None and expires_at <= datetime.now(UTC):
        raise InvalidRequest(("expires_at", "must be in the future"))


def get_pinnable(tag: ImageTag, tx: Transaction) -> Version:
    """Find a version that users may be pinned to. Raises VersionNotFound, VersionDisabled."""
    return check_pinnable(tx.versions.find(tag))


def check_pinnable(version: Version | None) -> Version:
    """Return the version if users may be pinned to it.

    Raises VersionNotFound, VersionDisabled.
    """
    if version is None or version.retired_at is not None:
        raise VersionNotFound("no version has this tag")
    if version.status == "disabled":
        raise VersionDisabled("nobody can be pinned to a disabled version")
    return version


def remove_pin(
    user_id: UserId, *, by: Initiator, catalog: Catalog, if_match: IfMatch = UNCONDITIONAL
) -> None:
    """Unpin a user. Idempotent. Raises StaleRevision."""
    with catalog.transaction() as tx:
        alias = tx.users.lock_known(user_id)
        tx.pins.lock(user_id)
        before = tx.pins.find(user_id)
        if_match.check(before.etag if before else None)
        if alias is not None and before is not None:
            tx.pins.remove(user_id)
            content = before.content.as_json()
            tx.audit.record(by, "pin.removed", "user", alias, before=content)


def erase_user(user_id: UserId, *, by: Initiator, catalog: Catalog, kv: KV) -> None:
    """Forget a person: pin, instance record, stored answers, and whom the alias stands for.

    The record is deleted last, inside the transaction. So nothing changes while the KV is down,
    and a repeat finishes what a crash cut short. Raises CatalogUnavailable, KVUnavailable.
    """
    with catalog.transaction() as tx:
        was_known = tx.users.lock_known(user_id) is not None
        # Created if missing, so that nobody pins the user in between.
        alias = tx.users.lock(user_id)
        had_pin = tx.pins.remove(user_id)
        tx.users.forget(user_id)
        tx.fleet.forget(user_id)
        tx.idempotency_keys.forget(user_id)
        had_instance = kv.instances.forget(user_id)
        if was_known or had_pin or had_instance:
            tx.audit.record(by, "user.erased", "user", alias)
