"""`?dry_run=true`: what a change would do, or how it would be refused."""

from collections.abc import Iterator
from typing import Any

import pytest

from infra.local.postgres import Postgres
from tests.support.admin_api import Api, api_on
from tests.support.failing_clients import unreachable
from tests.support.fleet_copy import copy_fleet
from tests.support.store_dump import dump
from tests.support.stores import Stores, make_stores
from tests.support.stream_records import MOMENT, instance_item

IMPACT = {"users", "moves", "pinned", "sample", "as_of"}


@pytest.fixture
def api(stores: Stores) -> Iterator[Api]:
    """One is latest; ana and ben run it, cid is pinned to it, and old is deprecated."""
    with api_on(stores) as made:
        _fill(made)
        yield made


@pytest.fixture(scope="module")
def unchanged(postgres_server: Postgres, dynamodb: Any) -> Iterator[Api]:
    """The same, for requests that are refused."""
    with api_on(make_stores(postgres_server, dynamodb)) as made:
        _fill(made)
        yield made


def _fill(api: Api) -> None:
    for tag in ("one", "two", "old"):
        api.publish(tag)
    api.promote("one")
    api.patch("old", status="deprecated")
    api.pin("cid", "one")
    for user in ("ana", "ben", "cid"):
        api.stores.put(f"INSTANCE#{user}", "IMAGE", **instance_item(user, running_tag="one"))
    copy_fleet(api.stores)


def test_promoting(api: Api) -> None:
    """Whoever has no pin moves; the shape is the contract's."""
    before = dump(api.stores)
    answer = api.call("POST", "/v1/versions/two/promote?dry_run=true")
    assert (answer.status, "etag" in answer.headers) == (200, False)
    assert answer.json == {
        "dry_run": True,
        "impact": {
            "users": 2,
            "moves": [{"from": "one", "to": "two", "users": 2}],
            "pinned": 1,
            "sample": [
                {"user_id": "ana", "from": "one", "to": "two"},
                {"user_id": "ben", "from": "one", "to": "two"},
            ],
            "as_of": MOMENT,
        },
    }
    assert dump(api.stores) == before
    assert api.get("/v1/variants/default")["latest"]["image_tag"] == "one"
    done = api.call("POST", "/v1/versions/two/promote?dry_run=false")
    assert done.json["variant"]["latest"]["image_tag"] == "two"


MUTATIONS: list[tuple[str, str, Any, int]] = [
    ("POST", "/v1/versions", {"image_tag": "new", "openclaw_version": "2026.11.2"}, 0),
    ("POST", "/v1/versions",
     {"image_tag": "new", "openclaw_version": "2026.11.2", "set_latest": True}, 2),
    ("PATCH", "/v1/versions/one", {"status": "disabled", "replacement": "two"}, 3),
    ("PATCH", "/v1/versions/one", {"status": "deprecated"}, 0),
    ("PATCH", "/v1/versions/one", {"notes": "new"}, 0),
    ("PATCH", "/v1/versions/old", {"status": "active"}, 0),
    ("DELETE", "/v1/versions/two", None, 0),
    ("PUT", "/v1/users/ana/pin", {"image_tag": "two"}, 1),
    ("PUT", "/v1/users/stranger/pin", {"image_tag": "two"}, 0),
    ("DELETE", "/v1/users/cid/pin", None, 0),
    ("POST", "/v1/users/cid/erase", None, 0),
]  # fmt: skip


@pytest.mark.parametrize(("method", "path", "body", "users"), MUTATIONS)
def test_every_mutation(api: Api, method: str, path: str, body: Any, users: int) -> None:
    """200 and the impact, whatever the change itself would answer; nothing is written."""
    before = dump(api.stores)
    answer = api.call(method, f"{path}?dry_run=true", body)
    assert (answer.status, answer.json["dry_run"]) == (200, True)
    impact = answer.json["impact"]
    assert impact.keys() == IMPACT
    assert impact["users"] == sum(move["users"] for move in impact["moves"]) == users
    assert len(impact["sample"]) == users
    assert dump(api.stores) == before
    assert api.call(method, path, body).status in {200, 201, 204}


