"""Builders for the admin API without its stores."""

from typing import Any

from aws_lambda_powertools.utilities.data_classes import APIGatewayProxyEventV2

from functions.admin_api.endpoints import Request
from functions.admin_api.requests import ListQuery
from shared.catalog.connection import Database
from shared.domain.roles import Role
from shared.http.auth import Caller
from shared.kv import KV
from shared.runtime.dependencies import Dependencies
from shared.runtime.settings import Settings
from shared.runtime.telemetry import Telemetry


def no_stores() -> Dependencies:
    """What an endpoint gets, with nothing to connect to: whatever asks a store fails."""
    settings = Settings("host=nowhere", "kiloclaw")
    return Dependencies(settings, Database(_nowhere), KV(None, "kiloclaw"), Telemetry())


def _nowhere() -> str:
    raise LookupError("there is no database: ana@example.com")


def listing(query: ListQuery, path: str = "/v1/things") -> Request[Any, None]:
    """A request for a page of a list."""
    caller = Caller("ana", frozenset())
    return Request(path, {}, query, None, caller, "request-1", no_stores())


def event(
    method: str,
    path: str,
    role: Role | None = None,
    *,
    query: str = "",
    body: str | None = None,
    **headers: str,
) -> APIGatewayProxyEventV2:
    """What API Gateway hands over; with a role it has seen a token of ana's."""
    claims = {"sub": "ana", "cognito:groups": f"[{role}]"}
    context: dict[str, Any] = {"requestId": "request-1", "http": {"method": method}}
    if role is not None:
        context["authorizer"] = {"jwt": {"claims": claims, "scopes": None}}
    return APIGatewayProxyEventV2(
        {
            "version": "2.0",
            "rawPath": path,
            "rawQueryString": query,
            "headers": {name.replace("_", "-"): value for name, value in headers.items()},
            "requestContext": context,
            "body": body,
            "isBase64Encoded": False,
        }
    )
