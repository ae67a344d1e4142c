"""The admin API's handler in this process, behind what API Gateway does to a request."""

import json
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any

import pytest
from werkzeug.wrappers import Request

from functions.admin_api import handler
from infra.local.aws.events import decoded_path, event, response
from infra.routes import find_route
from shared.runtime.dependencies import Dependencies
from tests.support.http_requests import http_request
from tests.support.stores import Stores

ADMIN = ("admin",)
EMAIL = "ada@example.com"

VERSION = {
    "id", "image_tag", "image_digest", "openclaw_version", "variant", "status", "is_latest",
    "rollout_percent", "published_at", "published_by", "notes", "revision", "missing_since",
    "created_at", "updated_at",
}  # fmt: skip


@dataclass(frozen=True)
class Reply:
    """What API Gateway would send; `json` is None without a body."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body) if self.body else None

    @property
    def refusal(self) -> tuple[int, str]:
        """Status and code of a problem document."""
        assert self.headers["content-type"] == "application/problem+json", self.body
        return self.status, self.json["code"]

    @property
    def fields(self) -> list[str]:
        """The fields that a 422 complains about."""
        assert self.refusal == (422, "invalid_request"), self.body
        return [error["field"] for error in self.json["errors"]]


@dataclass(frozen=True)
class Context:
    """Lambda's context of an event: how long its process may still live."""

    seconds: float = 29

    def get_remaining_time_in_millis(self) -> int:
        return int(self.seconds * 1000)


@dataclass(frozen=True)
class Api:
    """The handler as a client sees it, on stores of its own; `wired` is what it works with."""

    stores: Stores
    wired: Callable[[], Dependencies]
    context: Context = Context()

    def call(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        roles: Sequence[str] | None = ADMIN,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        """One request as it is written here; bytes are sent as they are.

        `roles` None sends no token.
        """
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        kind = {} if body is None else {"content-type": "application/json"}
        target, _, query = path.partition("?")
        sent = b"" if body is None else content
        return self.send(
            http_request(method, target, query, {**kind, **(headers or {})}, sent), roles
        )

    def send(self, request: Request, roles: Sequence[str] | None = ADMIN) -> Reply:
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(handler, "dependencies", self.wired)
            return reply(invoke(event_of(request, claims(roles)), self.context))

    def get(self, path: str, **more: Any) -> Any:
        """What a successful GET answers."""
        answer = self.call("GET", path, **more)
        assert answer.status == 200, answer.body
        return answer.json

    def publish(self, tag: str, **fields: object) -> Any:
        """A version; what is not given is plausible."""
        body = {"image_tag": tag, "openclaw_version": "2026.11.1"} | fields
        answer = self.call("POST", "/v1/versions", body)
        assert answer.status in {200, 201}, answer.body
        return answer.json

    def patch(self, tag: str, **fields: object) -> Reply:
        return self.call("PATCH", f"/v1/versions/{tag}", fields)

    def promote(self, tag: str) -> Any:
        answer = self.call("POST", f"/v1/versions/{tag}/promote")
        assert answer.status == 200, answer.body
        return answer.json["variant"]

    def pin(self, user_id: str, tag: str, **fields: object) -> Any:
        answer = self.call("PUT", f"/v1/users/{user_id}/pin", {"image_tag": tag} | fields)
        assert answer.status in {200, 201}, answer.body
        return answer.json


@contextmanager
def api_on(stores: Stores, **environ: str) -> Generator[Api]:
    """The handler of a new sandbox, whose environment points at `stores`."""
    with sandbox(handler, stores, "admin_api", **environ) as wired:
        yield Api(stores, wired)


@contextmanager
def sandbox(
    module: Any, stores: Stores, name: str, **environ: str
) -> Generator[Callable[[], Dependencies]]:
    """What a function's module finds around it when it runs for the first time."""
    with pytest.MonkeyPatch.context() as patched:
        settings = {
            "DATABASE_CONNINFO": stores.conninfo(name),
            "TABLE_NAME": stores.table,
            "AWS_ENDPOINT_URL_DYNAMODB": stores.client.meta.endpoint_url,
            "POWERTOOLS_SERVICE_NAME": name,
            "POWERTOOLS_METRICS_NAMESPACE": "KiloClaw",
        }
        for variable, value in (settings | environ).items():
            patched.setenv(variable, value)
        wired = cache(module.dependencies.__wrapped__)
        patched.setattr(module, "dependencies", wired)
        made = wired()  # now, for another sandbox may change the environment
        try:
            yield wired
        finally:
            made.database.close()
            if isinstance(made, Dependencies):
                made.kv.table.client.close()


def claims(roles: Sequence[str] | None) -> dict[str, object] | None:
    """The claims of a token as an issuer writes them; a list is rendered later."""
    if roles is None:
        return None
    return {"sub": "ada", "email": EMAIL, "cognito:groups": list(roles)}


def event_of(request: Request, of: Mapping[str, object] | None) -> dict[str, Any]:
    """The event of a request."""
    path = decoded_path(request)
    return event(request, find_route(request.method, path), path, of)


def invoke(content: Mapping[str, object], context: Context | None = None) -> bytes:
    """The handler's answer; both ways through JSON, as on Lambda."""
    event = json.loads(json.dumps(content))
    return json.dumps(handler.handler(event, context or Context())).encode()


def reply(answer: bytes) -> Reply:
    sent = response(answer)
    return Reply(sent.status_code, dict(sent.headers), sent.get_data())
