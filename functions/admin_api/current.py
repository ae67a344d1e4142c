"""The current request: its dependencies, its caller and its idempotency record."""

from typing import TYPE_CHECKING, Any

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.middlewares import NextMiddleware

from functions.admin_api.preconditions import refuse_unmatchable
from shared.domain.etags import IfMatch
from shared.domain.model import Initiator
from shared.domain.values import Reason, UserId
from shared.http.auth import Caller
from shared.http.resolver import HttpResolver
from shared.http.router import KEY_HEADER
from shared.runtime.dependencies import Dependencies
from shared.usecases.rollback import KeptTarget

if TYPE_CHECKING:
    from shared.catalog.idempotency import RunningCall

app = HttpResolver(checks=(refuse_unmatchable,))
RECORDS = "records"


def deps() -> Dependencies:
    found: Dependencies = app.context["deps"]
    return found


def caller() -> Caller:
    """Who asks, where a role is needed."""
    found: Caller = app.context["caller"]
    return found


def stores(if_match: str | None) -> dict[str, Any]:
    """Return the stores, and the state from which a change may start."""
    return {"catalog": deps().catalog, "kv": deps().kv, "if_match": IfMatch(if_match)}


def initiator(reason: Reason | None = None) -> Initiator:
    """Who asks and why, for the audit log."""
    call = _running_call()
    call_id = str(call.id) if call else None
    return Initiator(caller().actor, app.event.request_id, reason, call_id)


def kept_target() -> KeptTarget | None:
    """Where a rollback keeps its target; None for a call that nobody can repeat."""
    call = _running_call()
    if call is None:
        return None
    return KeptTarget(
        call.target, lambda tx, target: tx.idempotency_keys.keep_target(call, target)
    )


def answer_will_name(users: list[UserId]) -> None:
    """Have an erasure of one of these users delete the stored answer."""
    call = _running_call()
    if call is not None:
        with deps().catalog.transaction() as tx:
            tx.idempotency_keys.name_users(call, users)


def _running_call() -> "RunningCall | None":
    records = app.context.get(RECORDS)
    running: RunningCall | None = records.running if records else None
    return running


def _answer_once(_app: Any, next_middleware: NextMiddleware) -> Response[Any]:
    """Answer a POST with a key once. A preview changes nothing and uses up no key."""
    event = app.event
    key = event.headers.get(KEY_HEADER) if event.request_context.http.method == "POST" else None
    query = event.resolved_query_string_parameters
    app.context.pop(RECORDS, None)
    if key is None or query.get("dry_run") == "true":
        return next_middleware(_app)
    # Imported late: most calls have no key.
    from shared.http.idempotency import CallRecords, answer_once  # noqa: PLC0415

    app.context[RECORDS] = records = CallRecords(deps().catalog)
    return answer_once(
        lambda: next_middleware(_app),
        (caller().actor, event.path, key),
        [query, event.json_body],
        records=records,
        context=app.lambda_context,
        serialize=app.serialize,
    )


app.use(middlewares=[_answer_once])
