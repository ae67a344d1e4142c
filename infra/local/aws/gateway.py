"""API Gateway's HTTP API: its routes, its authorizer, and the answers that it gives itself."""

import json
from collections.abc import Mapping
from typing import Any

from werkzeug.datastructures import WWWAuthenticate
from werkzeug.wrappers import Request, Response

from infra.local.aws.authorizer import authorize
from infra.local.aws.environments import LocalFunction, Throttled
from infra.local.aws.events import decoded_path, event, response
from infra.local.aws.issuer import Issuer
from infra.local.server import message
from infra.routes import find_route


def unavailable(_request: Request | None = None) -> Response:
    """The answer while no function is there to give one."""
    return message(503, "Service Unavailable")


def unauthorized() -> Response:
    """The authorizer's answer to a request without a good token (RFC 9110, section 15.5.2)."""
    answer = message(401, "Unauthorized")
    answer.www_authenticate = WWWAuthenticate("bearer")
    return answer


class Gateway:
    """Sends every request to the function of its route; guarded routes need a token."""

    def __init__(self, functions: Mapping[str, LocalFunction], issuer: Issuer) -> None:
        self._functions = functions
        self._issuer = issuer

    def answer(self, request: Request) -> Response:
        path = decoded_path(request)
        route = find_route(request.method, path)
        claims = None
        if route.guarded:
            claims = authorize(request, self._issuer)
            if claims is None:
                return unauthorized()
        return self._invoke(route.function, event(request, route, path, claims))

    def _invoke(self, function: str, content: dict[str, Any]) -> Response:
        request_id: str = content["requestContext"]["requestId"]
        try:
            invocation = self._functions[function].invoke(
                json.dumps(content).encode(), request_id
            )
        except Throttled:
            return unavailable()
        if invocation.timed_out:
            return unavailable()
        made = None if invocation.error else _readable(invocation.payload)
        made = made or message(500, "Internal Server Error")
        made.headers["apigw-requestid"] = request_id
        return made


def _readable(payload: bytes) -> Response | None:
    """The function's answer, or None if it is not a response."""
    try:
        return response(payload)
    except (ValueError, TypeError, AttributeError):
        return None
