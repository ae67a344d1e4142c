"""Traces of a function's events for AWS X-Ray."""

from collections.abc import Callable, Mapping
from typing import Any

Handler = Callable[[Any, Any], dict[str, Any]]

DAEMON = "AWS_XRAY_DAEMON_ADDRESS"
"""Set by Lambda where the function's traces have somewhere to go."""


def traced(handler: Handler, environ: Mapping[str, str]) -> Handler:
    """Record each event and each call of AWS in it, unless there is no daemon to send them to.

    Neither answers nor the messages of errors are recorded: they may hold user data.
    """
    if not environ.get(DAEMON):
        return handler
    # Imported late: the local system and the tests never need it.
    from aws_lambda_powertools import Tracer  # noqa: PLC0415

    tracer = Tracer(patch_modules=["botocore"])
    recorded: Handler = tracer.capture_lambda_handler(
        handler, capture_response=False, capture_error=False
    )
    return recorded
