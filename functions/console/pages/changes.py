"""Make a change: show what it would do, and do it once a person has confirmed."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from aws_lambda_powertools.event_handler import Response

from functions.console.application import ConsoleRouter
from functions.console.changes import CHANGES
from functions.console.changes.base import Change, Stores, hash_state
from functions.console.current import deps, form, initiator, session, show
from functions.console.forms import FilledForm, Form, pairs, validate
from functions.console.pages.form_pages import FORM_PAGES
from functions.console.rendering import redirect
from functions.console.words import advice
from shared.catalog.audit import Event, EventFilter
from shared.catalog.transaction import Transaction
from shared.domain.errors import InvalidRequest, Refused, StaleRevision
from shared.domain.etags import IfMatch
from shared.domain.roles import Role
from shared.http.auth import Caller
from shared.http.problems import PROBLEMS, Forbidden, UnknownPath
from shared.usecases.disable import Changed

router = ConsoleRouter()

CONTROLS = ("seen", "seen_event", "typed", "edit")
"""Fields of the page that confirms: the states it showed, the newest event then, the text that
a person had to type, and the wish to go back to the form."""
SHOWN_EVENTS = 5
EVENT_ID = re.compile(r"[0-9]{1,19}")


@dataclass(frozen=True, slots=True)
class State:
    """What a preview rests on: the mark of the rows, the newest event, and those since.

    `warnings` are the change's, as things are now.
    """

    seen: str = ""
    newest_event: int = 0
    news: Sequence[Event] = ()
    warnings: Sequence[str] = ()


@router.action("/console/changes/<name>", requires=("publisher", "viewer"))
def make_change(name: str) -> Response[str]:
    """Show what a change would do; with `seen`, make it, unless that has changed since."""
    kind = _find_kind(name)
    fields = dict(form())
    controls = {control: fields.pop(control, None) for control in CONTROLS}
    if controls["edit"] is not None:
        return _give_back(kind, fields, UnknownPath("this change has no form"))
    try:
        change = validate(kind, fields)
    except InvalidRequest as invalid:
        return _give_back(kind, fields, invalid)
    _authorize(change.role(deps().settings))
    if controls["seen"] is None:
        return _confirm(change, fields)
    if change.must_type is not None and controls["typed"] != change.must_type:
        return _confirm(change, fields, mistyped=True, status=HTTPStatus.UNPROCESSABLE_ENTITY)
    return _make(change, fields, controls)


def _find_kind(name: str) -> type[Change]:
    kind = CHANGES.get(name)
    if kind is None:
        raise UnknownPath("there is no such change")
    _authorize(kind.requires)
    return kind


def _authorize(role: Role) -> None:
    if not Caller(session().actor, session().roles).may(role):
        raise Forbidden(f"the role {role} is needed")


def _give_back(kind: type[Change], fields: Form, refusal: Refused) -> Response[str]:
    """Show the change's form again, filled in; without one, show the refusal."""
    page = FORM_PAGES.get(kind.name)
    if page is None:
        raise refusal
    return page(FilledForm.of(fields, refusal))


def _make(change: Change, fields: Form, controls: dict[str, Any]) -> Response[str]:
    try:
        if_match = _check_seen(change, controls["seen"])
        made = change.act(_stores(), initiator(change.reason), if_match)
    except StaleRevision:
        since = str(controls["seen_event"])
        return _confirm(change, fields, since=since, status=HTTPStatus.PRECONDITION_FAILED)
    if isinstance(made, Changed) and made.suspended:
        deps().telemetry.count("PinsSuspended", made.suspended)
    return redirect(change.goes_to, done=change.name)


def _check_seen(change: Change, seen: object) -> IfMatch:
    """Raises StaleRevision if the states are not those that were seen."""
    with deps().catalog.transaction() as tx:
        state = change.seen_state(tx)
    if hash_state(state) != seen:
        raise StaleRevision("it has changed since")
    return IfMatch.exactly(next(iter(state.values())))


def _confirm(
    change: Change,
    fields: Form,
    *,
    status: int = HTTPStatus.OK,
    mistyped: bool = False,
    since: str | None = None,
) -> Response[str]:
    """Show what the change would do; `since` is the newest event that was seen before."""
    state, preview, refusal = State(), None, None
    try:
        with deps().catalog.transaction() as tx:
            state = _read_state(change, tx, since)
        preview = change.preview(_stores())
    except Refused as found:
        refusal, status = found, PROBLEMS[found.code].status
    return show(
        "confirm.html",
        status=status,
        path=change.goes_back_to,
        change=change,
        hidden=[pair for pair in pairs(fields) if pair[0] != "reason"],
        has_form=change.name in FORM_PAGES,
        state=state,
        preview=preview,
        refusal=refusal,
        advice=advice(refusal) if refusal else None,
        is_stale=since is not None,
        mistyped=mistyped,
    )


def _read_state(change: Change, tx: Transaction, since: str | None) -> State:
    newest = tx.audit.page(EventFilter(), None, 1)
    seen = int(since) if since and EVENT_ID.fullmatch(since) else 0
    news = [
        event
        for subject in (change.subjects(tx) if since else ())
        for event in tx.audit.page(EventFilter(subject=subject), None, SHOWN_EVENTS)
        if event.id > seen
    ]
    seen_now, warnings = hash_state(change.seen_state(tx)), change.warnings(tx)
    return State(seen_now, newest[0].id if newest else 0, news, warnings)


def _stores() -> Stores:
    return Stores(deps().catalog, deps().kv)
