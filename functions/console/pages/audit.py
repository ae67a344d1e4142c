"""The audit log: who changed what, when and why."""

from contextlib import suppress
from typing import Literal, get_args

from aws_lambda_powertools.event_handler import Response
from pydantic import BaseModel, Field

from functions.console.application import ConsoleRouter
from functions.console.current import deps, query, show
from functions.console.forms import UtcInput
from functions.console.lists import Listing, list_page, options
from shared.catalog.audit import Action, Event, EventFilter
from shared.catalog.transaction import Transaction
from shared.domain.errors import CatalogUnavailable
from shared.domain.values import Actor
from shared.http import cursors, pages
from shared.usecases.verify_audit import verify_audit

router = ConsoleRouter()

LONGEST = 255
VERIFIED = 10_000
"""So many of the newest events are verified at once, within these seconds."""
VERIFY_SECONDS = 3.0


class AuditListQuery(pages.PageQuery):
    """The filters of the page. `since` is included, `until` is not."""

    actor: Actor | None = Field(None, max_length=LONGEST)
    action: Action | None = None
    subject: str | None = Field(None, max_length=LONGEST)
    since: UtcInput | None = None
    until: UtcInput | None = None


class VerifyQuery(BaseModel):
    """Whether to verify the log. It is no part of the list's address."""

    verify: Literal["true"] | None = None


@router.page("/console/audit")
def show_audit() -> Response[str]:
    """List events; without the catalog, say that the list is missing."""
    wanted = query(AuditListQuery)
    listing, newest_seal, verification = None, None, None
    with suppress(CatalogUnavailable):
        with deps().catalog.transaction() as tx:
            listing, newest_seal = _read(tx, wanted), tx.seals.newest()
        if query(VerifyQuery).verify:
            verification = verify_audit(deps().catalog, events=VERIFIED, seconds=VERIFY_SECONDS)
    return show(
        "audit.html",
        query=wanted,
        actions=options("Any action", get_args(Action)),
        listing=listing,
        newest_seal=newest_seal,
        verification=verification,
    )


def _read(tx: Transaction, wanted: AuditListQuery) -> Listing[Event]:
    (after,) = pages.start(wanted, cursors.whole_number) or (None,)
    asked = EventFilter(**wanted.model_dump(exclude={"limit", "cursor"}))
    rows = tx.audit.page(asked, after, wanted.limit + 1)
    return list_page(wanted, rows, lambda event: (event.id,))
