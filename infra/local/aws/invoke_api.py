"""The Lambda Invoke API, for those functions that others invoke directly.

https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html
"""

import json
from collections.abc import Mapping
from contextlib import suppress
from threading import Thread
from urllib.parse import unquote
from uuid import uuid4

from infra.functions import FUNCTIONS
from infra.local.aws.environments import LocalFunction, Throttled
from infra.local.server import HttpRequest, Response

PREFIX = "/2015-03-31/functions/"
SUFFIX = "/invocations"
INVOCABLE = tuple(
    name for name, function in FUNCTIONS.items() if function.trigger != "http_api"
)
MAX_PAYLOAD = 6_291_456


class InvokeApi:
    """Answers `POST /2015-03-31/functions/{name}/invocations`; the name may be an ARN."""

    def __init__(self, functions: Mapping[str, LocalFunction]) -> None:
        self._functions = {name: functions[name] for name in INVOCABLE}

    def answer(self, request: HttpRequest) -> Response:
        named = unquote(request.path.removeprefix(PREFIX).removesuffix(SUFFIX))
        name = named.rpartition("function:")[2].partition(":")[0]
        function = self._functions.get(name)
        if function is None or not request.path.endswith(SUFFIX) or request.method != "POST":
            return _error(404, "ResourceNotFoundException", f"Function not found: {named}")
        if len(request.body) > MAX_PAYLOAD:
            return _error(413, "RequestTooLargeException", f"At most {MAX_PAYLOAD} bytes")
        payload = request.body or b"{}"
        if not _is_json(payload):
            message = "Could not parse request body into json"
            return _error(400, "InvalidRequestContentException", message)
        kind = request.headers.get("x-amz-invocation-type", "RequestResponse")
        return _invoke(function, payload, kind)


def _invoke(function: LocalFunction, payload: bytes, kind: str) -> Response:
    if kind == "DryRun":
        return _answer(204, b"")
    if kind == "Event":
        Thread(target=_invoke_later, args=(function, payload), daemon=True).start()
        return _answer(202, b"")
    try:
        invocation = function.invoke(payload)
    except Throttled:
        return _error(429, "TooManyRequestsException", "Rate Exceeded.")
    failed = (("x-amz-function-error", "Unhandled"),) if invocation.error else ()
    executed = (("x-amz-executed-version", "$LATEST"),)
    return _answer(200, invocation.payload, *failed, *executed)


def _invoke_later(function: LocalFunction, payload: bytes) -> None:
    """Once. Lambda would try again; here nobody waits and the log has told."""
    with suppress(Throttled):
        function.invoke(payload)


def _answer(status: int, body: bytes, *headers: tuple[str, str]) -> Response:
    common = (("content-type", "application/json"), ("x-amzn-requestid", str(uuid4())))
    return Response(status, body, (*common, *headers))


def _error(status: int, kind: str, message: str) -> Response:
    body = json.dumps({"Type": "User", "Message": message}).encode()
    return _answer(status, body, ("x-amzn-errortype", kind))


def _is_json(payload: bytes) -> bool:
    try:
        json.loads(payload.decode())
    except (ValueError, RecursionError):
        return False
    return True
