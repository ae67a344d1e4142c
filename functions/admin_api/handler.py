"""The admin API behind API Gateway: parse, authorize, call one endpoint, answer."""

from functools import cache
from os import environ
from typing import Any

from aws_lambda_powertools.utilities.data_classes import APIGatewayProxyEventV2

from functions.admin_api.dispatch import dispatch
from shared.runtime.dependencies import Dependencies, wire
from shared.runtime.settings import Settings


@cache
def dependencies() -> Dependencies:
    return wire(Settings.admin_api(environ))


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """The answer to an HTTP API's event (payload format 2.0). Raises nothing."""
    return dispatch(APIGatewayProxyEventV2(event), dependencies()).as_event()
