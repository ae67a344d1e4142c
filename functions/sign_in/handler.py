"""Signs people in to the console by OpenID Connect, and out."""

from functools import cache
from os import environ
from typing import Any

from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response

from shared.runtime.session_settings import SessionSettings
from shared.runtime.sign_in import SignInDependencies, wire_sign_in
from shared.runtime.tracing import Handler, traced

app = APIGatewayHttpResolver()


@cache
def dependencies() -> SignInDependencies:
    return wire_sign_in(SessionSettings.read(environ))


@cache
def resolve() -> Handler:
    return traced(app.resolve, environ)


def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    """Answer an HTTP API's event (payload format 2.0)."""
    with dependencies().event(event["requestContext"]["requestId"]):
        return resolve()(event, context)


@app.get("/console/sign-in")
def start() -> Response[str]:
    return Response(503, "text/plain; charset=utf-8", "Signing in is not possible yet.")
