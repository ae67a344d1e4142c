"""Requests made from the OpenAPI document, good and bad: every answer is as it says."""

from collections.abc import Iterator
from threading import Lock
from typing import Any

import pytest
import schemathesis
from schemathesis.config import SchemathesisConfig
from werkzeug.wrappers import Request, Response

from functions.admin_api.document import document
from functions.admin_api.handler import app
from infra.local.postgres import Postgres
from infra.local.server import Server
from tests.support.admin_api import ADMIN, Api, api_on
from tests.support.stores import make_stores

TOKEN = "Bearer admin"
NOT_IN_ANY_SCHEMA = {
    "cursor",  # opaque: a text of its form may still be nobody's
    "published_at",  # a time that is too far ahead when it arrives
    "expires_at",  # a time that is past when it arrives
    "items",  # a user named twice
}
CONFIG = {
    "seed": 1,
    "generation": {"max-examples": 8, "deterministic": True},
    "phases": {"coverage": {"generate-duplicate-query-parameters": True}},
    # What lies behind a 422 is looked at below.
    "checks": {
        "positive_data_acceptance": {"expected-statuses": ["2xx", "404", "409", "412", "422"]}
    },
}

schema = schemathesis.openapi.from_dict(
    document(app), config=SchemathesisConfig.from_dict(CONFIG)
)


class InProcessGateway:
    """One request at a time through the handler in this process, over HTTP."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._lock = Lock()

    def answer(self, request: Request) -> Response:
        is_admin = request.headers.get("authorization") == TOKEN
        with self._lock:
            sent = self._api.send(request, ADMIN if is_admin else None)
        return Response(sent.body, sent.status, dict(sent.headers))


@pytest.fixture(scope="module")
def url(postgres_server: Postgres, dynamodb: Any) -> Iterator[str]:
    """The API with something of everything behind it."""
    with api_on(make_stores(postgres_server, dynamodb)) as api:
        for tag in ("one", "two", "0"):
            api.publish(tag)
        api.promote("two")
        api.pin("0", "one")
        server = Server(InProcessGateway(api).answer)
        server.start()
        yield f"http://127.0.0.1:{server.port}"
        server.stop()


@schema.parametrize()
def test_requests_from_the_document(case: Any, url: str) -> None:
    """No server error, no undeclared answer, no shape but the declared one."""
    answer = case.call_and_validate(base_url=url, headers={"Authorization": TOKEN})
    if case.meta.generation.mode.is_positive and answer.status_code == 422:
        errors, code = answer.json()["errors"], answer.json()["code"]
        fields = {error["field"] for error in errors if "field" in error}
        assert fields <= NOT_IN_ANY_SCHEMA
        assert fields or code == "bulk_rejected"
