"""Rollouts and rollbacks over the admin API."""

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from typing import Any
from unittest.mock import ANY

import pytest

from infra.local.postgres import Postgres
from shared.domain.model import Instance
from tests.support.admin_api import Api, api_on
from tests.support.failing_clients import unreachable
from tests.support.store_dump import dump
from tests.support.stores import make_stores

MOMENT = "2026-11-01T00:00:00.000000Z"
BRAKE = {"min_failures": 2, "percent": 50}


@pytest.fixture(scope="module")
def module_api(postgres_server: Postgres, dynamodb: Any) -> Iterator[Api]:
    with api_on(make_stores(postgres_server, dynamodb)) as made:
        yield made


@pytest.fixture
def api(module_api: Api, request: pytest.FixtureRequest) -> Api:
    """The variant is the test's name: `-1` is its latest, `-2` and `-3` are active."""
    name = _name(request)
    for number in (1, 2, 3):
        module_api.publish(f"{name}-{number}", variant=name)
    module_api.promote(f"{name}-1")
    return module_api


def _name(request: pytest.FixtureRequest) -> str:
    return str(request.node.name).removeprefix("test_").replace("_", "-")[:60]


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    return _name(request)


def _put(api: Api, name: str, number: int, percent: object, **more: object) -> Any:
    body = {"image_tag": f"{name}-{number}", "percent": percent} | more
    return api.call("PUT", f"/v1/variants/{name}/rollout", body)


def _hold(api: Api, name: str) -> str:
    """Report a failure and hold the rollout as the brake does; returns the salt."""
    item = api.stores.item("POINTER", name)
    assert item is not None
    salt: str = item["salt"]["S"]
    api.wired().kv.counters.count(salt, "start-1", "failed", datetime.now(UTC))
    held = {"revision": {"N": str(int(item["revision"]["N"]) + 1)}, "held": {"BOOL": True}}
    api.stores.client.put_item(TableName=api.stores.table, Item=item | held)
    assert api.call("POST", "/v1/sync").status == 200
    return salt


def test_a_rollout_from_start_to_end(api: Api, name: str) -> None:
    """Started, raised, held, resumed, and ended by promoting the candidate."""
    started = _put(api, name, 2, 10, brake=BRAKE, reason="canary")
    assert (started.status, started.json.keys()) == (200, {"variant"})
    variant = started.json["variant"]
    assert started.headers["etag"] == api.call("GET", f"/v1/variants/{name}").headers["etag"]
    assert variant["candidate"]["image_tag"] == f"{name}-2"
    assert variant["candidate"]["rollout_percent"] == 10
    assert variant["rollout"] == {"percent": 10, "held": False, "brake": BRAKE}
    assert api.get(f"/v1/variants/{name}")["reports"] == {"ok": 0, "failed": 0}
    raised = _put(api, name, 2, 25).json["variant"]
    assert raised["rollout"] == {"percent": 25, "held": False, "brake": BRAKE}
    path = f"/v1/variants/{name}/rollout"
    assert api.call("POST", f"{path}/resume").refusal == (409, "not_held")
    _hold(api, name)
    held = api.get(f"/v1/variants/{name}")
    assert held["rollout"] == {"percent": 25, "held": True, "brake": BRAKE}
    assert held["reports"] == {"ok": 0, "failed": 1}
    assert _put(api, name, 2, 50).refusal == (409, "rollout_held")
    resumed = api.call("POST", f"{path}/resume?reason=Not%20ours")
    assert resumed.json["variant"]["rollout"]["held"] is False
    assert api.get(f"/v1/variants/{name}")["reports"] == {"ok": 0, "failed": 0}
    promoted = api.promote(f"{name}-2")
    assert (promoted["latest"]["image_tag"], promoted["rollout"]) == (f"{name}-2", None)
    events = api.get(f"/v1/audit?subject={name}")["items"]
    assert [event["action"] for event in events] == [
        "latest.promoted", "rollout.resumed", "rollout.adopted", "rollout.set", "rollout.set",
        "latest.promoted",
    ]  # fmt: skip
    assert (events[1]["reason"], events[4]["reason"]) == ("Not ours", "canary")


def test_refusals(api: Api, name: str) -> None:
    """Each code of the contract, and 412 for a stale condition."""
    path = f"/v1/variants/{name}/rollout"
    assert _put(api, name, 9, 5).refusal == (404, "version_not_found")
    assert _put(api, name, 1, 5).refusal == (409, "already_latest")
    api.patch(f"{name}-3", status="deprecated")
    assert _put(api, name, 3, 5).refusal == (409, "version_not_active")
    _put(api, name, 2, 5)
    assert _put(api, name, 3, 5).refusal == (409, "rollout_in_progress")
    api.publish("lonely-1", variant="lonely")
    assert _put(api, "lonely", 1, 5).refusal == (409, "no_latest")
    body = {"image_tag": f"{name}-2", "percent": 5}
    unknown = api.call("PUT", "/v1/variants/nowhere/rollout", body)
    assert unknown.refusal == (404, "variant_not_found")
    stale = {"if-match": '"stale"'}
    for method, target, sent in (
        ("PUT", path, body), ("DELETE", path, None), ("POST", f"{path}/resume", None),
        ("POST", f"/v1/variants/{name}/rollback", None),
    ):  # fmt: skip
        answer = api.call(method, target, sent, headers=stale)
        assert answer.refusal == (412, "stale_revision"), (method, target)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"percent": 101}, "percent"),
        ({"percent": -1}, "percent"),
        ({"percent": "5"}, "percent"),
        ({"percent": 5.5}, "percent"),
        ({"percent": True}, "percent"),
        ({"percent": None}, "percent"),
        ({"brake": {"min_failures": 0, "percent": 5}}, "brake.min_failures"),
        ({"brake": {"min_failures": 10**20, "percent": 5}}, "brake.min_failures"),
        ({"brake": {"min_failures": 1, "percent": 0}}, "brake.percent"),
        ({"brake": {"min_failures": 1, "percent": 101}}, "brake.percent"),
        ({"brake": {"min_failures": 1}}, "brake.percent"),
        ({"brake": {"min_failures": 1, "percent": 5, "x": 1}}, "brake.x"),
        ({"image_tag": "latest"}, "image_tag"),
        ({"salt": "mine"}, "salt"),
    ],
)
def test_thresholds_are_validated_when_given(
    module_api: Api, body: dict[str, Any], field: str
) -> None:
    """422 names the field that breaks its rule."""
    sent = {"image_tag": "one", "percent": 5} | body
    assert module_api.call("PUT", "/v1/variants/default/rollout", sent).fields == [field]


