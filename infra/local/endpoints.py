"""All paths of the local system: its own endpoints, the Invoke API, and the gateway."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from infra.local.aws.gateway import Gateway
from infra.local.aws.invoke_api import PREFIX, InvokeApi
from infra.local.aws.issuer import Issuer, Person
from infra.local.aws.sign_in_page import SignIn
from infra.local.functions import Stores
from infra.local.roles import DATABASE, OBSERVER
from infra.local.server import HttpRequest, Response

OWN = ("/healthz", "/local/")
ISSUER = "/local/issuer"


@dataclass(frozen=True, slots=True)
class TokenRequest:
    """Whose token is asked for."""

    person: Person

    @classmethod
    def parse(cls, body: bytes) -> "TokenRequest":
        """Read `{"sub", "roles", "email"?}`. Raises ValueError saying what is wrong."""
        content = json.loads(body.decode())
        if not isinstance(content, dict):
            raise ValueError("the body must be an object")  # noqa: TRY004  one kind to catch
        if unknown := content.keys() - {"sub", "roles", "email"}:
            raise ValueError(f"unknown fields: {', '.join(sorted(map(ascii, unknown)))}")
        sub, roles, email = (content.get(name) for name in ("sub", "roles", "email"))
        if not _is_word(sub):
            raise ValueError("sub must be a text without spaces")
        if not isinstance(roles, list) or not all(map(_is_word, roles)):
            raise ValueError("roles must be a list of texts without spaces")
        if email is not None and not _is_word(email):
            raise ValueError("email must be a text without spaces")
        return cls(Person(str(sub), tuple(roles), email))


class Endpoints:
    """Sends each request to whoever answers it."""

    def __init__(
        self, stores: Stores, issuer: Issuer, gateway: Gateway, invoke_api: InvokeApi, port: int
    ) -> None:
        self.ready = False
        self._stores = stores
        self._issuer = issuer
        self._gateway = gateway
        self._invoke_api = invoke_api
        self._port = port
        self._own = self._routes(SignIn(issuer))

    def answer(self, request: HttpRequest) -> Response:
        if request.path.startswith(PREFIX):
            return self._invoke_api.answer(request)
        if not request.path.startswith(OWN):
            return self._gateway.answer(request)
        methods = self._own.get(request.path)
        if methods is None:
            return _problem(404, "not_found", "no such path")
        answer = methods.get("GET" if request.method == "HEAD" else request.method)
        if answer is None:
            return _problem(405, "method_not_allowed", "no such method", *methods)
        return answer(request)

    def _routes(
        self, sign_in: SignIn
    ) -> dict[str, dict[str, Callable[[HttpRequest], Response]]]:
        return {
            "/healthz": {"GET": self._health},
            "/local/status": {"GET": self._status},
            "/local/token": {"POST": self._token},
            f"{ISSUER}/.well-known/openid-configuration": {"GET": sign_in.discovery},
            f"{ISSUER}/jwks.json": {"GET": sign_in.jwks},
            f"{ISSUER}/authorize": {"GET": sign_in.ask, "POST": sign_in.enter},
            f"{ISSUER}/token": {"POST": sign_in.token},
        }

    def _health(self, _request: HttpRequest) -> Response:
        """A store is down when its process has ended; nothing starts it again."""
        alive = {
            "postgres": self._stores.postgres.alive,
            "dynamodb": self._stores.dynamodb.alive,
        }
        if down := [name for name, is_alive in alive.items() if not is_alive]:
            return _json(503, {"status": "unavailable", "down": down})
        if not self.ready:
            return _json(503, {"status": "starting", "down": []})
        return _json(200, {"status": "ok"})

    def _status(self, _request: HttpRequest) -> Response:
        return _json(200, self.status())

    def status(self) -> dict[str, Any]:
        """Enough to connect to either store, as an observer of the database."""
        postgres, dynamodb = self._stores.postgres, self._stores.dynamodb
        password = self._stores.passwords[OBSERVER]
        return {
            "port": self._port,
            "postgres": {
                "conninfo": postgres.conninfo(DATABASE, OBSERVER, password),
                "pid": postgres.pid,
            },
            "dynamodb": {
                "endpoint": dynamodb.endpoint,
                "table": dynamodb.table,
                "region": dynamodb.region,
                "pid": dynamodb.pid,
            },
        }

    def _token(self, request: HttpRequest) -> Response:
        try:
            asked = TokenRequest.parse(request.body)
        except (ValueError, RecursionError) as error:
            return _problem(400, "invalid_request", str(error))
        return _json(200, self._issuer.bearer(asked.person))


def _is_word(value: object) -> bool:
    """A text that stays one when a claim's list is written with spaces between."""
    return isinstance(value, str) and value.isprintable() and value != "" and " " not in value


def _json(status: int, content: dict[str, Any]) -> Response:
    headers = (("content-type", "application/json"), ("cache-control", "no-store"))
    return Response(status, json.dumps(content).encode(), headers)


def _problem(status: int, code: str, detail: str, *allowed: str) -> Response:
    """RFC 9457, as the admin API refuses."""
    title = code.replace("_", " ").capitalize()
    problem = {"type": "about:blank", "title": title, "status": status}
    body = json.dumps(problem | {"detail": detail, "code": code}).encode()
    allow = (("allow", ", ".join(allowed)),) if allowed else ()
    return Response(status, body, (("content-type", "application/problem+json"), *allow))
