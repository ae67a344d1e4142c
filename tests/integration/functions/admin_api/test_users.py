"""Users and instances over the admin API: what they run, would run, and how they are erased."""

from collections.abc import Iterator
from typing import Any

import pytest

from infra.local.postgres import Postgres
from tests.support.admin_api import Api, api_on
from tests.support.concurrent_actors import Sandbox
from tests.support.fleet_copy import copy_fleet
from tests.support.stores import make_stores

PREVIOUS = {
    "image_tag", "image_digest", "openclaw_version", "variant", "source", "is_pinned",
    "resolved_at",
}  # fmt: skip
RESOLUTION = {
    "user_id", "image_tag", "image_digest", "openclaw_version", "variant", "source",
    "is_pinned", "pin_state", "status", "changed", "previous", "degraded", "recorded",
    "resolved_at", "trace",
}  # fmt: skip
INSTANCE = PREVIOUS | {"user_id", "pin", "expected", "drift", "outdated"}


@pytest.fixture(scope="module")
def api(postgres_server: Postgres, dynamodb: Any) -> Iterator[Api]:
    """Two versions, of which `two` is the latest."""
    with api_on(make_stores(postgres_server, dynamodb)) as made:
        for tag in ("one", "two"):
            made.publish(tag)
        made.promote("two")
        yield made


@pytest.fixture(scope="module")
def control_plane(api: Api) -> Iterator[Sandbox]:
    """Starts instances."""
    sandbox = Sandbox(api.stores, api.stores.client, "provisioning")
    yield sandbox
    sandbox.database.close()


def test_explaining(api: Api, control_plane: Sandbox) -> None:
    """What provisioning would answer, with the rules that were asked; nothing is recorded."""
    first = api.get("/v1/users/res-1/resolution", roles=("viewer",))
    assert first.keys() == RESOLUTION
    assert (first["image_tag"], first["source"], first["status"]) == ("two", "latest", "active")
    assert (first["changed"], first["previous"], first["recorded"]) == (True, None, False)
    assert [step["rule"] for step in first["trace"]] == ["pin", "restart", "rollout", "latest"]
    assert all(step.keys() == {"rule", "matched", "code"} for step in first["trace"])
    assert api.call("GET", "/v1/instances/res-1").refusal == (404, "instance_not_found")
    control_plane.provision("res-1")
    api.pin("res-1", "one")
    pinned = api.get("/v1/users/res-1/resolution?intent=restart&variant=default")
    assert (pinned["image_tag"], pinned["is_pinned"]) == ("one", True)
    assert (pinned["pin_state"], pinned["changed"]) == ("applied", True)
    assert pinned["previous"].keys() == PREVIOUS
    assert pinned["previous"]["image_tag"] == "two"


def test_explaining_where_nothing_may_run(api: Api) -> None:
    """409 with the state of the pin and the rules that were asked."""
    answer = api.call("GET", "/v1/users/res-2/resolution?variant=empty")
    assert answer.refusal == (409, "no_version_available")
    assert answer.json["pin_state"] == "none"
    assert not any(step["matched"] for step in answer.json["trace"])


def test_an_instance(api: Api, control_plane: Sandbox) -> None:
    """The record with the pin, and whether a restart or an upgrade would change it."""
    api.publish("ins-1", variant="ins")
    api.publish("ins-2", variant="ins")
    api.promote("ins-1")
    api.pin("ins-user", "ins-1")
    control_plane.provision("ins-user")
    pinned = api.get("/v1/instances/ins-user", roles=("viewer",))
    assert pinned.keys() == INSTANCE
    assert (pinned["image_tag"], pinned["source"]) == ("ins-1", "pin")
    assert pinned["pin"]["image_tag"] == "ins-1"
    assert (pinned["drift"], pinned["outdated"]) == (False, False)
    assert pinned["expected"].keys() == {
        "image_tag", "image_digest", "openclaw_version", "variant", "source", "pin_state",
        "status",
    }  # fmt: skip
    api.promote("ins-2")
    api.call("DELETE", "/v1/users/ins-user/pin")
    free = api.get("/v1/instances/ins-user")
    assert (free["pin"], free["expected"]["image_tag"]) == (None, "ins-2")
    assert (free["drift"], free["outdated"]) == (True, True)
    control_plane.provision("ins-user")
    api.promote("ins-1")
    moved = api.get("/v1/instances/ins-user")
    assert (moved["drift"], moved["outdated"]) == (False, True)


