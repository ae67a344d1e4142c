"""HTTP requests as events of API Gateway (payload format 2.0), and answers as HTTP.

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

from werkzeug.wrappers import Request, Response

from infra.routes import Route

TEXT_TYPE = re.compile(r"text/.*|application/(?:.*\+)?(?:json|xml)|application/javascript")
NOT_PASSED = {"connection", "cookie", "keep-alive", "te", "transfer-encoding", "upgrade"}


def decoded_path(request: Request) -> str:
    """The path as a function gets it: percent-decoded once, and cut at a decoded `?`.

    HTTP APIs are reported to cut it so. What is not an escape stays, and bytes that are not
    UTF-8 become U+FFFD; neither is legal in any value.
    """
    # Werkzeug hands over the bytes of the request line as Latin-1 text, encoded as WSGI asks.
    target: str = request.environ["RAW_URI"].encode("latin-1").decode()
    raw = target.partition("?")[0].encode("latin-1")
    return unquote_to_bytes(raw).decode(errors="replace").partition("?")[0]


def event(
    request: Request, route: Route, path: str, claims: Mapping[str, object] | None
) -> dict[str, Any]:
    """The event for a request, with its decoded path; claims only behind the authorizer."""
    headers = _headers(request)
    body, is_base64 = _body(request, headers)
    cookies = request.headers.get("cookie", "")
    query = request.query_string.decode()
    optional = {
        "cookies": [cookie.strip() for cookie in cookies.split(";") if cookie.strip()],
        "queryStringParameters": _query(query),
        "pathParameters": {}
        if route.prefix is None
        else {"proxy": path.removeprefix(route.prefix)},
        "body": body,
    }
    return {
        "version": "2.0",
        "routeKey": route.key,
        "rawPath": path,
        "rawQueryString": query,
        "headers": headers,
        "requestContext": _context(request, route.key, path, claims),
        "isBase64Encoded": is_base64,
        **{name: value for name, value in optional.items() if value},
    }


def response(answer: bytes) -> Response:
    """The HTTP response for a function's answer. Raises ValueError if it cannot be one."""
    content = json.loads(answer)
    if not isinstance(content, dict) or "statusCode" not in content:
        return Response(answer, 200, content_type="application/json")
    body = content.get("body") or ""
    if not isinstance(body, str):
        raise ValueError("the body is not text")  # noqa: TRY004  as the other faults
    encoded = bool(content.get("isBase64Encoded"))
    given = {name.lower(): _header(value) for name, value in content.get("headers", {}).items()}
    made = Response(
        base64.b64decode(body) if encoded else body,
        int(content["statusCode"]),
        {"content-type": "text/plain;charset=UTF-8", **given},
    )
    made.headers.remove("content-length")
    for cookie in content.get("cookies", []):
        made.headers.add("set-cookie", _header(cookie))
    return made


def claim_text(value: object) -> str:
    """A claim as the authorizer passes it: always text; a list becomes `[one two]`."""
    if isinstance(value, list):
        return f"[{' '.join(map(claim_text, value))}]"
    if isinstance(value, str):
        return value
    return json.dumps(value, separators=(",", ":"))


def _header(value: object) -> str:
    """A header's value as text. Raises ValueError unless it is one line of ASCII."""
    text = str(value)
    if not (text.isascii() and text.isprintable()):
        raise ValueError("a header's value must be one line of ASCII")
    return text


def _headers(request: Request) -> dict[str, str]:
    given = {
        name.lower(): value.encode("latin-1").decode("utf-8", "replace")
        for name, value in request.headers.items()
        if name.lower() not in NOT_PASSED
    }
    passed_on = [given["x-forwarded-for"]] if "x-forwarded-for" in given else []
    return given | {
        "content-length": str(len(request.get_data())),
        "x-amzn-trace-id": f"Root=1-{int(time.time()):08x}-{uuid4().hex[:24]}",
        "x-forwarded-for": ", ".join([*passed_on, str(request.remote_addr)]),
        "x-forwarded-port": str(request.environ["SERVER_PORT"]),
        "x-forwarded-proto": "http",
    }


def _query(query: str) -> dict[str, str]:
    """The decoded parameters; values of a repeated one are joined by commas."""
    parameters: dict[str, str] = {}
    for name, value in parse_qsl(query, keep_blank_values=True):
        parameters[name] = f"{parameters[name]},{value}" if name in parameters else value
    return parameters


def _body(request: Request, headers: Mapping[str, str]) -> tuple[str | None, bool]:
    """The body, and whether it is in base 64: all is but what is known to be text."""
    body = request.get_data()
    if not body:
        return None, False
    kind = headers.get("content-type", "text/plain").partition(";")[0].strip().lower()
    if TEXT_TYPE.fullmatch(kind) and "content-encoding" not in headers:
        try:
            return body.decode(), False
        except UnicodeDecodeError:
            """It is not text, whatever its type says."""
    return base64.b64encode(body).decode(), True


def _authorizer(claims: Mapping[str, object]) -> dict[str, Any]:
    texts = {name: claim_text(value) for name, value in claims.items()}
    return {"authorizer": {"jwt": {"claims": texts, "scopes": None}}}


def _context(
    request: Request, route_key: str, path: str, claims: Mapping[str, object] | None
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
            "protocol": request.environ["SERVER_PROTOCOL"],
            "sourceIp": request.remote_addr,
            "userAgent": request.headers.get("user-agent", ""),
        },
        "requestId": str(uuid4()),
        "routeKey": route_key,
        "stage": "$default",
        "time": now.strftime("%d/%b/%Y:%H:%M:%S +0000"),
        "timeEpoch": int(now.timestamp() * 1000),
    }
