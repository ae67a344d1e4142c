"""A user: what the instance runs, the pin, what a start would run and why, and the history."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime

from aws_lambda_powertools.event_handler import Response
from pydantic import BaseModel

from functions.console.application import ConsoleRouter
from functions.console.changes.pins import find_pinnable
from functions.console.current import deps, path_value, query, show
from functions.console.explanations import Line, explain_rules
from functions.console.forms import FilledForm
from functions.console.rendering import local_time
from shared.catalog.audit import Event, EventFilter
from shared.catalog.transaction import Transaction
from shared.domain.errors import CatalogUnavailable, KVUnavailable
from shared.domain.model import Instance, Intent, Pin, Version
from shared.domain.values import USER_ID, UserId
from shared.usecases.explanation import Explanation, explain_start
from shared.usecases.provision import Start

router = ConsoleRouter()

SHOWN_EVENTS = 50


class UserQuery(BaseModel):
    """The start to explain."""

    intent: Intent | None = None


@dataclass(frozen=True, slots=True)
class CatalogPart:
    """What the catalog knows: the pin with its version, what may be pinned, the history.

    `copied` is the fleet's copy of the instance record, as of `as_of`.
    """

    pin: Pin | None
    version: Version | None
    versions: Sequence[Version]
    events: Sequence[Event]
    copied: Instance | None
    as_of: datetime | None


@dataclass(frozen=True, slots=True)
class UserState:
    """All that the page shows. `catalog` is None, or `kv_up` false, if a store is down.

    `explanations` has those of the intents that could be explained.
    """

    user_id: UserId
    intent: Intent
    catalog: CatalogPart | None
    instance: Instance | None
    kv_up: bool
    explanations: Mapping[Intent, Explanation] = field(default_factory=dict)

    @property
    def explanation(self) -> Explanation | None:
        return self.explanations.get(self.intent)

    @property
    def form_values(self) -> dict[str, str]:
        """The pin as its form shows it. An end that has passed is left out."""
        pin = self.catalog.pin if self.catalog else None
        if pin is None:
            return {}
        end = None if pin.state == "expired" else pin.expires_at
        return {
            "image_tag": pin.image_tag,
            "expires_at": local_time(end),
            "reason": pin.reason or "",
        }

    @property
    def lines(self) -> list[Line]:
        return explain_rules(self.explanation) if self.explanation else []

    @property
    def drifts_to(self) -> str | None:
        """What a restart would run instead of what runs."""
        return self._changes_to("restart")

    @property
    def upgrades_to(self) -> str | None:
        """What an upgrade would run instead of what runs."""
        return self._changes_to("upgrade")

    @property
    def is_known(self) -> bool:
        """Whether any store has something about the user, as far as they answer."""
        catalog = self.catalog
        return self.instance is not None or (
            catalog is not None and bool(catalog.pin or catalog.events)
        )

    @property
    def is_alias(self) -> bool:
        """Whether it is no user but the alias that the log keeps of an erased one."""
        events = self.catalog.events if self.catalog else ()
        return any(one.action == "user.erased" for one in events)

    def _changes_to(self, intent: Intent) -> str | None:
        explanation = self.explanations.get(intent)
        if self.instance is None or explanation is None:
            return None
        tag = explanation.image_tag
        return None if tag == self.instance.image_tag else tag


@router.page("/console/users/<user_id>")
def show_user(user_id: str) -> Response[str]:
    """Show a user, known or not: one may be pinned before the first start."""
    return _show(path_value(USER_ID, user_id), query(UserQuery).intent)


def show_pin_form(filled: FilledForm) -> Response[str]:
    """Show the form again on the page of its user."""
    user_id = path_value(USER_ID, str(filled.value("user_id")))
    return _show(user_id, None, filled)


def _show(
    user_id: UserId, intent: Intent | None, filled: FilledForm | None = None
) -> Response[str]:
    user = _read(user_id, intent)
    return show("user.html", user=user, filled=filled)


def _read(user_id: UserId, wanted: Intent | None) -> UserState:
    catalog, instance, kv_up = _read_catalog(user_id), None, True
    try:
        instance = deps().kv.instances.find(user_id)
    except KVUnavailable:
        kv_up, instance = False, catalog.copied if catalog else None
    intent: Intent = wanted or ("restart" if instance else "provision")
    explanations: dict[Intent, Explanation] = {}
    # Neither store answers, or the event's time is over.
    with suppress(CatalogUnavailable):
        for one in _intents(intent):
            explanations[one] = _explain(user_id, one)
    return UserState(user_id, intent, catalog, instance, kv_up, explanations)


def _intents(shown: Intent) -> list[Intent]:
    """The intents to explain, the one that is shown first."""
    both: list[Intent] = ["restart", "upgrade"]
    return [shown, *(one for one in both if one != shown)]


def _explain(user_id: UserId, intent: Intent) -> Explanation:
    return explain_start(Start(user_id, intent), database=deps().database, kv=deps().kv)


def _read_catalog(user_id: UserId) -> CatalogPart | None:
    try:
        with deps().catalog.transaction() as tx:
            return _read_part(user_id, tx)
    except CatalogUnavailable:
        return None


def _read_part(user_id: UserId, tx: Transaction) -> CatalogPart:
    pin = tx.pins.find(user_id)
    version = tx.versions.find(pin.image_tag) if pin else None
    versions = find_pinnable(tx)
    if version and version not in versions and version.status != "disabled":
        versions.append(version)
    return CatalogPart(
        pin=pin,
        version=version,
        versions=versions,
        events=tx.audit.page(EventFilter(subject=user_id, kind="user"), None, SHOWN_EVENTS),
        copied=tx.fleet.find_all([user_id]).get(user_id),
        as_of=tx.fleet.as_of(),
    )
