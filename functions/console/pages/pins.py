"""Pins: list them, show which need a look, and export them."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from aws_lambda_powertools.event_handler import Response
from pydantic import BaseModel, Field

from functions.console.application import ConsoleRouter
from functions.console.changes.pins import find_pinnable
from functions.console.current import deps, query, show
from functions.console.forms import FilledForm
from functions.console.lists import Listing, list_page
from functions.console.rendering import SECURITY
from shared.catalog.fleet import InstanceFilter
from shared.catalog.pin_pages import PinFilter, State
from shared.catalog.statistics import Statistics, read_statistics
from shared.catalog.transaction import Transaction
from shared.domain.errors import CatalogUnavailable, InvalidRequest
from shared.domain.model import Pin, Version
from shared.domain.values import USER_ID, ImageTag, UserId, rfc3339
from shared.http import cursors, pages
from shared.usecases.pins_csv import write_pins
from shared.usecases.preview import snapshot

router = ConsoleRouter()

OLD = timedelta(days=90)
LONGEST_SEARCH = 255
SUGGESTIONS = 10
EXPORT_PAGE = 1_000
MOST_EXPORTED = 10_000
MOST_BYTES = 4_000_000
"""Lambda answers with at most 6 MB, in which some characters take several bytes."""
Ticked = Literal["true"]


class PinListQuery(pages.PageQuery):
    """The filters of the page."""

    q: str | None = Field(None, max_length=LONGEST_SEARCH)
    image_tag: ImageTag | None = None
    state: State | None = None
    stale: Ticked | None = None
    ending: Ticked | None = None

    @property
    def wanted(self) -> PinFilter:
        return PinFilter(
            self.image_tag,
            self.state,
            self.q,
            stale=self.stale is not None,
            ending=self.ending is not None,
        )


class SuggestionQuery(BaseModel):
    """The part of a user id that is typed in so far."""

    q: str = Field("", max_length=LONGEST_SEARCH)


@dataclass(frozen=True, slots=True)
class ListedPin:
    """A pin, and why it should be looked at."""

    pin: Pin
    version: Version
    stale: Sequence[str]


@dataclass(frozen=True, slots=True)
class PinPageContent:
    """A page of pins with what is counted of all, and the versions that may be pinned."""

    listing: Listing[ListedPin]
    statistics: Statistics
    versions: Sequence[Version]


@router.page("/console/pins")
def show_pins() -> Response[str]:
    """List pins; without the catalog, say that the list is missing."""
    return _show(query(PinListQuery))


def show_pin_form(filled: FilledForm) -> Response[str]:
    """Show the form again that pins a user."""
    return _show(PinListQuery(), filled)


def show_ticked_form(filled: FilledForm) -> Response[str]:
    """Show what to do with the pins that were ticked; if none was, show the pins."""
    users = filled.values.get("user_id")
    if not users:
        return _show(PinListQuery(), replace(filled, values={}))
    listed = [users] if isinstance(users, str) else users
    with deps().catalog.transaction() as tx:
        versions = find_pinnable(tx)
    corrected = replace(filled, values={**filled.values, "user_id": listed})
    return show("ticked_pins.html", filled=corrected, versions=versions)


@router.page("/console/pins/import")
def show_import() -> Response[str]:
    return show_import_form(FilledForm())


def show_import_form(filled: FilledForm) -> Response[str]:
    """Show the form that takes a file of pins."""
    return show("import_pins.html", filled=filled)


@router.page("/console/pins.csv")
def export_pins() -> Response[str]:
    """Answer with all pins that the filters of the page leave, as a file."""
    wanted = query(PinListQuery)
    with snapshot(deps().catalog) as tx:
        text = write_pins(_all(wanted.wanted, tx))
    if len(json.dumps(text)) > MOST_BYTES:
        raise _too_many()
    name = f"pins-{datetime.now(UTC):%Y-%m-%d}.csv"
    headers = {**SECURITY, "content-disposition": f'attachment; filename="{name}"'}
    return Response(200, "text/csv; charset=utf-8", text, headers)


@router.page("/console/suggestions")
def suggest_users() -> Response[str]:
    """Answer with a few users who have an instance: `{"users": [...]}`, for a form's script."""
    part = query(SuggestionQuery).q
    with deps().catalog.transaction() as tx:
        users = _suggest(part, tx)
    return Response(200, "application/json", json.dumps({"users": users}), dict(SECURITY))


def _suggest(part: str, tx: Transaction) -> list[UserId]:
    """Find users whose ids begin with it, for that is quick; if none does, look inside ids."""
    following = tx.fleet.users(part, SUGGESTIONS)
    if users := [user_id for user_id in following if user_id.startswith(part)]:
        return users
    found = tx.fleet.page(InstanceFilter(q=part or None), "user_id", None, SUGGESTIONS)
    return [instance.user_id for instance in found]


def _show(wanted: PinListQuery, filled: FilledForm | None = None) -> Response[str]:
    content: PinPageContent | None = None
    with suppress(CatalogUnavailable):
        content = _read(wanted)
    return show("pins.html", query=wanted, content=content, filled=filled)


def _read(wanted: PinListQuery) -> PinPageContent:
    after = pages.start(wanted, cursors.moment, USER_ID.parse)
    with deps().catalog.transaction() as tx:
        found = tx.pins.page(wanted.wanted, after, wanted.limit + 1)
        versions = tx.versions.find_all({pin.image_tag for pin in found})
        now = tx.now()
        rows = [_listed(pin, versions, now) for pin in found]
        return PinPageContent(
            list_page(wanted, rows, lambda row: _place(row.pin)),
            read_statistics(tx.connection),
            find_pinnable(tx),
        )


def _listed(pin: Pin, versions: Mapping[ImageTag, Version], now: datetime) -> ListedPin:
    version = versions[pin.image_tag]
    why = []
    if version.status == "deprecated":
        why.append("its version is deprecated")
    if pin.expires_at is None and now - pin.created_at > OLD:
        why.append(f"no end, and {(now - pin.created_at).days} days old")
    return ListedPin(pin, version, why)


def _all(wanted: PinFilter, tx: Transaction) -> Iterator[Pin]:
    """Yield all pins, a page at a time. Raises InvalidRequest if they are too many."""
    after: tuple[Any, ...] | None = None
    count = 0
    while found := tx.pins.page(wanted, after, EXPORT_PAGE):
        count += len(found)
        if count > MOST_EXPORTED:
            raise _too_many()
        yield from found
        after = _place(found[-1])


def _place(pin: Pin) -> tuple[str, str]:
    return rfc3339(pin.created_at), pin.user_id


def _too_many() -> InvalidRequest:
    return InvalidRequest(
        ("filters", f"leave more than one file holds, which is {MOST_EXPORTED:,} pins")
    )
