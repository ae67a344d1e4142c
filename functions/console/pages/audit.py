"""The audit log: who changed what, when and why."""

from contextlib import suppress
from typing import get_args

from aws_lambda_powertools.event_handler import Response
from pydantic import Field

from functions.console.application import ConsoleRouter
from functions.console.current import deps, query, show
from functions.console.forms import UtcInput
from functions.console.lists import Listing, list_page, options
from shared.catalog.audit import Action, Event, EventFilter
from shared.domain.errors import CatalogUnavailable
from shared.domain.values import Actor
from shared.http import cursors, pages

router = ConsoleRouter()

LONGEST = 255


class AuditListQuery(pages.PageQuery):
    """The filters of the page. `since` is included, `until` is not."""

    actor: Actor | None = Field(None, max_length=LONGEST)
    action: Action | None = None
    subject: str | None = Field(None, max_length=LONGEST)
    since: UtcInput | None = None
    until: UtcInput | None = None


@router.page("/console/audit")
def show_audit() -> Response[str]:
    """List events; without the catalog, say that the list is missing."""
    wanted = query(AuditListQuery)
    listing = None
    with suppress(CatalogUnavailable):
        listing = _read(wanted)
    return show(
        "audit.html",
        query=wanted,
        actions=options("Any action", get_args(Action)),
        listing=listing,
    )


def _read(wanted: AuditListQuery) -> Listing[Event]:
    (after,) = pages.start(wanted, cursors.whole_number) or (None,)
    asked = EventFilter(**wanted.model_dump(exclude={"limit", "cursor"}))
    with deps().catalog.transaction() as tx:
        rows = tx.audit.page(asked, after, wanted.limit + 1)
    return list_page(wanted, rows, lambda event: (event.id,))
