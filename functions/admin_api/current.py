"""The event that is being answered: who asks, and with what it is answered."""

from functions.admin_api.not_built import refuse_what_comes_later
from functions.admin_api.preconditions import refuse_unmatchable
from shared.domain.model import Initiator
from shared.domain.values import Reason
from shared.http.auth import Caller
from shared.http.resolver import HttpResolver
from shared.runtime.dependencies import Dependencies

app = HttpResolver(checks=(refuse_what_comes_later, refuse_unmatchable))


def deps() -> Dependencies:
    found: Dependencies = app.context["deps"]
    return found


def caller() -> Caller:
    """Who asks, where a role is needed."""
    found: Caller = app.context["caller"]
    return found


def initiator(reason: Reason | None = None) -> Initiator:
    """Who asks and why, for the audit log."""
    return Initiator(caller().actor, app.event.request_id, reason)