def test_aborting(api: Api, name: str) -> None:
    """204, again as well."""
    _put(api, name, 2, 100)
    for _ in range(2):
        answer = api.call("DELETE", f"/v1/variants/{name}/rollout?reason=Crashes")
        assert (answer.status, answer.body) == (204, b"")
    assert api.get(f"/v1/variants/{name}")["rollout"] is None
    [event, *_] = api.get(f"/v1/audit?subject={name}")["items"]
    assert (event["action"], event["reason"]) == ("rollout.aborted", "Crashes")
    assert api.get(f"/v1/versions/{name}-2")["rollout_percent"] is None


def test_rolling_back(api: Api, name: str) -> None:
    """Back one by one, until there is nothing left; the history has every step."""
    path = f"/v1/variants/{name}/rollback"
    assert api.call("POST", path).refusal == (409, "nothing_to_roll_back_to")
    api.promote(f"{name}-2")
    api.promote(f"{name}-3")
    first = api.call("POST", path, {"reason": "crashes"})
    assert first.json["variant"]["latest"]["image_tag"] == f"{name}-2"
    assert first.headers["etag"] == api.call("GET", f"/v1/variants/{name}").headers["etag"]
    second = api.call("POST", path)
    assert second.json["variant"]["latest"]["image_tag"] == f"{name}-1"
    assert api.call("POST", path).refusal == (409, "nothing_to_roll_back_to")
    [_, rolled_back, *_] = api.get(f"/v1/variants/{name}")["promotions"]
    assert (rolled_back["image_tag"], rolled_back["reason"]) == (f"{name}-2", "crashes")


def test_previews(api: Api, name: str) -> None:
    """A new rollout is an estimate and all else exact; refused is what the call would be."""
    _start_instances(api, name, 40)
    path = f"/v1/variants/{name}/rollout"
    before = dump(api.stores)
    fresh = _dry(api, "PUT", path, {"image_tag": f"{name}-2", "percent": 10})
    assert fresh == {
        "users": 4, "moves": [{"from": f"{name}-1", "to": f"{name}-2", "users": 4}],
        "pinned": 0, "sample": ANY, "as_of": ANY, "estimate": True,
    }  # fmt: skip
    assert len(fresh["sample"]) == 4
    refused = api.call("PUT", f"{path}?dry_run=true", {"image_tag": f"{name}-1", "percent": 10})
    assert refused.refusal == (409, "already_latest")
    back = api.call("POST", f"/v1/variants/{name}/rollback?dry_run=true")
    assert back.refusal == (409, "nothing_to_roll_back_to")
    assert dump(api.stores) == before
    _put(api, name, 2, 10, brake=BRAKE)
    raised = _dry(api, "PUT", path, {"image_tag": f"{name}-2", "percent": 100})
    ended = _dry(api, "DELETE", path)
    assert "estimate" not in raised
    assert raised["users"] + ended["users"] == 40
    _hold(api, name)
    assert _dry(api, "POST", f"{path}/resume")["users"] == ended["users"]
    api.promote(f"{name}-3")
    assert _dry(api, "POST", f"/v1/variants/{name}/rollback")["users"] == 40


def _dry(api: Api, method: str, path: str, body: object = None) -> Any:
    answer = api.call(method, f"{path}?dry_run=true", body)
    assert answer.status == 200, answer.body
    assert answer.json["dry_run"] is True
    return answer.json["impact"]


def _start_instances(api: Api, name: str, users: int) -> None:
    records = [
        Instance(
            f"{name}-{number}", f"{name}-1", None, "2026.11.1", name, "latest", is_pinned=False,
            resolved_at=MOMENT, decided_at=MOMENT,
        )
        for number in range(users)
    ]  # fmt: skip
    copier = api.stores.catalog("sync")
    with closing(copier.database), copier.transaction() as tx:
        tx.fleet.upsert(records)


def test_without_the_kv(api: Api, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Moves are 503; the variant is shown without its reports."""
    _put(api, name, 2, 10)
    monkeypatch.setattr(api.wired().kv.table, "client", unreachable())
    shown = api.get(f"/v1/variants/{name}")
    assert (shown["rollout"]["percent"], shown["reports"]) == (10, None)
    assert _put(api, name, 2, 20).refusal == (503, "kv_unavailable")
