"""From an event to the one endpoint it is for, and from whatever happens to an answer."""

from traceback import extract_tb
from typing import Any

from aws_lambda_powertools.utilities.data_classes import APIGatewayProxyEventV2

from functions.admin_api.answers import Answer, crashed, refused
from functions.admin_api.endpoints import Endpoint, Request, find
from functions.admin_api.parsing import parse_body, parse_path, parse_query, query_names
from functions.admin_api.table import ENDPOINTS
from shared.domain.errors import Refused
from shared.http.auth import Caller, is_under, read_caller
from shared.http.problems import Forbidden, NotBuilt, Unauthorized, UnknownPath
from shared.runtime.dependencies import Dependencies

NOBODY = Caller("nobody", frozenset())


def dispatch(event: APIGatewayProxyEventV2, deps: Dependencies) -> Answer:
    """Answer an event: what the domain refuses is a problem document, the rest a bare 500."""
    try:
        with deps.event(event.request_context.request_id):
            return _answered(event, deps)
    except Refused as refusal:
        return refused(refusal)
    except Exception as error:  # noqa: BLE001  the last resort: logged, and answered as 500
        _log(error, deps)
        return crashed()


def _answered(event: APIGatewayProxyEventV2, deps: Dependencies) -> Answer:
    caller = _caller(event)
    endpoint, values = _find(event, caller)
    _authorize(endpoint, caller)
    _refuse_what_comes_later(endpoint, event)
    request: Request[Any, Any] = Request(
        path=event.raw_path,
        values=parse_path(values),
        query=parse_query(event.raw_query_string, endpoint.query),
        body=_body(endpoint, event),
        caller=caller or NOBODY,
        request_id=event.request_context.request_id,
        deps=deps,
    )
    return endpoint.run(request)


def _caller(event: APIGatewayProxyEventV2) -> Caller | None:
    authorizer = event["requestContext"].get("authorizer") or {}
    return read_caller((authorizer.get("jwt") or {}).get("claims"))


def _find(
    event: APIGatewayProxyEventV2, caller: Caller | None
) -> tuple[Endpoint, dict[str, str]]:
    """Without claims only what needs no token is there, whatever the path says."""
    if caller is None and is_under("v1", event.raw_path):
        raise Unauthorized("a token is needed")
    endpoint, values = find(ENDPOINTS, event.http_method, event.raw_path)
    if caller is None and endpoint.role is not None:
        raise UnknownPath("there is nothing at this path")
    return endpoint, values


def _authorize(endpoint: Endpoint, caller: Caller | None) -> None:
    if endpoint.role is not None and not (caller and caller.may(endpoint.role)):
        raise Forbidden(f"the role {endpoint.role} is needed")


def _refuse_what_comes_later(endpoint: Endpoint, event: APIGatewayProxyEventV2) -> None:
    """Previews, conditions and idempotency keys are refused until they exist, never ignored."""
    later = [] if endpoint.built else ["this endpoint"]
    headers = {name.lower() for name in event.headers}
    if endpoint.mutates:
        names = query_names(event.raw_query_string)
        later += ["dry_run"] if "dry_run" in names and endpoint.template != "/v1/sync" else []
        later += ["If-Match"] if "if-match" in headers else []
    if endpoint.method == "POST" and "idempotency-key" in headers:
        later.append("Idempotency-Key")
    if later:
        raise NotBuilt(f"not built yet: {', '.join(later)}")


def _body(endpoint: Endpoint, event: APIGatewayProxyEventV2) -> object:
    if endpoint.body is None:
        return None
    return parse_body(
        event.body,
        endpoint.body,
        is_base64=bool(event.is_base64_encoded),
        required=endpoint.body_required,
    )


def _log(error: Exception, deps: Dependencies) -> None:
    """Where it happened, without the message: that may hold somebody's data."""
    frames = [f"{frame.name}:{frame.lineno}" for frame in extract_tb(error.__traceback__)]
    kind = type(error).__name__
    deps.telemetry.log("unexpected", level="error", error=kind, frames=frames)
