"""Paths and methods: what is there, for whom, and what is still to come."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from infra.local.postgres import Postgres
from tests.support.admin_api import Api, api_on
from tests.support.operations import OPERATIONS, VALUES, Operation
from tests.support.stores import make_stores


@pytest.fixture(scope="module")
def api(postgres_server: Postgres, dynamodb: Any) -> Iterator[Api]:
    """Nothing is published."""
    with api_on(make_stores(postgres_server, dynamodb)) as made:
        yield made


@pytest.mark.parametrize(
    "path",
    [
        "/v1", "/v1/", "//v1/versions", "/./v1/versions", "/V1/versions", "/v1//versions",
        "/%76%31/versions", "/%2576%2531/versions", "/v1%2fversions", "/%2Fv1/versions",
        "/docs/../v1/versions", "/v1/../docs", "/v1/%2e%2e/docs", "/\\v1\\versions",
        "/x/../v1/versions", "/x/..//v1", "/../v1", "/v1/nothing", "/v1/docs",
    ],
)  # fmt: skip
@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_no_spelling_of_v1_answers_without_a_token(api: Api, path: str, method: str) -> None:
    """What any server would take for a path under /v1 is 401, known there or not."""
    assert api.call(method, path, roles=None).status == 401


@pytest.mark.parametrize(
    "path", ["/", "/console", "/openapi.json/", "/v12", "/xv1/v1", "/DOCS"]
)
def test_without_a_token_there_is_nothing_else(api: Api, path: str) -> None:
    """Other paths are unknown, with and without a token."""
    assert api.call("GET", path, roles=None).refusal == (404, "not_found")
    assert api.call("GET", path).refusal == (404, "not_found")


@pytest.mark.parametrize("path", ["/v1/nothing", "/v1", "/v1/", "/v1/versions/", "/v1/users"])
def test_an_unknown_path(api: Api, path: str) -> None:
    """404 for who has a token."""
    assert api.call("GET", path).refusal == (404, "not_found")


SCRIPT = "text/javascript; charset=utf-8"
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE", "CONNECT", "X")


@pytest.mark.parametrize("template", sorted({one.template for one in OPERATIONS}))
def test_a_wrong_method(api: Api, template: str) -> None:
    """405, with all methods that the path knows in `Allow`."""
    known = [one.method for one in OPERATIONS if one.template == template]
    for method in METHODS:
        if method not in known:
            answer = api.call(method, template.format(**VALUES))
            assert answer.refusal == (405, "method_not_allowed")
            assert answer.headers["allow"] == answer.json["allow"] == ", ".join(known)


@pytest.mark.parametrize("endpoint", OPERATIONS, ids=str)
def test_options_of_mutations(api: Api, endpoint: Operation) -> None:
    """Mutations without a condition refuse it; to a GET it means nothing, nor does a key."""
    path, mutates = endpoint.path, endpoint.method != "GET"
    is_sync = endpoint.template == "/v1/sync"
    for name in ("dry_run", "dry_run=1", "dry_run=True", "dry%5Frun=yes", "x=1&dry_run=true"):
        assert api.call(endpoint.method, f"{path}?{name}").status == 422
    if not mutates or is_sync:
        assert api.call(endpoint.method, f"{path}?dry_run=true").status == 422
    condition = api.call(endpoint.method, path, headers={"if-match": '"1"'})
    has_precondition = "if-match" in endpoint.headers
    if mutates and not has_precondition:
        assert condition.refusal == (412, "stale_revision")
    key = api.call(endpoint.method, path, headers={"idempotency-key": "k" * 256})
    if endpoint.method == "POST":
        assert "idempotency-key" in key.fields
    elif not mutates:
        assert key.status != 422


def test_documentation_for_everybody(api: Api) -> None:
    """The document and its page, whose scripts are our own, with or without a token."""
    for roles in (None, (), ("viewer",)):
        document = api.call("GET", "/openapi.json", roles=roles)
        assert json.loads(document.body)["openapi"] == "3.1.0"
        page = api.call("GET", "/docs", roles=roles)
        assert page.headers["content-type"] == "text/html; charset=utf-8"
        assert "default-src 'none'" in page.headers["content-security-policy"]
        assert "unsafe" not in page.headers["content-security-policy"]
        scripts = re.findall(r'<script src="(.*?)"></script>', page.body.decode())
        assert page.body.count(b"<script") == len(scripts) == 2
        for script in scripts:
            assert api.call("GET", script, roles=roles).headers["content-type"] == SCRIPT
