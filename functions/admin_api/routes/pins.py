"""Pins: who is held at which version."""

from functions.admin_api.current import answer_will_name, deps, initiator
from functions.admin_api.fields import DryRun, IfMatchHeader, UserIdPath
from functions.admin_api.inputs import BulkPinItem, BulkPinsInput, PinInput
from functions.admin_api.outputs.pins import BulkOutput, PinPage, UserPinOutput
from functions.admin_api.outputs.previews import PreviewOutput
from functions.admin_api.queries import PinsQuery, ReasonQuery
from shared.catalog.pin_pages import PinFilter
from shared.domain.errors import (
    BulkRejected,
    PinNotFound,
    StaleRevision,
    VersionDisabled,
    VersionNotFound,
)
from shared.domain.etags import IfMatch
from shared.domain.model import PinContent
from shared.domain.values import USER_ID, rfc3339
from shared.http import cursors, pages
from shared.http.router import Router
from shared.usecases import bulk_pins, pins
from shared.usecases.bulk_pins import BulkItem
from shared.usecases.preview_bulk import preview_change_pins
from shared.usecases.preview_users import preview_pin, preview_unpin

router = Router("pins")


@router.get("/v1/pins")
def list_pins(query: PinsQuery) -> PinPage:
    """List pins, the newest first."""
    after = pages.start(query, cursors.moment, USER_ID.parse)
    wanted = PinFilter(query.image_tag, query.state, query.q, stale=bool(query.stale))
    with deps().catalog.transaction() as tx:
        rows = tx.pins.page(wanted, after, query.limit + 1)
    return pages.page(query, PinPage, rows, lambda pin: (rfc3339(pin.created_at), pin.user_id))


@router.post("/v1/pins/bulk", refuses=(BulkRejected,))
def change_pins(body: BulkPinsInput, dry_run: DryRun = "false") -> BulkOutput | PreviewOutput:
    """Pin and unpin up to a thousand users in one transaction."""
    items, catalog = [_item(item) for item in body.items], deps().catalog
    if dry_run == "true":
        impact = preview_change_pins(items, body.mode, catalog=catalog, kv=deps().kv)
        return PreviewOutput.of(impact)
    answer_will_name([item.user_id for item in items])
    return BulkOutput.of(
        bulk_pins.change_pins(items, body.mode, by=initiator(), catalog=catalog)
    )


@router.get("/v1/users/<user_id>/pin", refuses=(PinNotFound,))
def get_pin(user_id: UserIdPath) -> UserPinOutput:
    """Show a user's pin with its version."""
    return UserPinOutput.of(pins.get_pin(user_id, catalog=deps().catalog))


@router.put(
    "/v1/users/<user_id>/pin",
    answers={201: "The new pin", 200: "The pin, in place of the one before"},
    refuses=(VersionNotFound, VersionDisabled, StaleRevision),
)
def put_pin(
    user_id: UserIdPath,
    body: PinInput,
    dry_run: DryRun = "false",
    if_match: IfMatchHeader = None,
) -> tuple[UserPinOutput | PreviewOutput, int]:
    """Pin a user to a version, in place of any pin before."""
    if dry_run == "true":
        impact = preview_pin(
            user_id,
            body.image_tag,
            catalog=deps().catalog,
            kv=deps().kv,
            expires_at=body.expires_at,
            if_match=IfMatch(if_match),
        )
        return PreviewOutput.of(impact), 200
    pinned = pins.put_pin(
        user_id,
        body.image_tag,
        by=initiator(body.reason),
        catalog=deps().catalog,
        expires_at=body.expires_at,
        if_match=IfMatch(if_match),
    )
    return UserPinOutput.of(pinned), 201 if pinned.is_new else 200


@router.delete("/v1/users/<user_id>/pin", refuses=(StaleRevision,))
def remove_pin(
    user_id: UserIdPath,
    query: ReasonQuery,
    dry_run: DryRun = "false",
    if_match: IfMatchHeader = None,
) -> PreviewOutput | None:
    """Unpin a user.

    Idempotent.
    """
    catalog, condition = deps().catalog, IfMatch(if_match)
    if dry_run == "true":
        impact = preview_unpin(user_id, catalog=catalog, kv=deps().kv, if_match=condition)
        return PreviewOutput.of(impact)
    by = initiator(query.reason)
    pins.remove_pin(user_id, by=by, catalog=catalog, if_match=condition)
    return None


def _item(given: BulkPinItem) -> BulkItem:
    content = None
    if given.image_tag is not None:
        content = PinContent(given.image_tag, given.reason, given.expires_at)
    return BulkItem(given.user_id, content, given.reason)
