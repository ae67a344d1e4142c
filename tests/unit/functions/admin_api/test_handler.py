"""Who gets to which operation: all that is answered before a store is asked."""

import json
from typing import Any, get_args

import pytest

from shared.domain.roles import Role
from tests.support.operations import GUARDED, OPERATIONS, Operation
from tests.support.requests import REQUEST_ID, answer, event, no_stores

PUBLISHERS = {
    "POST /v1/versions", "GET /v1/versions", "GET /v1/versions/{image_tag}",
    "GET /v1/variants", "GET /v1/variants/{variant}",
}  # fmt: skip
ROLES: tuple[Role, ...] = get_args(Role)


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("one", GUARDED, ids=str)
def test_every_operation_against_every_role(one: Operation, role: Role) -> None:
    """Viewers read, a publisher publishes, admins may do all."""
    may: set[Role] = {"admin"}
    if one.method == "GET":
        may.add("viewer")
    if str(one) in PUBLISHERS:
        may.add("publisher")
    status, code = answer(event(one.method, one.path, role)).refusal
    assert (status == 403, code == "forbidden") == (role not in may,) * 2


@pytest.mark.parametrize("one", OPERATIONS, ids=str)
def test_every_operation_without_a_token(one: Operation) -> None:
    """API Gateway's own 401; what documents the API is for everyone."""
    reply = answer(event(one.method, one.path))
    assert reply.status == (401 if one.roles else 200)
    assert reply.headers["x-request-id"] == REQUEST_ID
    if one.roles:
        assert reply.json == {"message": "Unauthorized"}
        assert reply.headers["www-authenticate"] == "Bearer"
        assert reply.headers["content-type"] == "application/json"


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
    assert answer(event("GET", path)).status == status


@pytest.mark.parametrize(
    "path",
    [
        "/v1",
        "/v1/",
        "/v1/pins/",
        "/v1//pins",
        "/v1/users//pin",
        "/V1/pins",
        "/v1/users/a/b",
        "/v1/users/ana",
        "/openapi_json",
    ],
)
def test_unknown_paths(path: str) -> None:
    """404 for an admin too."""
    assert answer(event("GET", path, "admin")).refusal == (404, "not_found")


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
    reply = answer(event(method, path, "admin"))
    assert reply.refusal == (405, "method_not_allowed")
    assert reply.headers["allow"] == reply.json["allow"] == allow


@pytest.mark.parametrize("path", ["/v1/users/ana/erase", "/v1/sync"])
def test_a_condition_that_nothing_could_meet(path: str) -> None:
    """What is changed there has no ETag, so the change does not begin."""
    for etag in ('"1"', "*"):
        reply = answer(event("POST", path, "admin", if_match=etag))
        assert reply.refusal == (412, "stale_revision")


@pytest.mark.parametrize(
    ("method", "path", "parameters", "field"),
    [
        ("GET", "/v1/versions/latest", {}, "image_tag"),
        ("GET", "/v1/users/a\0/pin", {}, "user_id"),
        ("GET", '/v1/versions/"', {}, "image_tag"),
        ("GET", "/v1/pins", {"query": "limit=0"}, "limit"),
        ("POST", "/v1/sync", {"query": "dry_run=true"}, "dry_run"),
        ("GET", "/v1/pins", {"query": "dry_run=true"}, "dry_run"),
        ("POST", "/v1/users/ana/erase", {"query": "\ud800"}, "query"),
        ("GET", "/v1/pins", {"query": "cursor=AAAA"}, "cursor"),
        ("POST", "/v1/versions", {"body": "{"}, "body"),
        ("PUT", "/v1/users/ana/pin", {"body": '{"image_tag": 1}'}, "image_tag"),
    ],
)
def test_malformed_input(
    method: str, path: str, parameters: dict[str, Any], field: str
) -> None:
    """422 with the field."""
    assert answer(event(method, path, "admin", **parameters)).fields == [field]


def test_a_publisher_where_it_may_not_promote() -> None:
    """The setting holds for publishers alone; nothing is published."""
    body = '{"image_tag": "v1", "openclaw_version": "2026.11.1", "set_latest": true}'
    deps = no_stores(publisher_may_promote=False)
    reply = answer(event("POST", "/v1/versions", "publisher", body=body), deps)
    assert reply.refusal == (403, "forbidden")


def test_the_id_of_a_request() -> None:
    """Every answer and every problem has the id that the logs name it by."""
    reply = answer(event("GET", "/v1/nothing", "viewer"))
    assert reply.headers["x-request-id"] == reply.json["request_id"] == REQUEST_ID


def test_answers_are_kept_by_no_cache() -> None:
    """Nor is their type guessed."""
    reply = answer(event("GET", "/openapi.json"))
    assert reply.headers["cache-control"] == "no-store"
    assert reply.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("one", OPERATIONS, ids=str)
def test_a_body_that_nobody_reads(one: Operation) -> None:
    """It is refused like an unknown field, by GETs too."""
    if one.body is None:
        assert answer(event(one.method, one.path, "admin", body="{}")).fields == ["body"]


@pytest.mark.parametrize("value", ["a", "a/pin", "a/erase", "a/resolution", "pin", "erase"])
@pytest.mark.parametrize("one", [one for one in OPERATIONS if one.variables], ids=str)
def test_a_path_that_is_cut_short(one: Operation, value: str) -> None:
    """A gateway that cuts the path at a decoded `?` never makes it another mutation."""
    [name] = one.variables
    start, _, end = one.template.partition(f"{{{name}}}")
    whole = f"{start}{value}?{end}"
    for length in range(len(start), len(whole) + 1):
        others = [
            other
            for other in OPERATIONS
            if other.method == one.method != "GET" and other.route.rule.match(whole[:length])
        ]
        assert {str(other) for other in others} <= {str(one)}


def test_there_is_no_operation_at_a_bare_user() -> None:
    """So nothing is left to be meant where a path ends with the user."""
    for method in ("GET", "PUT", "POST", "PATCH", "DELETE"):
        for path in ("/v1/users/ana", "/v1/users/a/b"):
            assert answer(event(method, path, "admin")).refusal == (404, "not_found")


def test_the_unexpected(capsys: pytest.CaptureFixture[str]) -> None:
    """A bare 500; where it happened is in the log, its words are in neither."""
    reply = answer(event("GET", "/v1/stats", "viewer"))
    assert reply.refusal == (500, "internal_error")
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert any(line.get("Unexpected") == [1.0] for line in lines)
    [written] = [line for line in lines if line.get("message") == "unexpected"]
    assert (written["level"], written["error"]) == ("ERROR", "LookupError")
    assert written["correlation_id"] == reply.json["request_id"]
    assert written["frames"][-1].startswith("_nowhere:")
    assert "example.com" not in json.dumps([reply.json, *lines])
