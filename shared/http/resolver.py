"""Powertools' resolver, with what this API promises beyond it.

That is: 405 with `Allow`, any text in path values, user ids with slashes, strict query
strings and bodies, the caller's role, and RFC 9457 problems for whatever is refused.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from traceback import extract_tb
from typing import Any, cast

from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response
from aws_lambda_powertools.event_handler.api_gateway import Route
from aws_lambda_powertools.event_handler.middlewares.openapi_validation import (
    OpenAPIRequestValidationMiddleware,
    OpenAPIResponseValidationMiddleware,
)
from aws_lambda_powertools.event_handler.openapi.exceptions import RequestValidationError
from aws_lambda_powertools.utilities.data_classes import APIGatewayProxyEventV2

from shared.domain.errors import InvalidRequest, Refused
from shared.http.auth import Caller, is_under, read_caller
from shared.http.json_bodies import parse_json_object
from shared.http.problems import (
    CONTENT_TYPE,
    Forbidden,
    MethodNotAllowed,
    Unauthorized,
    UnknownPath,
    problem,
    problem_headers,
)
from shared.http.query_strings import escape_untrusted, parse_query_string
from shared.http.responses import Revised
from shared.http.router import required_roles

ALWAYS = {"cache-control": "no-store", "x-content-type-options": "nosniff"}
MESSAGES: Mapping[str, str] = {
    "missing": "is required",
    "extra_forbidden": "is not known",
    "string_type": "must be a string",
    "string_unicode": "must not contain lone surrogates",
    "bool_type": "must be true or false",
    "literal_error": "must be {expected}",
    "invalid_key": "must not have names with lone surrogates",
}
SEGMENTS: Mapping[str, str] = {"user_id": ".+"}
"""Patterns of path values. Any value not named here is all text up to the next slash."""

Check = Callable[[Route, "HttpEvent"], None]


class HttpEvent(APIGatewayProxyEventV2):
    """An HTTP API's event whose query string and body are read by our parsers."""

    @property
    def path(self) -> str:
        """The path as the client sent it, because the API has the stage `$default` alone."""
        return self.raw_path

    @property
    def request_id(self) -> str:
        return self.request_context.request_id

    @cached_property
    def caller(self) -> Caller | None:
        return read_caller(self.request_context.authorizer.jwt_claim)

    @cached_property
    def resolved_query_string_parameters(self) -> dict[str, Any]:
        return dict(parse_query_string(self.raw_query_string))

    @cached_property
    def json_body(self) -> Any:
        return parse_json_object(self.body or "", is_base64=bool(self.is_base64_encoded))


class HttpResolver(APIGatewayHttpResolver):
    """Answers an HTTP API's events; `checks` may refuse a request before it is validated.

    An event's context holds `deps` (put there by the handler) and `caller`.
    """

    def __init__(self, checks: Sequence[Check] = ()) -> None:
        super().__init__(enable_validation=True)
        self._request_validation_middleware = _Gate(checks)
        self._response_validation_middleware = OpenAPIResponseValidationMiddleware(
            has_response_validation_error=True
        )
        self.not_found(self._refuse_path)
        self.exception_handler(Refused)(self._refused)
        self.exception_handler(Exception)(self._crashed)

    @property
    def event(self) -> HttpEvent:
        """The event that is being answered."""
        return cast("HttpEvent", self.current_event)

    @property
    def routes(self) -> list[Route]:
        return [*self._static_routes, *self._dynamic_routes]

    def resolve(self, event: Mapping[str, Any], context: Any) -> dict[str, Any]:
        """Answer an event (payload format 2.0), with the request's id in a header."""
        answer = super().resolve(event, context)
        request_id = event["requestContext"]["requestId"]
        answer["headers"] = {**ALWAYS, "x-request-id": request_id, **answer["headers"]}
        return answer

    @staticmethod
    def _compile_regex(rule: str, base_regex: str = r"{}\Z") -> re.Pattern[str]:
        """Match a path to its very end. Powertools' own pattern allows some characters only."""
        parts = re.split(r"<(\w+)>", rule)
        texts, names = map(re.escape, parts[::2]), parts[1::2]
        groups = [f"(?P<{name}>{SEGMENTS.get(name, '[^/]+')})" for name in names]
        pattern = "".join(map("".join, zip(texts, [*groups, ""], strict=True)))
        return re.compile(base_regex.format(pattern), re.DOTALL)

    def _to_proxy_event(self, event: dict[str, Any]) -> HttpEvent:
        return HttpEvent(event)

    def _to_response(self, result: Any) -> Response[Any]:
        """Turn a result into a response. None has no content; a row's answer has an ETag."""
        if result is None:
            return Response(204)
        response = cast("Response[Any]", super()._to_response(result))
        if isinstance(response.body, Revised):
            response.headers["ETag"] = f'"{response.body.etag}"'
        return response

    def _refuse_path(self, _error: Exception) -> Response[Any]:
        path = self.event.path
        allowed = ", ".join(route.method for route in self.routes if route.rule.match(path))
        if allowed:
            raise MethodNotAllowed("the path does not know this method", allow=allowed)
        raise UnknownPath("there is nothing at this path")

    def _refused(self, refusal: Refused) -> Response[Any]:
        """Answer with a problem document; without a token, as API Gateway itself would."""
        document = problem(refusal.code, refusal.detail, refusal.facts, self.event.request_id)
        status, headers = document["status"], problem_headers(refusal.code, refusal.facts)
        if isinstance(refusal, Unauthorized):
            return Response(status, "application/json", {"message": document["title"]}, headers)
        return Response(status, CONTENT_TYPE, self._serializer(document), headers)

    def _crashed(self, error: Exception) -> Response[Any]:
        """Answer a bare 500. The log has the place, not the message: it may hold user data."""
        frames = [f"{frame.name}:{frame.lineno}" for frame in extract_tb(error.__traceback__)]
        kind = type(error).__name__
        self.context["deps"].telemetry.log(
            "unexpected", level="error", error=kind, frames=frames
        )
        document = problem(
            "internal_error",
            "something unexpected happened; it was logged",
            request_id=self.event.request_id,
        )
        return Response(500, CONTENT_TYPE, self._serializer(document))


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
        raise InvalidRequest(*((escape_untrusted(name), "is not known") for name in unknown))


def _refuse_unread_body(route: Route, event: HttpEvent) -> None:
    """A body that no field takes is as wrong as an unknown field."""
    if required_roles(route) is not None and event.body and not route.dependant.body_params:
        raise InvalidRequest(("body", "is not taken here"))


def _invalid(errors: Sequence[Any]) -> InvalidRequest:
    return InvalidRequest(*map(_fault, errors))


def _fault(error: Mapping[str, Any]) -> tuple[str, str]:
    """Return the field's name, without where it was given, and what is wrong with it."""
    place, *names = error["loc"]
    field = ".".join(map(escape_untrusted, names)) or str(place)
    template = MESSAGES.get(error["type"])
    return field, template.format_map(error.get("ctx", {})) if template else error["msg"]
