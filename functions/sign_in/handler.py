"""Signs people in to the console by OpenID Connect, and out."""

from functools import cache
from os import environ
from typing import Any

from functions.sign_in.dependencies import SignInDependencies, wire_sign_in
from functions.sign_in.routes import app
from functions.sign_in.settings import SignInSettings
from shared.runtime.tracing import Handler, traced

EVENT_SECONDS = 25.0
"""Two calls of a table and three of an issuer that are slow, and the answer."""


@cache
def dependencies() -> SignInDependencies:
    return wire_sign_in(SignInSettings.read(environ))


@cache
def resolve() -> Handler:
    return traced(app.resolve, environ)


def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    """Answer an HTTP API's event (payload format 2.0). Raises nothing."""
    deps = app.context["deps"] = dependencies()
    with deps.event(event["requestContext"]["requestId"], EVENT_SECONDS):
        return resolve()(event, context)
