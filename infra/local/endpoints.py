"""The paths of the local system: its own endpoints, the Invoke API and the gateway."""

import json
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from werkzeug.exceptions import HTTPException, MethodNotAllowed
from werkzeug.routing import Map, Rule
from werkzeug.utils import redirect
from werkzeug.wrappers import Request, Response

from infra.local.aws.gateway import Gateway
from infra.local.aws.invoke_api import RULE, InvokeApi
from infra.local.aws.issuer import ISSUER, Issuer, Person
from infra.local.aws.sign_in_page import SignInPage
from infra.local.functions import LocalStores
from infra.local.processes import HOST
from infra.local.roles import DATABASE, OBSERVER

OWN = ("/healthz", "/local/", "/2015-03-31/")
"""Beginnings of paths that the gateway never sees."""


@dataclass(frozen=True, slots=True)
class TokenRequest:
    """The person for whom a token is requested."""

    person: Person

    @classmethod
    def parse(cls, body: bytes) -> "TokenRequest":
        """Read `{"sub", "roles", "email"?}`. Raises ValueError naming the fault."""
        content = json.loads(body.decode())
        if not isinstance(content, dict):
            raise ValueError("the body must be an object")  # noqa: TRY004  one kind to catch
        if content.keys() - {"sub", "roles", "email"}:
            raise ValueError("only the fields sub, roles and email are known")
        sub, roles, email = (content.get(name) for name in ("sub", "roles", "email"))
        if not _is_word(sub):
            raise ValueError("sub must be text without spaces")
        if not isinstance(roles, list) or not all(map(_is_word, roles)):
            raise ValueError("roles must be a list of texts without spaces")
        if email is not None and not _is_word(email):
            raise ValueError("email must be text without spaces")
        return cls(Person(str(sub), tuple(roles), email))


class Endpoints:
    """Answers every request, or passes it to the gateway."""

    def __init__(
        self, stores: LocalStores, issuer: Issuer, gateway: Gateway, invoke_api: InvokeApi
    ) -> None:
        self.ready = False
        self._stores = stores
        self._issuer = issuer
        self._gateway = gateway
        page = SignInPage(issuer)
        self._map = Map(
            [
                Rule("/healthz", methods=["GET"], endpoint=self._health),
                Rule("/local/status", methods=["GET"], endpoint=self._status),
                Rule("/local/token", methods=["POST"], endpoint=self._token),
                Rule(f"{ISSUER}/.well-known/openid-configuration", endpoint=page.discovery),
                Rule(f"{ISSUER}/jwks.json", methods=["GET"], endpoint=page.jwks),
                Rule(f"{ISSUER}/authorize", methods=["GET"], endpoint=page.show),
                Rule(f"{ISSUER}/authorize", methods=["POST"], endpoint=page.submit),
                Rule(f"{ISSUER}/token", methods=["POST"], endpoint=page.token),
                Rule(RULE, methods=["POST"], endpoint=invoke_api.invoke),
            ],
            strict_slashes=False,
            merge_slashes=False,
        ).bind("127.0.0.1")

    def answer(self, request: Request) -> Response:
        if not request.path.startswith(OWN):
            return _at_its_origin(request) or self._gateway.answer(request)
        try:
            endpoint, values = self._map.match(request.path, request.method)
        except HTTPException as refusal:
            return _refused(refusal)
        made: Response = endpoint(request, **values)
        return made

    def _health(self, _request: Request) -> Response:
        """503 once the process of a store has ended; nothing starts it again."""
        if down := self._stores.down():
            return _json(503, {"status": "unavailable", "down": down})
        if not self.ready:
            return _json(503, {"status": "starting", "down": []})
        return _json(200, {"status": "ok"})

    def _status(self, request: Request) -> Response:
        return _json(200, {"port": int(request.environ["SERVER_PORT"]), **self.status()})

    def status(self) -> dict[str, Any]:
        """What psql (as the observer's role) and boto3 need to connect to the stores."""
        postgres, dynamodb = self._stores.postgres, self._stores.dynamodb
        password = self._stores.passwords[OBSERVER]
        return {
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

    def _token(self, request: Request) -> Response:
        try:
            asked = TokenRequest.parse(request.get_data())
        except (ValueError, RecursionError) as error:
            return _problem(400, "invalid_request", str(error))
        return _json(200, self._issuer.bearer(asked.person))


def _at_its_origin(request: Request) -> Response | None:
    """Lead browsers from `localhost` to the console's origin, to which its cookies belong."""
    parts = urlsplit(request.url)
    is_console = request.path == "/" or request.path.startswith("/console")
    if parts.hostname != "localhost" or not is_console:
        return None
    place = parts._replace(netloc=f"{HOST}:{request.environ['SERVER_PORT']}")
    return redirect(urlunsplit(place), HTTPStatus.TEMPORARY_REDIRECT)


def _is_word(value: object) -> bool:
    """Is this text that stays one word when claims are joined by spaces?"""
    return isinstance(value, str) and value.isprintable() and value != "" and " " not in value


def _json(status: int, content: dict[str, Any]) -> Response:
    headers = {"cache-control": "no-store"}
    return Response(json.dumps(content), status, headers, content_type="application/json")


def _problem(status: int, code: str, detail: str) -> Response:
    """A refusal in the admin API's form (RFC 9457)."""
    title = code.replace("_", " ").capitalize()
    problem = {"type": "about:blank", "title": title, "status": status}
    body = json.dumps(problem | {"detail": detail, "code": code})
    return Response(body, status, content_type="application/problem+json")


def _refused(refusal: HTTPException) -> Response:
    """404 `not_found`, or 405 `method_not_allowed` with `Allow`."""
    status = HTTPStatus(refusal.code or HTTPStatus.NOT_FOUND)
    code = status.phrase.lower().replace(" ", "_")
    answer = _problem(status, code, status.phrase)
    if isinstance(refusal, MethodNotAllowed):
        answer.allow.update(refusal.valid_methods or ())
    return answer
