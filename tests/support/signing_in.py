"""A browser that signs in: the sign-in's handler in this process, and the issuer over HTTP."""

import html
import http.client
import json
import re
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from werkzeug.wrappers import Request, Response

from functions.sign_in import handler
from infra.local.aws.events import event, response
from infra.local.aws.issuer import CLIENT_ID, ISSUER, Issuer
from infra.local.aws.sign_in_page import SignInPage
from infra.local.server import Server
from infra.routes import find_route
from shared.kv.sessions import Sessions
from shared.kv.table import Table
from tests.support.http_requests import http_request
from tests.support.stores import make_session_table

ORIGIN = "https://kiloclaw.example.com"
EMAIL = "ana@example.com"
WIRE = handler.dependencies.__wrapped__


class ServedIssuer:
    """The local issuer over HTTP, as it answers in the local system."""

    def __init__(self, console: str = ORIGIN) -> None:
        self._server = Server(self._answer)
        self.issuer = Issuer(f"http://127.0.0.1:{self._server.port}")
        self.issuer.may_redirect_to = lambda uri: uri.startswith(f"{console}/console/")  # type: ignore[method-assign]
        self.calls: list[str] = []
        page = SignInPage(self.issuer)
        self._endpoints: dict[str, Callable[[Request], Response]] = {
            "GET /.well-known/openid-configuration": page.discovery,
            "GET /jwks.json": page.jwks,
            "GET /authorize": page.show,
            "POST /authorize": page.submit,
            "POST /token": page.token,
        }

    def start(self) -> None:
        self._server.start()

    def stop(self) -> None:
        self._server.stop()

    def _answer(self, request: Request) -> Response:
        call = f"{request.method} {request.path.removeprefix(ISSUER)}"
        self.calls.append(call)
        return self._endpoints[call](request)


@dataclass
class Browser:
    """A browser with its cookies, which sees the sign-in through API Gateway."""

    invoke: Callable[[Mapping[str, Any]], Any]
    cookies: dict[str, str] = field(default_factory=dict)

    def get(self, target: str, **headers: str) -> Response:
        return self._send("GET", target, headers)

    def post(self, target: str, form: Mapping[str, str], **headers: str) -> Response:
        kind = {"content-type": "application/x-www-form-urlencoded"}
        return self._send("POST", target, kind | headers, urlencode(form).encode())

    def begin(self, query: str = "") -> str:
        """Begin a sign-in; returns the address of the issuer's page."""
        answer = self.get(f"/console/sign-in{query}")
        assert answer.status_code == 303, answer.get_data()
        return answer.headers["location"]

    def complete(self, issuers_page: str, role: str = "admin", email: str = EMAIL) -> Response:
        """Fill in the issuer's page, and go where it leads."""
        return self.get(consent(issuers_page, role, email))

    def sign_in(self, role: str = "admin", email: str = EMAIL) -> Response:
        return self.complete(self.begin(), role, email)

    def _send(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes = b""
    ) -> Response:
        parts = urlsplit(target)
        cookies = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        sent = {**headers, **({"cookie": cookies} if cookies else {})}
        request = http_request(method, parts.path, parts.query, sent, body)
        made = event(request, find_route(method, parts.path), parts.path, None)
        answer = response(json.dumps(self.invoke(json.loads(json.dumps(made)))).encode())
        for cookie in answer.headers.getlist("set-cookie"):
            name, _, value = cookie.partition(";")[0].partition("=")
            self.cookies[name] = value
            if "Max-Age=0" in cookie:
                del self.cookies[name]
        return answer


def consent(issuers_page: str, role: str = "admin", email: str = EMAIL) -> str:
    """Fill in the issuer's page; returns the address to which it leads back."""
    parts = urlsplit(issuers_page)
    page = _request(parts.netloc, "GET", f"{parts.path}?{parts.query}")[1]
    hidden = re.findall('type="hidden" name="([^"]+)" value="([^"]*)"', page)
    form = {name: html.unescape(value) for name, value in hidden}
    filled_in = urlencode(form | {"email": email, "role": role})
    return _request(parts.netloc, "POST", parts.path, filled_in)[0]


def parameter(address: str, name: str) -> str:
    return parse_qs(urlsplit(address).query)[name][0]


def _request(host: str, method: str, target: str, body: str = "") -> tuple[str, str]:
    connection = http.client.HTTPConnection(host, timeout=10)
    try:
        connection.request(method, target, body)
        answer = connection.getresponse()
        return answer.getheader("location") or "", answer.read().decode()
    finally:
        connection.close()


@dataclass(frozen=True)
class SignInSystem:
    """The sign-in with its issuer and its table."""

    served: ServedIssuer
    sessions: Sessions
    new_sandbox: Callable[[], None]

    def browser(self) -> Browser:
        return Browser(lambda made: handler.handler(dict(made), None))

    def items(self, kind: str) -> list[dict[str, Any]]:
        """The items of a kind in the table: `SESSION` or `SIGN_IN`."""
        items = self.sessions.table.call("scan", ConsistentRead=True)["Items"]
        return [item for item in items if item["id"]["S"].startswith(f"{kind}#")]


@contextmanager
def sign_in_system(client: Any, **environ: str) -> Generator[SignInSystem]:
    """Serve an issuer, and point a new sandbox of the function at it."""
    served = ServedIssuer()
    served.start()
    table = make_session_table(client)
    settings = {
        "SESSION_TABLE_NAME": table,
        "CONSOLE_ORIGIN": ORIGIN,
        "ISSUER_URL": served.issuer.url,
        "CLIENT_ID": CLIENT_ID,
        "POWERTOOLS_SERVICE_NAME": "sign_in",
        "POWERTOOLS_METRICS_NAMESPACE": "KiloClaw",
    }
    with pytest.MonkeyPatch.context() as patched:
        for name, value in (settings | environ).items():
            patched.setenv(name, value)
        made: list[Any] = []

        def new_sandbox() -> None:
            made.append(WIRE())
            patched.setattr(handler, "dependencies", cache(lambda: made[-1]))

        new_sandbox()
        try:
            yield SignInSystem(served, Sessions(Table(client, table)), new_sandbox)
        finally:
            served.stop()
            for each in made:
                each.sessions.table.client.close()