REFUSED: list[tuple[str, str, Any, str]] = [
    ("POST", "/v1/versions", {"image_tag": "one", "openclaw_version": "2026.1.1",
                              "variant": "gpu"}, "variant_changed"),
    ("POST", "/v1/versions", {"image_tag": "old", "openclaw_version": "2026.1.1",
                              "set_latest": True}, "version_not_active"),
    ("PATCH", "/v1/versions/one", {"status": "disabled"}, "version_in_use"),
    ("PATCH", "/v1/versions/one", {"status": "disabled", "replacement": "old"},
     "invalid_replacement"),
    ("PATCH", "/v1/versions/none", {"notes": "x"}, "version_not_found"),
    ("DELETE", "/v1/versions/one", None, "version_in_use"),
    ("POST", "/v1/versions/old/promote", {}, "version_not_active"),
    ("PUT", "/v1/users/ana/pin", {"image_tag": "none"}, "version_not_found"),
    ("PUT", "/v1/users/ana/pin", {"image_tag": "one", "expires_at": MOMENT},
     "invalid_request"),
]  # fmt: skip


@pytest.mark.parametrize(("method", "path", "body", "code"), REFUSED)
def test_a_preview_is_refused_like_the_change(
    unchanged: Api, method: str, path: str, body: Any, code: str
) -> None:
    """The same problem document but for the request's id."""
    previewed = unchanged.call(method, f"{path}?dry_run=true", body)
    refused = unchanged.call(method, path, body)
    assert previewed.refusal == refused.refusal == (refused.status, code)
    own = {"request_id": None}
    assert previewed.json | own == refused.json | own


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PATCH", "/v1/versions/one", {"notes": "x"}),
        ("PATCH", "/v1/versions/one", {"status": "disabled", "replacement": "two"}),
        ("DELETE", "/v1/versions/two", None),
        ("POST", "/v1/versions/two/promote", {}),
        ("PUT", "/v1/users/cid/pin", {"image_tag": "two"}),
        ("DELETE", "/v1/users/cid/pin", None),
    ],
)
def test_a_stale_preview_is_refused(unchanged: Api, method: str, path: str, body: Any) -> None:
    """`If-Match` is checked as by the change."""
    stale = {"if-match": '"stale"'}
    refused = unchanged.call(method, f"{path}?dry_run=true", body, headers=stale)
    assert refused.refusal == (412, "stale_revision")


def test_a_role_that_may_not_change_may_not_preview(unchanged: Api) -> None:
    """A preview names users, so it needs the change's own role."""
    refused = unchanged.call("POST", "/v1/versions/two/promote?dry_run=true", roles=("viewer",))
    assert refused.refusal == (403, "forbidden")


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "/v1/versions/two/promote", {}, 503),
        ("POST", "/v1/versions", {"image_tag": "n", "openclaw_version": "2026.1.1"}, 503),
        ("DELETE", "/v1/versions/two", None, 503),
        ("POST", "/v1/users/cid/erase", None, 503),
        ("PATCH", "/v1/versions/one", {"status": "disabled", "replacement": "two"}, 200),
        ("PATCH", "/v1/versions/two", {"status": "deprecated"}, 200),
        ("PUT", "/v1/users/ana/pin", {"image_tag": "two"}, 200),
        ("DELETE", "/v1/users/cid/pin", None, 200),
    ],
)
def test_the_kv_is_down(
    api: Api,
    monkeypatch: pytest.MonkeyPatch,
    method: str,
    path: str,
    body: Any,
    status: int,
) -> None:
    """A preview needs the KV where the change does, and goes on with the mirror where not."""
    monkeypatch.setattr(api.wired().kv.table, "client", unreachable())
    previewed = api.call(method, f"{path}?dry_run=true", body)
    changed = api.call(method, path, body)
    assert previewed.status == status
    assert changed.status in ({status} if status == 503 else {200, 201, 204})
    if method == "PATCH" and "replacement" in body:
        assert previewed.json["impact"]["users"] == 3
