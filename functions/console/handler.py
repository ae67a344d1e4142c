"""The console behind API Gateway: server-rendered pages for people who signed in."""

from datetime import UTC, datetime
from functools import cache
from os import environ
from typing import Any

from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response
from jinja2 import Environment, StrictUndefined

from shared.http.cookies import ConsoleCookie
from shared.runtime.dependencies import ConsoleDependencies, wire_console
from shared.runtime.settings import ConsoleSettings
from shared.runtime.tracing import Handler, traced

app = APIGatewayHttpResolver()
PAGE = Environment(autoescape=True, undefined=StrictUndefined).from_string(
    "<!doctype html><title>KiloClaw</title><p>Signed in as {{ actor }}."
)


@cache
def dependencies() -> ConsoleDependencies:
    return wire_console(ConsoleSettings.read(environ))


@cache
def resolve() -> Handler:
    return traced(app.resolve, environ)


def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    """Answer an HTTP API's event (payload format 2.0)."""
    with dependencies().event(event["requestContext"]["requestId"]):
        return resolve()(event, context)


@app.get("/")
def lead_to_console() -> Response[str]:
    return Response(303, headers={"location": "/console"})


@app.get("/console")
def show_overview() -> Response[str]:
    """Show who is signed in; nobody else sees anything."""
    deps = dependencies()
    cookie = ConsoleCookie.of(deps.origin).read(app.current_event.raw_event.get("cookies", []))
    session = deps.sessions.find(cookie, datetime.now(UTC))
    if session is None:
        return Response(303, headers={"location": "/console/sign-in"})
    headers = {"cache-control": "no-store"}
    return Response(200, "text/html; charset=utf-8", PAGE.render(actor=session.actor), headers)
