"""The admin API behind API Gateway: parse, authorize, call one endpoint, answer."""

from functools import cache
from os import environ
from typing import Any

from aws_lambda_powertools.utilities.data_classes import APIGatewayProxyEventV2

from functions.admin_api import refusing
from functions.admin_api.answers import Answer
from functions.admin_api.endpoints import Request, find
from functions.admin_api.parsing import parse_body, parse_path, parse_query
from functions.admin_api.table import ENDPOINTS
from shared.edge.settings import Settings
from shared.edge.wiring import Dependencies, wire


@cache
def dependencies() -> Dependencies:
    return wire(Settings.admin_api(environ))


@refusing.translated
def handler(event: dict[str, Any], _context: object) -> Answer:
    """The answer to an HTTP API's event (payload format 2.0). Raises nothing."""
    deps = dependencies()
    with deps.event():
        return _answer(APIGatewayProxyEventV2(event), deps)


def _answer(event: APIGatewayProxyEventV2, deps: Dependencies) -> Answer: ...
