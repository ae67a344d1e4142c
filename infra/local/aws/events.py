"""API Gateway's HTTP API as a function sees it: payload format 2.0, to and from HTTP.

https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html
"""

import base64
import json
import re
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl, unquote_to_bytes
from uuid import uuid4

from infra.local.server import HttpRequest, Response

DEFAULT_ROUTE = "$default"
TEXT_TYPE = re.compile(r"text/.*|application/(?:.*\+)?(?:json|xml)|application/javascript")
NOT_PASSED = {"connection", "cookie", "keep-alive", "te", "transfer-encoding", "upgrade"}


def decoded_path(request: HttpRequest) -> str:
    """The path, percent-decoded once.

    What is no escape stays, and what is no UTF-8 becomes U+FFFD: neither is in any legal value.
    """
    # http.server reads the request line as Latin-1, byte by byte.
    return unquote_to_bytes(request.path.encode("latin-1")).decode(errors="replace")


def event(
    request: HttpRequest,
    route_key: str,
    path: str,
    claims: Mapping[str, object] | None,
    port: int,
) -> dict[str, Any]:
    """The event for a request, with its decoded path; claims only behind the authorizer."""
    headers = _headers(request, port)
    body, is_base64 = _body(request, headers)
    cookies = request.headers.get("cookie", "")
    optional = {
        "cookies": [cookie.strip() for cookie in cookies.split(";") if cookie.strip()],
        "queryStringParameters": _query(request.query),
        "pathParameters": {"proxy": path[4:]} if route_key.endswith("{proxy+}") else {},
        "body": body,
    }
    return {
        "version": "2.0",
        "routeKey": route_key,
        "rawPath": path,
        "rawQueryString": request.query,
        "headers": headers,
        "requestContext": _context(request, route_key, path, claims),
        "isBase64Encoded": is_base64,
        **{name: value for name, value in optional.items() if value},
    }


def response(answer: bytes) -> Response:
    """The HTTP response for a function's answer. Raises ValueError if it can't be one."""
    content = json.loads(answer)
    if not isinstance(content, dict) or "statusCode" not in content:
        return Response(200, answer)
    body = content.get("body") or ""
    if not isinstance(body, str):
        raise ValueError("the body is no text")  # noqa: TRY004  as the other faults
    encoded = bool(content.get("isBase64Encoded"))
    given = content.get("headers", {})
    headers = {name.lower(): _header(value) for name, value in given.items()}
    headers.setdefault("content-type", "text/plain;charset=UTF-8")
    headers.pop("content-length", None)
    cookies = [("set-cookie", _header(cookie)) for cookie in content.get("cookies", [])]
    return Response(
        int(content["statusCode"]),
        base64.b64decode(body) if encoded else body.encode(),
        (*headers.items(), *cookies),
    )


def claim_text(value: object) -> str:
    """A claim as the authorizer passes it: always text, a list as `[one two]`."""
    if isinstance(value, list):
        return f"[{' '.join(map(claim_text, value))}]"
    if isinstance(value, str):
        return value
    return json.dumps(value, separators=(",", ":"))


def _header(value: object) -> str:
    """A value that can be sent. Raises ValueError."""
    text = str(value)
    if not (text.isascii() and text.isprintable()):
        raise ValueError("a header's value is one line of ASCII")
    return text


def _headers(request: HttpRequest, port: int) -> dict[str, str]:
    given = {
        name: value.encode("latin-1").decode("utf-8", "replace")
        for name, value in request.headers.items()
        if name not in NOT_PASSED
    }
    passed_on = [given["x-forwarded-for"]] if "x-forwarded-for" in given else []
    return given | {
        "content-length": str(len(request.body)),
        "x-amzn-trace-id": f"Root=1-{int(time.time()):08x}-{uuid4().hex[:24]}",
        "x-forwarded-for": ", ".join([*passed_on, request.client]),
        "x-forwarded-port": str(port),
        "x-forwarded-proto": "http",
    }


def _query(query: str) -> dict[str, str]:
    """Decoded parameters, repeated ones joined by commas."""
    parameters: dict[str, str] = {}
    for name, value in parse_qsl(query, keep_blank_values=True):
        parameters[name] = f"{parameters[name]},{value}" if name in parameters else value
    return parameters


def _body(request: HttpRequest, headers: Mapping[str, str]) -> tuple[str | None, bool]:
    """What is known to be text goes as it is, all else in base 64."""
    if not request.body:
        return None, False
    kind = headers.get("content-type", "text/plain").partition(";")[0].strip().lower()
    if TEXT_TYPE.fullmatch(kind) and "content-encoding" not in headers:
        try:
            return request.body.decode(), False
        except UnicodeDecodeError:
            """Then it is no text, whatever it says."""
    return base64.b64encode(request.body).decode(), True


def _authorizer(claims: Mapping[str, object]) -> dict[str, Any]:
    texts = {name: claim_text(value) for name, value in claims.items()}
    return {"authorizer": {"jwt": {"claims": texts, "scopes": None}}}


def _context(
    request: HttpRequest, route_key: str, path: str, claims: Mapping[str, object] | None
) -> dict[str, Any]:
    now = datetime.now(UTC)
    host = request.headers.get("host", "127.0.0.1").partition(":")[0]
    return {
        "accountId": "123456789012",
        "apiId": "local",
        **({} if claims is None else _authorizer(claims)),
        "domainName": host,
        "domainPrefix": host.partition(".")[0],
        "http": {
            "method": request.method,
            "path": path,
            "protocol": request.protocol,
            "sourceIp": request.client,
            "userAgent": request.headers.get("user-agent", ""),
        },
        "requestId": str(uuid4()),
        "routeKey": route_key,
        "stage": "$default",
        "time": now.strftime("%d/%b/%Y:%H:%M:%S +0000"),
        "timeEpoch": int(now.timestamp() * 1000),
    }
