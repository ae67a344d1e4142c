"""Events for the admin API, and what answers them where no store is needed."""

import json
from typing import Any

from functions.admin_api.handler import app
from shared.catalog.connection import Database
from shared.domain.roles import Role
from shared.http.resolver import HttpResolver
from shared.kv import KV
from shared.runtime.dependencies import Dependencies
from shared.runtime.settings import Settings
from shared.runtime.telemetry import Telemetry
from tests.support.admin_api import Reply, reply

REQUEST_ID = "request-1"


def no_stores(*, publisher_may_promote: bool = True) -> Dependencies:
    """What an operation gets, with nothing to connect to: whatever asks a store fails."""
    settings = Settings("host=nowhere", "kiloclaw", publisher_may_promote=publisher_may_promote)
    return Dependencies(
        settings=settings,
        database=Database(_nowhere),
        kv=KV(None, "kiloclaw"),
        telemetry=Telemetry(),
    )


def _nowhere() -> str:
    raise LookupError("there is no database: ana@example.com")


def event(
    method: str,
    path: str,
    role: Role | None = None,
    *,
    query: str = "",
    body: str | None = None,
    **headers: str,
) -> dict[str, Any]:
    """What API Gateway hands over; with a role it has seen a token of ana's."""
    claims = {"sub": "ana", "cognito:groups": f"[{role}]"}
    context: dict[str, Any] = {
        "requestId": REQUEST_ID, "http": {"method": method}, "stage": "$default",
    }  # fmt: skip
    if role is not None:
        context["authorizer"] = {"jwt": {"claims": claims, "scopes": None}}
    return {
        "version": "2.0",
        "rawPath": path,
        "rawQueryString": query,
        "headers": {name.replace("_", "-"): value for name, value in headers.items()},
        "requestContext": context,
        "body": body,
        "isBase64Encoded": False,
    }


def answer(
    content: dict[str, Any], deps: Dependencies | None = None, *, app: HttpResolver = app
) -> Reply:
    """The answer to an event, as API Gateway would send it; the admin API's unless told."""
    app.context["deps"] = deps or no_stores()
    return reply(json.dumps(app.resolve(content, None)).encode())