def test_an_instance_for_which_nothing_is_left(api: Api) -> None:
    """`expected` is null where no version may run."""
    api.stores.put(
        "INSTANCE#stray", "IMAGE", user_id="stray", running_tag="none", variant="nothing",
        openclaw_version="2026.11.1", source="latest", is_pinned=False,
        resolved_at="2026-11-01T00:00:00.000000Z", decided_at="2026-11-01T00:00:00.000000Z",
    )  # fmt: skip
    api.publish("none", variant="nothing")
    assert api.patch("none", status="disabled").status == 200
    stray = api.get("/v1/instances/stray")
    assert (stray["expected"], stray["drift"], stray["outdated"]) == (None, True, True)


def test_listing_instances(api: Api, control_plane: Sandbox) -> None:
    """All of them or those of a filter, in either order, page by page, with nobody twice."""
    api.publish("list-1", variant="list")
    users = [f"list-{number}" for number in range(7)]
    for user in users:
        api.pin(user, "list-1")
        control_plane.provision(user)
    copy_fleet(api.stores)
    assert _listed(api, "image_tag=list-1") == users
    by_start = _listed(api, "image_tag=list-1&sort=resolved_at")
    assert by_start == users[::-1]
    for query in ("variant=list", "source=pin&variant=list", "q=LIST-"):
        assert _listed(api, query) == users
    assert _listed(api, "variant=list&drift=true") == []
    everybody = api.get("/v1/instances?limit=100")
    assert {item["user_id"] for item in everybody["items"]} >= set(users)
    assert everybody["as_of"] == max(item["resolved_at"] for item in everybody["items"])
    assert all(item.keys() == INSTANCE for item in everybody["items"])


def test_listing_who_differs(api: Api, control_plane: Sandbox) -> None:
    """`drift`: whom a restart would change; `outdated`: whom an upgrade would; page by page."""
    for tag in ("differ-1", "differ-2"):
        api.publish(tag, variant="differ")
    api.promote("differ-1")
    users = [f"differ-{number}" for number in range(7)]
    for user in users:
        control_plane.provision(user, variant="differ")
    api.promote("differ-2")
    for user in users[:4]:
        api.pin(user, "differ-2")
    api.pin(users[6], "differ-1")
    copy_fleet(api.stores)
    assert _listed(api, "variant=differ&drift=true") == users[:4]
    assert _listed(api, "variant=differ&outdated=true") == users[:6]
    assert _listed(api, "drift=true&outdated=true&q=differ&sort=resolved_at") == users[3::-1]
    assert _listed(api, "image_tag=differ-2&outdated=true") == []
    for name, value in (("drift", "false"), ("outdated", "1"), ("drift", ""), ("sort", "pin")):
        assert api.call("GET", f"/v1/instances?{name}={value}").fields == [name]


def _listed(api: Api, query: str) -> list[str]:
    """The users on all pages of a list."""
    path = f"/v1/instances?{query}&limit=3"
    page = api.get(path)
    seen = page["items"]
    while page["next_cursor"]:
        page = api.get(f"{path}&cursor={page['next_cursor']}")
        seen += page["items"]
    return [item["user_id"] for item in seen]


def test_erasing(api: Api, control_plane: Sandbox) -> None:
    """Pin, record and name are gone, the log stays; a repeat writes no event."""
    api.pin("erase-me", "one")
    control_plane.provision("erase-me")
    for _ in range(2):
        answer = api.call("POST", "/v1/users/erase-me/erase")
        assert (answer.status, answer.body) == (204, b"")
    assert api.call("GET", "/v1/users/erase-me/pin").status == 404
    assert api.call("GET", "/v1/instances/erase-me").status == 404
    assert api.get("/v1/audit?subject=erase-me")["items"] == []
    log = api.get("/v1/audit?limit=100")["items"]
    erased = [event for event in log if event["action"] == "user.erased"]
    assert len(erased) == 1
    assert "erase-me" not in str(log)
    story = api.get(f"/v1/audit?subject={erased[0]['subject']['id']}")["items"]
    assert [event["action"] for event in story] == ["user.erased", "pin.set"]
    assert api.call("POST", "/v1/users/never-seen/erase").status == 204
