"""The admin API behind API Gateway: its routes, and what answers an event."""

from functools import cache
from os import environ
from typing import Any

from functions.admin_api.current import app
from functions.admin_api.routes import ROUTERS
from shared.runtime.dependencies import Dependencies, wire
from shared.runtime.settings import Settings
from shared.runtime.tracing import Handler, traced

__all__ = ["app", "dependencies", "handler"]

for router in ROUTERS:
    app.include_router(router)


@cache
def dependencies() -> Dependencies:
    return wire(Settings.admin_api(environ))


@cache
def resolve() -> Handler:
    return traced(app.resolve, environ)


def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    """Answer an event of an HTTP API (payload format 2.0)."""
    app.context["deps"] = dependencies()
    return resolve()(event, context)
