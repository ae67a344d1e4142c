"""Who may do what: every endpoint of the table against every role."""

from collections.abc import Iterator
from typing import Any

import pytest

from infra.local.postgres import Postgres
from tests.support.admin_api import Api, Reply, api_on, claims, event_of, invoke, reply
from tests.support.http_requests import http_request
from tests.support.operations import OPERATIONS, Operation
from tests.support.stores import Stores, make_stores

PUBLISHERS = {
    "POST /v1/versions", "GET /v1/versions", "GET /v1/versions/{image_tag}",
    "GET /v1/variants", "GET /v1/variants/{variant}",
}  # fmt: skip
OPEN = {("GET", "/openapi.json"), ("GET", "/docs")}
ROLES: tuple[tuple[str, ...] | None, ...] = (
    None,
    (),
    ("viewer",),
    ("publisher",),
    ("admin",),
    ("viewer", "publisher"),
    ("publisher", "admin"),
    ("Admin", "administrators", "viewers"),
)
CONTRACT = """
GET /v1/versions · POST /v1/versions · GET /v1/versions/{image_tag}
PATCH /v1/versions/{image_tag} · DELETE /v1/versions/{image_tag}
POST /v1/versions/{image_tag}/promote · POST /v1/variants/{variant}/rollback
GET /v1/variants · GET /v1/variants/{variant} · PUT /v1/variants/{variant}/rollout
POST /v1/variants/{variant}/rollout/resume · DELETE /v1/variants/{variant}/rollout
GET /v1/pins · GET /v1/users/{user_id}/pin · PUT /v1/users/{user_id}/pin
DELETE /v1/users/{user_id}/pin · POST /v1/pins/bulk · GET /v1/users/{user_id}/resolution
POST /v1/users/{user_id}/erase · GET /v1/instances · GET /v1/instances/{user_id}
GET /v1/stats
GET /v1/distribution · POST /v1/sync · GET /v1/sync-runs · GET /v1/sync-findings
GET /v1/audit · GET /v1/audit/verification · GET /openapi.json · GET /docs
"""


@pytest.fixture(scope="module")
def api(postgres_server: Postgres, dynamodb: Any) -> Iterator[Api]:
    """Nothing is published: what passes is refused for another reason, or does nothing."""
    with api_on(make_stores(postgres_server, dynamodb)) as made_api:
        yield made_api


def expected(method: str, template: str, roles: tuple[str, ...] | None) -> int | None:
    """401, 403, or None: let through."""
    if (method, template) in OPEN:
        return None
    if roles is None:
        return 401
    may = {"admin"}
    may |= {"viewer"} if method == "GET" else set()
    may |= {"publisher"} if f"{method} {template}" in PUBLISHERS else set()
    return None if may & set(roles) else 403


def test_the_table_is_the_contracts() -> None:
    """No endpoint is missing, and none is there that nobody described."""
    described = {line.strip() for line in CONTRACT.replace("\n", "·").split("·")} - {""}
    assert {f"{one.method} {one.template}" for one in OPERATIONS} == described


@pytest.mark.parametrize("roles", ROLES, ids=str)
@pytest.mark.parametrize("endpoint", OPERATIONS, ids=str)
def test_every_endpoint_against_every_role(
    api: Api, endpoint: Operation, roles: tuple[str, ...] | None
) -> None:
    """Viewers read, publishers publish, admins do all; strangers get API Gateway's body."""
    answer = api.call(endpoint.method, endpoint.path, roles=roles)
    match expected(endpoint.method, endpoint.template, roles):
        case 401:
            assert (answer.status, answer.json) == (401, {"message": "Unauthorized"})
            assert answer.headers["www-authenticate"] == "Bearer"
        case 403:
            assert answer.refusal == (403, "forbidden")
        case _:
            assert answer.status in {200, 204, 404, 409, 422}, answer.body


@pytest.mark.parametrize(
    "groups",
    ["[viewer admin]", '["viewer", "admin"]', "viewer admin", "viewer,admin", ["admin"]],
    ids=str,
)
def test_groups_however_they_are_passed(api: Api, groups: object) -> None:
    """API Gateway's text, a JSON list and plain lists say the same."""
    answer = with_claims(api, {"sub": "ada", "cognito:groups": groups})
    assert answer.refusal == (404, "pin_not_found")


@pytest.mark.parametrize(
    "groups", ["[]", "", "[", "[[admin]]", '{"admin": 1}', None, 7], ids=str
)
def test_groups_that_name_no_role(api: Api, groups: object) -> None:
    """Whoever is in none may do nothing."""
    answer = with_claims(api, {"sub": "ada", "cognito:groups": groups})
    assert answer.refusal == (403, "forbidden")


@pytest.mark.parametrize(
    "named",
    [{}, {"sub": ""}, {"sub": 7}, {"email": "a\x00b", "sub": "ada"}, {"sub": "a\ud800"}],
    ids=str,
)
def test_claims_that_name_nobody(api: Api, named: dict[str, object]) -> None:
    """Without a name that the log can hold there is no actor: 401."""
    answer = with_claims(api, {"cognito:groups": "[admin]", **named})
    assert answer.status == 401


def with_claims(_api: Api, texts: dict[str, object]) -> Reply:
    """A request whose authorizer passes just these texts."""
    content = event_of(http_request("GET", "/v1/users/ana/pin"), claims(()))
    content["requestContext"]["authorizer"]["jwt"]["claims"] = texts
    return reply(invoke(content))


@pytest.mark.parametrize("authorizer", [None, {}, {"jwt": None}, {"jwt": {"claims": None}}])
def test_an_authorizer_that_says_nothing(api: Api, authorizer: object) -> None:
    """Whatever is missing of it, it is 401."""
    content = event_of(http_request("GET", "/v1/users/ana/pin"), claims(()))
    content["requestContext"]["authorizer"] = authorizer
    assert reply(invoke(content)).status == 401


@pytest.mark.parametrize("switch", ["on", "off"])
def test_a_publisher_may_promote_only_where_told_so(stores: Stores, switch: str) -> None:
    """`set_latest` obeys the switch for publishers; an admin may always."""
    body = {"image_tag": "one", "openclaw_version": "2026.11.1", "set_latest": True}
    with api_on(stores, PUBLISHER_MAY_PROMOTE=switch) as own:
        answer = own.call("POST", "/v1/versions", body, roles=("publisher",))
        assert answer.status == (201 if switch == "on" else 403)
        assert own.call("GET", "/v1/versions/one").status == (200 if switch == "on" else 404)
        plain = {"image_tag": "two", "openclaw_version": "2026.11.1"}
        assert own.call("POST", "/v1/versions", plain, roles=("publisher",)).status == 201
        both = own.call("POST", "/v1/versions", body, roles=("publisher", "admin"))
        assert both.json["is_latest"] is True
