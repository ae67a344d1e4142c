"""The Lambda Invoke API, for the functions that are invoked directly.

https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html
"""

import json
from collections.abc import Mapping
from contextlib import suppress
from threading import Thread
from uuid import uuid4

from werkzeug.wrappers import Request, Response

from infra.functions import FUNCTIONS
from infra.local.aws.environments import LocalFunction, Throttled

RULE = "/2015-03-31/functions/<name>/invocations"
NOT_BY_HAND = {"http_api", "table_stream"}
"""Triggers whose events only they can make."""
INVOCABLE = tuple(
    name for name, function in FUNCTIONS.items() if function.trigger not in NOT_BY_HAND
)
MAX_PAYLOAD = 6_291_456


class InvokeApi:
    """Invokes functions by name or by ARN."""

    def __init__(self, functions: Mapping[str, LocalFunction]) -> None:
        self._functions = {name: functions[name] for name in INVOCABLE}

    def invoke(self, request: Request, name: str) -> Response:
        """Answer `POST /2015-03-31/functions/{name}/invocations`.

        The answer's `x-amzn-requestid` is the id that the function and its log know.
        """
        function = self._functions.get(name.rpartition("function:")[2].partition(":")[0])
        payload = request.get_data() or b"{}"
        if function is None:
            return _error(404, "ResourceNotFoundException", "Function not found")
        if len(payload) > MAX_PAYLOAD:
            return _error(413, "RequestTooLargeException", f"At most {MAX_PAYLOAD} bytes")
        if not _is_json(payload):
            reason = "Could not parse request body into json"
            return _error(400, "InvalidRequestContentException", reason)
        kind = request.headers.get("x-amz-invocation-type", "RequestResponse")
        return _invoke(function, payload, kind)


def _invoke(function: LocalFunction, payload: bytes, kind: str) -> Response:
    request_id = str(uuid4())
    if kind == "DryRun":
        return _answer(204, b"", request_id)
    if kind == "Event":
        arguments = (function, payload, request_id)
        Thread(target=_invoke_later, args=arguments, daemon=True).start()
        return _answer(202, b"", request_id)
    try:
        invocation = function.invoke(payload, request_id)
    except Throttled:
        return _error(429, "TooManyRequestsException", "Rate Exceeded.")
    answer = _answer(200, invocation.payload, request_id)
    answer.headers["x-amz-executed-version"] = "$LATEST"
    if invocation.error:
        answer.headers["x-amz-function-error"] = "Unhandled"
    return answer


def _invoke_later(function: LocalFunction, payload: bytes, request_id: str) -> None:
    """Invoke once. Lambda would try again; here a failure is only in the log."""
    with suppress(Throttled):
        function.invoke(payload, request_id)


def _answer(status: int, body: bytes, request_id: str) -> Response:
    headers = {"x-amzn-requestid": request_id}
    return Response(body, status, headers, content_type="application/json")


def _error(status: int, kind: str, reason: str) -> Response:
    body = json.dumps({"Type": "User", "Message": reason}).encode()
    answer = _answer(status, body, str(uuid4()))
    answer.headers["x-amzn-errortype"] = kind
    return answer


def _is_json(payload: bytes) -> bool:
    try:
        json.loads(payload.decode())
    except (ValueError, RecursionError):
        return False
    return True
