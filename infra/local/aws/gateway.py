"""API Gateway's HTTP API: its routes, its authorizer, and the answers it gives itself."""

import json
from http import HTTPStatus

from infra.local.aws.authorizer import authorize
from infra.local.aws.environments import LocalFunction, Throttled
from infra.local.aws.events import DEFAULT_ROUTE, decoded_path, event, response
from infra.local.aws.issuer import Issuer
from infra.local.server import HttpRequest, Response


def refusal(status: int, message: str) -> Response:
    """An answer in API Gateway's own words."""
    return Response(status, json.dumps({"message": message}).encode())


UNAUTHORIZED = refusal(HTTPStatus.UNAUTHORIZED, "Unauthorized")
FAILED = refusal(HTTPStatus.INTERNAL_SERVER_ERROR, "Internal Server Error")
UNAVAILABLE = refusal(HTTPStatus.SERVICE_UNAVAILABLE, "Service Unavailable")


class Gateway:
    """Routes everything to one function: below `/v1` only with a token."""

    def __init__(self, function: LocalFunction, issuer: Issuer, port: int) -> None:
        self._function = function
        self._issuer = issuer
        self._port = port

    def answer(self, request: HttpRequest) -> Response:
        path = decoded_path(request)
        key = route_key(path)
        claims = None
        if key != DEFAULT_ROUTE:
            claims = authorize(request, self._issuer)
            if claims is None:
                return UNAUTHORIZED
        return self._invoke(event(request, key, path, claims, self._port))

    def _invoke(self, content: dict[str, object]) -> Response:
        try:
            invocation = self._function.invoke(json.dumps(content).encode())
        except Throttled:
            return UNAVAILABLE
        if invocation.error:
            return UNAVAILABLE if invocation.timed_out else FAILED
        try:
            return response(invocation.payload)
        except (ValueError, TypeError, AttributeError):
            return FAILED


def route_key(path: str) -> str:
    """The route that a decoded path takes, however it was spelled."""
    if path == "/v1":
        return "ANY /v1"
    return "ANY /v1/{proxy+}" if path.startswith("/v1/") else DEFAULT_ROUTE
