"""Powertools' resolver for HTTP APIs, as all our HTTP functions use it.

It matches any text in path values and user ids with slashes, answers 405 with `Allow`, and
turns refusals and crashes into answers of the subclass's making.
"""

import re
from collections.abc import Mapping
from functools import cached_property
from traceback import extract_tb
from typing import Any, cast

from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response
from aws_lambda_powertools.event_handler.api_gateway import Route
from aws_lambda_powertools.utilities.data_classes import APIGatewayProxyEventV2

from shared.domain.errors import Refused
from shared.http.auth import Caller, read_caller
from shared.http.json_bodies import parse_json_object
from shared.http.problems import MethodNotAllowed, Unexpected, UnknownPath
from shared.http.query_strings import parse_query_string

ALWAYS = {"cache-control": "no-store", "x-content-type-options": "nosniff"}
SEGMENTS: Mapping[str, str] = {"user_id": ".+"}
"""Patterns of path values. Any value not named here is all text up to the next slash."""


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


class BaseResolver(APIGatewayHttpResolver):
    """Answers an HTTP API's events. Its context holds `deps`, put there by the handler."""

    def __init__(self, *, enable_validation: bool) -> None:
        super().__init__(enable_validation=enable_validation)
        self.not_found(self._refuse_path)
        self.exception_handler(Refused)(self.refused)
        self.exception_handler(Exception)(self._crashed)

    @property
    def event(self) -> HttpEvent:
        """The event that is being answered."""
        return cast("HttpEvent", self.current_event)

    @property
    def routes(self) -> list[Route]:
        return [*self._static_routes, *self._dynamic_routes]

    def serialize(self, body: Any) -> str:
        """The text of a body that is JSON."""
        text: str = self._serializer(body)
        return text

    def resolve(self, event: Mapping[str, Any], context: Any) -> dict[str, Any]:
        """Answer an event (payload format 2.0), with the request's id in a header."""
        answer = super().resolve(event, context)
        request_id = event["requestContext"]["requestId"]
        answer["headers"] = {**ALWAYS, "x-request-id": request_id, **answer["headers"]}
        return answer

    def refused(self, refusal: Refused) -> Response[Any]:
        """Answer with what was refused, and why."""
        raise NotImplementedError

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

    def _refuse_path(self, _error: Exception) -> Response[Any]:
        path = self.event.path
        allowed = ", ".join(route.method for route in self.routes if route.rule.match(path))
        if allowed:
            raise MethodNotAllowed("this path does not support this method", allow=allowed)
        raise UnknownPath("there is nothing at this path")

    def _crashed(self, error: Exception) -> Response[Any]:
        """Log the place, not the message: it may hold user data."""
        frames = [f"{frame.name}:{frame.lineno}" for frame in extract_tb(error.__traceback__)]
        kind = type(error).__name__
        self.context["deps"].telemetry.log(
            "unexpected", level="error", error=kind, frames=frames
        )
        return self.refused(Unexpected("an internal error; the log has the details"))
