"""Pin and unpin many users in one transaction."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from shared.catalog.pins import PinChange
from shared.catalog.transaction import Catalog
from shared.domain.errors import BulkRejected, Refused, StaleRevision
from shared.domain.model import Initiator, PinContent, Version
from shared.domain.values import ImageTag, Reason, UserId
from shared.usecases.pins import check_expiry, check_pinnable

Mode = Literal["atomic", "best_effort"]
Refusals = Mapping[UserId, Refused]
MOST_ITEMS = 1000


@dataclass(frozen=True, slots=True)
class BulkItem:
    """A user to be pinned as `content` says; None unpins. `reason` goes to the log."""

    user_id: UserId
    content: PinContent | None
    reason: Reason | None = None


@dataclass(frozen=True, slots=True)
class BulkResult:
    """What became of an item; `code` says why it failed."""

    user_id: UserId
    status: Literal["pinned", "unpinned", "unchanged", "failed"]
    code: str | None = None
    warnings: tuple[Literal["version_deprecated"], ...] = ()


def change_pins(
    items: Sequence[BulkItem],
    mode: Mode,
    *,
    by: Initiator,
    catalog: Catalog,
    seen: Mapping[UserId, PinContent | None] | None = None,
) -> list[BulkResult]:
    """Pin and unpin users, each named once; the results are in the order of the items.

    An atomic call raises BulkRejected if an item is refused, and does nothing. `seen` are the
    pins on which the items rest: if one has changed since, StaleRevision is raised.

    Locks are taken as by every other change of pins: aliases, then versions, then pins, each
    in order. So two calls about the same users wait for each other and never deadlock.
    """
    tags = {item.content.image_tag for item in items if item.content}
    with catalog.transaction() as tx:
        # Refused at once, so that no alias is made for a user who is not pinned.
        refusals = check_items(items, mode, tx.versions.find_all(tags))
        wanted = [item for item in items if item.user_id not in refusals]
        aliases = tx.users.lock_all({item.user_id: item.content is not None for item in wanted})
        tx.versions.lock_for_share(tags)
        versions = tx.versions.find_all(tags)
        refusals = {**refusals, **check_items(wanted, mode, versions)}
        before = tx.pins.lock_all(aliases)
        check_seen(seen or {}, before)
        changes = [
            PinChange(
                item.user_id,
                aliases[item.user_id],
                before.get(item.user_id),
                item.content,
                item.reason,
            )
            for item in wanted
            if item.user_id not in refusals and before.get(item.user_id) != item.content
        ]
        tx.pins.write_all(changes, by)
    changed = {change.user_id for change in changes}
    return [_result(item, versions, refusals, changed) for item in items]


def check_seen(
    seen: Mapping[UserId, PinContent | None], present: Mapping[UserId, PinContent]
) -> None:
    """Raises StaleRevision if a pin is not as it was seen; None is no pin."""
    if any(present.get(user_id) != content for user_id, content in seen.items()):
        raise StaleRevision("a pin has changed since")


def check_items(
    items: Sequence[BulkItem], mode: Mode, versions: Mapping[ImageTag, Version]
) -> Refusals:
    """Return the items that a single call would refuse. Raises BulkRejected if atomic."""
    found = {item.user_id: _refusal(item, versions) for item in items}
    refusals = {user_id: refusal for user_id, refusal in found.items() if refusal}
    if refusals and mode == "atomic":
        errors = [
            {
                "index": index,
                "user_id": item.user_id,
                "code": refusals[item.user_id].code,
                "message": refusals[item.user_id].detail,
            }
            for index, item in enumerate(items)
            if item.user_id in refusals
        ]
        raise BulkRejected(f"{len(errors)} of {len(items)} items are refused", errors=errors)
    return refusals


def _refusal(item: BulkItem, versions: Mapping[ImageTag, Version]) -> Refused | None:
    if item.content is None:
        return None
    try:
        check_expiry(item.content.expires_at)
        check_pinnable(versions.get(item.content.image_tag))
    except Refused as refusal:
        return refusal
    return None


def _result(
    item: BulkItem,
    versions: Mapping[ImageTag, Version],
    refusals: Refusals,
    changed: Collection[UserId],
) -> BulkResult:
    if item.user_id in refusals:
        return BulkResult(item.user_id, "failed", refusals[item.user_id].code)
    status: Literal["pinned", "unpinned"] = "pinned" if item.content else "unpinned"
    deprecated = item.content and versions[item.content.image_tag].status == "deprecated"
    return BulkResult(
        item.user_id,
        status if item.user_id in changed else "unchanged",
        warnings=("version_deprecated",) if deprecated else (),
    )
