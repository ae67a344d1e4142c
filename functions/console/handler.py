"""The console behind API Gateway: its pages, and what answers an event."""

from functools import cache
from os import environ
from typing import Any

from functions.console.current import app
from functions.console.pages import ROUTERS
from shared.runtime.dependencies import ConsoleDependencies, wire_console
from shared.runtime.settings import ConsoleSettings
from shared.runtime.tracing import Handler, traced

__all__ = ["app", "dependencies", "handler"]

for router in ROUTERS:
    app.include_router(router)


@cache
def dependencies() -> ConsoleDependencies:
    return wire_console(ConsoleSettings.read(environ))


@cache
def resolve() -> Handler:
    return traced(app.resolve, environ)


def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    """The answer to an HTTP API's event (payload format 2.0). Raises nothing."""
    app.context["deps"] = dependencies()
    return resolve()(event, context)
