"""The resolver of a JSON API, with what this API promises beyond Powertools'.

That is: strict query strings and bodies, the caller's role, and RFC 9457 problems for whatever
is refused.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.api_gateway import Route
from aws_lambda_powertools.event_handler.middlewares.openapi_validation import (
    OpenAPIRequestValidationMiddleware,
    OpenAPIResponseValidationMiddleware,
)
from aws_lambda_powertools.event_handler.openapi.exceptions import RequestValidationError

from shared.domain.errors import InvalidRequest, Refused
from shared.domain.values import escape_name
from shared.http.auth import Caller, is_under
from shared.http.base_resolver import BaseResolver, HttpEvent
from shared.http.faults import name_fault
from shared.http.problems import (
    CONTENT_TYPE,
    Forbidden,
    Unauthorized,
    UnknownPath,
    problem,
    problem_headers,
)
from shared.http.responses import Revised
from shared.http.router import required_roles

Check = Callable[[Route, HttpEvent], None]


class HttpResolver(BaseResolver):
    """Answers with JSON; `checks` may refuse a request before it is validated.

    An event's context holds `caller` too.
    """

    def __init__(self, checks: Sequence[Check] = ()) -> None:
        super().__init__(enable_validation=True)
        self._request_validation_middleware = _Gate(checks)
        self._response_validation_middleware = OpenAPIResponseValidationMiddleware(
            has_response_validation_error=True
        )

    def refused(self, refusal: Refused) -> Response[Any]:
        """Answer with a problem document; without a token, as API Gateway itself would."""
        document = problem(refusal.code, refusal.detail, refusal.facts, self.event.request_id)
        status, headers = document["status"], problem_headers(refusal.code, refusal.facts)
        if isinstance(refusal, Unauthorized):
            return Response(status, "application/json", {"message": document["title"]}, headers)
        return Response(status, CONTENT_TYPE, self._serializer(document), headers)

    def _to_response(self, result: Any) -> Response[Any]:
        """Turn a result into a response. None has no content; a row's answer has an ETag."""
        if result is None:
            return Response(204)
        response = cast("Response[Any]", super()._to_response(result))
        if isinstance(response.body, Revised):
            response.headers["ETag"] = f'"{response.body.etag}"'
        return response


class _Gate(OpenAPIRequestValidationMiddleware):
    """Sees each request first: sets its deadline, counts it, authorizes, and validates."""

    def __init__(self, checks: Sequence[Check]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._checks = checks

    def handler(self, app: Any, next_middleware: Any) -> Response[Any]:
        route: Route = app.context["_route"]
        event: HttpEvent = app.current_event
        with app.context["deps"].event(event.request_id):
            app.context["caller"] = _authorize(route, event)
            for check in self._checks:
                check(route, event)
            _refuse_unknown_parameters(route, event)
            _refuse_unread_body(route, event)
            try:
                return super().handler(app, next_middleware)
            except RequestValidationError as error:
                raise _invalid(error.errors()) from None

    def _get_body(self, app: Any) -> dict[str, Any]:
        """Read the body as JSON, whatever its content type says."""
        body: dict[str, Any] = app.current_event.json_body
        return body


def _authorize(route: Route, event: HttpEvent) -> Caller | None:
    """Return the caller. Without claims, only what needs no token exists."""
    caller, roles = event.caller, required_roles(route)
    if caller is None and is_under("v1", event.path):
        raise Unauthorized("a token is needed")
    if not roles:
        return caller
    if caller is None:
        raise UnknownPath("there is nothing at this path")
    if not any(map(caller.may, roles)):
        raise Forbidden(f"the role {' or '.join(roles)} is needed")
    return caller


def _refuse_unknown_parameters(route: Route, event: HttpEvent) -> None:
    """Refuse unknown parameters, which the resolver ignores, on every path that exists."""
    if required_roles(route) is None:
        return
    known = {parameter.alias for parameter in route.dependant.query_params}
    unknown = [name for name in event.resolved_query_string_parameters if name not in known]
    if unknown:
        raise InvalidRequest(*((escape_name(name), "is not known") for name in unknown))


def _refuse_unread_body(route: Route, event: HttpEvent) -> None:
    """A body that no field takes is as wrong as an unknown field."""
    if required_roles(route) is not None and event.body and not route.dependant.body_params:
        raise InvalidRequest(("body", "is not taken here"))


def _invalid(errors: Sequence[Any]) -> InvalidRequest:
    return InvalidRequest(*map(_fault, errors))


def _fault(error: Mapping[str, Any]) -> tuple[str, str]:
    """Name the field without where it was given."""
    place, *names = error["loc"]
    return name_fault({**error, "loc": names}, str(place))
