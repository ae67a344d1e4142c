"""Who gets to which endpoint: all that is answered before a store is asked."""

import json
from typing import Any, get_args

import pytest

from functions.admin_api.answers import NO_CONTENT, Answer
from functions.admin_api.dispatch import dispatch
from functions.admin_api.endpoints import Endpoint, Request, endpoint
from functions.admin_api.table import ENDPOINTS
from shared.domain.roles import Role
from tests.support.requests import event, no_stores

ROLES: tuple[Role, ...] = get_args(Role)
VALUES = {"{image_tag}": "v1", "{variant}": "gpu", "{user_id}": "ana"}
GUARDED = [one for one in ENDPOINTS if one.role is not None]


@pytest.fixture(autouse=True)
def _namespace(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    monkeypatch.setenv("POWERTOOLS_METRICS_NAMESPACE", "KiloClaw")
    monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", request.node.name)


def path_of(one: Endpoint) -> str:
    path = one.template
    for variable, value in VALUES.items():
        path = path.replace(variable, value)
    return path


def answered(*args: Any, **parameters: Any) -> tuple[int, dict[str, Any], Answer]:
    answer = dispatch(event(*args, **parameters), no_stores())
    assert isinstance(answer.body, str)
    return answer.status, json.loads(answer.body), answer


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("one", GUARDED, ids=lambda one: f"{one.method} {one.template}")
def test_every_endpoint_against_every_role(one: Endpoint, role: Role) -> None:
    """Viewers read, a publisher publishes, admins may do all; what is to be built says so."""
    may: set[Role] = {"admin"}
    if one.method == "GET":
        may.add("viewer")
    if (one.method, one.template) == ("POST", "/v1/versions"):
        may.add("publisher")
    status, body, _ = answered(one.method, path_of(one), role)
    assert (status == 403, body["code"] == "forbidden") == (role not in may,) * 2
    assert role not in may or (status == 501) == (not one.built)


@pytest.mark.parametrize("one", ENDPOINTS, ids=lambda one: f"{one.method} {one.template}")
def test_every_endpoint_without_a_token(one: Endpoint) -> None:
    """API Gateway's own 401, or nothing is there; what documents the API is for everyone."""
    answer = dispatch(event(one.method, path_of(one)), no_stores())
    assert answer.status == (200 if one.role is None else 401)
    if one.role is not None:
        assert answer.body == '{"message": "Unauthorized"}'
        assert answer.headers == {"www-authenticate": "Bearer"}
        assert answer.content_type == "application/json"


@pytest.mark.parametrize(
    ("path", "status"),
    [
        *(
            (path, 401)
            for path in ("/v1", "/v1/nothing", "//v1/pins", "/V1/pins", "/%76%31/pins")
        ),
        *((path, 404) for path in ("/", "/docs/", "/docs2", "/openapi", "/console", "")),
    ],
)
def test_other_paths_without_a_token(path: str, status: int) -> None:
    """Whatever the path claims to be."""
    assert answered("GET", path)[0] == status


@pytest.mark.parametrize(
    "path",
    ["/v1", "/v1/", "/v1/pins/", "/v1//pins", "/v1/users//pin", "/V1/pins", "/v1/users/a/b"],
)
def test_unknown_paths(path: str) -> None:
    """404 for an admin too."""
    status, body, answer = answered("GET", path, "admin")
    assert (status, body["code"]) == (404, "not_found")
    assert answer.content_type == "application/problem+json"


def test_a_guarded_endpoint_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without claims it is not there, wherever a table might put it."""

    @endpoint("GET", "/console", answers={204: None})
    def show(_request: Request[Any, None]) -> Answer:
        return NO_CONTENT

    monkeypatch.setattr("functions.admin_api.dispatch.ENDPOINTS", [show])
    assert dispatch(event("GET", "/console"), no_stores()).status == 404
    assert dispatch(event("GET", "/console", "viewer"), no_stores()).status == 204


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("DELETE", "/v1/versions", "GET, POST"),
        ("HEAD", "/v1/stats", "GET"),
        ("TRACE", "/v1/users/ana/pin", "GET, PUT, DELETE"),
        ("OPTIONS", "/v1/versions/v1", "GET, PATCH, DELETE"),
    ],
)
def test_wrong_methods(method: str, path: str, allow: str) -> None:
    """405, with those that the path knows."""
    status, body, answer = answered(method, path, "admin")
    assert (status, body["code"], body["allow"]) == (405, "method_not_allowed", allow)
    assert answer.headers == {"allow": allow}


@pytest.mark.parametrize(
    ("method", "path", "parameters", "named"),
    [
        ("POST", "/v1/versions", {"query": "dry_run=true"}, "dry_run"),
        ("DELETE", "/v1/users/ana", {"query": "dry%5Frun"}, "dry_run"),
        ("PUT", "/v1/users/ana/pin", {"if_match": '"1"'}, "If-Match"),
        ("POST", "/v1/sync", {"Idempotency_Key": "k"}, "Idempotency-Key"),
        ("POST", "/v1/pins/bulk", {"query": "dry_run=1"}, "this endpoint, dry_run"),
    ],
)
def test_what_comes_later(
    method: str, path: str, parameters: dict[str, Any], named: str
) -> None:
    """Is refused by name, never ignored."""
    status, body, _ = answered(method, path, "admin", **parameters)
    assert (status, body["code"]) == (501, "not_implemented")
    assert body["detail"].endswith(f": {named}")


@pytest.mark.parametrize(
    ("method", "path", "parameters", "field"),
    [
        ("GET", "/v1/versions/latest", {}, "image_tag"),
        ("GET", "/v1/users/a\0/pin", {}, "user_id"),
        ("GET", '/v1/versions/"', {}, "image_tag"),
        ("GET", "/v1/pins", {"query": "limit=0"}, "limit"),
        ("POST", "/v1/sync", {"query": "dry_run=true"}, "dry_run"),
        ("GET", "/v1/pins", {"query": "dry_run=true"}, "dry_run"),
        ("DELETE", "/v1/users/ana", {"query": "\ud800"}, "query"),
        ("GET", "/v1/pins", {"query": "cursor=AAAA"}, "cursor"),
        ("POST", "/v1/versions", {"body": "{"}, "body"),
        ("PUT", "/v1/users/ana/pin", {"body": '{"image_tag": 1}'}, "image_tag"),
    ],
)
def test_malformed_input(
    method: str, path: str, parameters: dict[str, Any], field: str
) -> None:
    """422 with the field."""
    status, body, _ = answered(method, path, "admin", **parameters)
    assert (status, body["code"]) == (422, "invalid_request")
    assert [error["field"] for error in body["errors"]] == [field]


def test_a_publisher_where_it_may_not_promote() -> None:
    """The setting holds for publishers alone; nothing is published."""
    body = '{"image_tag": "v1", "openclaw_version": "2026.11.1", "set_latest": true}'
    deps = no_stores()
    object.__setattr__(deps.settings, "publisher_may_promote", False)
    answer = dispatch(event("POST", "/v1/versions", "publisher", body=body), deps)
    assert answer.status == 403


def test_the_unexpected(capsys: pytest.CaptureFixture[str]) -> None:
    """A bare 500; where it happened is in the log, its words are in neither."""
    status, body, _ = answered("GET", "/v1/stats", "viewer")
    assert (status, body["code"]) == (500, "internal_error")
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert any(line.get("Unexpected") == [1.0] for line in lines)
    [written] = [line for line in lines if line.get("message") == "unexpected"]
    assert (written["level"], written["error"]) == ("ERROR", "LookupError")
    assert written["frames"][-1].startswith("_nowhere:")
    assert "example.com" not in json.dumps([body, *lines])
