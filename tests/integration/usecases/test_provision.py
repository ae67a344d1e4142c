"""Which image a user starts: every rule on both stores, and every row of the failure table."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from shared.domain.errors import NoVersionAvailable
from shared.kv import KV
from shared.usecases.provision import Start, explain, forget, provision
from tests.support.concurrent_actors import Sandbox, digest
from tests.support.failing_clients import (
    Refusing,
    refusal,
)
from tests.support.store_dump import changed, dump
from tests.support.stores import Stores
from tests.support.version_fixture import pipeline, told

DOWN = refusal("InternalServerError", status=500)


def test_a_first_start(start: Sandbox, stores: Stores) -> None:
    """The answer has every contracted field, and the record is the only write."""
    before = dump(stores)
    answer = start.provision("bob").as_json()
    assert changed(before, dump(stores)) == {"kv"}
    assert datetime.fromisoformat(answer.pop("resolved_at")).tzinfo
    assert answer == {
        "user_id": "bob",
        "image_tag": "v1",
        "image_digest": digest(1),
        "openclaw_version": "2026.11.1",
        "variant": "default",
        "source": "latest",
        "is_pinned": False,
        "pin_state": "none",
        "status": "active",
        "changed": True,
        "previous": None,
        "degraded": False,
        "recorded": True,
    }


def test_a_second_start_knows_the_first(start: Sandbox, world: Sandbox) -> None:
    """The answer says what ran before, without its user and when that was decided."""
    first = start.provision("bob").as_json()
    again = start.provision("bob").as_json()
    assert (again["changed"], again["recorded"]) == (False, True)
    kept = ("image_tag", "image_digest", "openclaw_version", "variant", "source", "is_pinned")
    assert again["previous"] == {name: first[name] for name in (*kept, "resolved_at")}
    world.promote("v4")
    moved = start.provision("bob")
    assert told(moved) == ("v4", "latest", "none", True, True, False)


def test_a_pin_decides_alone(start: Sandbox, stores: Stores) -> None:
    """A pinned user costs one write to the KV and no read of it."""
    client = Refusing(stores.client)
    answer = provision(Start("ana"), database=start.database, kv=KV(client, stores.table))
    assert told(answer) == ("v3", "pin", "applied", True, True, False)
    assert client.calls == 1


def test_a_pin_that_does_not_apply_is_told(start: Sandbox, world: Sandbox) -> None:
    """A pin both suspended and expired is called expired, and one enabled again applies."""
    world.disable("v3", force=True)
    assert told(start.provision("ana"))[:3] == ("v2", "rollout", "suspended")
    world.enable("v3")
    assert told(start.provision("ana"))[:3] == ("v3", "pin", "applied")
    world.pin("ana", "v3", expires_at=datetime.now(UTC) + timedelta(seconds=0.3))
    while (now := told(start.provision("ana"))[:3])[2] == "applied":
        assert now == ("v3", "pin", "applied")
    assert now == ("v2", "rollout", "expired")
    world.disable("v3", force=True)
    assert told(start.provision("ana"))[2] == "expired"


@pytest.mark.parametrize(
    ("intent", "expected"),
    [
        ("restart", ("v1", "instance")),
        ("provision", ("v4", "latest")),
        ("upgrade", ("v4", "latest")),
    ],
)
def test_a_restart_never_moves_an_unpinned_user(
    start: Sandbox, world: Sandbox, intent: Any, expected: tuple[str, str]
) -> None:
    """A restart keeps what runs; a provision and an upgrade follow the new latest."""
    start.provision("bob")
    world.promote("v4")
    assert told(start.provision("bob", intent))[:2] == expected


def test_a_rollout_serves_its_share(start: Sandbox, world: Sandbox) -> None:
    """The same users get the candidate each time, and nobody does once it is disabled."""
    users = [f"user-{number}" for number in range(60)]
    served = {user: told(start.provision(user))[1] for user in users}
    assert {"rollout", "latest"} == set(served.values())
    assert {user: told(start.provision(user))[1] for user in users} == served
    inside = next(user for user, source in served.items() if source == "rollout")
    world.disable("v2", "v4")
    assert told(start.provision(inside))[:2] == ("v1", "latest")


def test_the_kvs_word_counts_before_the_catalog_hears_of_it(
    start: Sandbox, world: Sandbox, stores: Stores
) -> None:
    """The KV's pointer decides, unless it is malformed, behind, or names an unknown tag."""
    stores.put_entry("new", image_digest=digest("new"))
    pipeline(world, 3, "new")
    answer = start.provision("bob").as_json()
    assert (answer["image_tag"], answer["image_digest"]) == ("new", digest("new"))
    assert (answer["source"], answer["status"]) == ("latest", None)
    pipeline(world, 4, "ghost")
    assert told(start.provision("bob"))[:2] == ("v1", "latest")
    stores.put("POINTER", "default", revision="broken")
    assert told(start.provision("bob"))[:2] == ("v1", "latest")
    pipeline(world, 1, "v4")
    assert told(start.provision("bob"))[:2] == ("v1", "latest")


def test_the_variant_is_the_pins_or_the_requests_or_the_instances(
    start: Sandbox, world: Sandbox
) -> None:
    """The pin's variant counts first, then the request's, then that of what runs."""
    world.promote("b1")
    assert told(start.provision("ana", variant="beta"))[0] == "v3"
    assert told(start.provision("bob", variant="beta"))[0] == "b1"
    assert told(start.provision("bob"))[0] == "b1"
    assert told(start.provision("bob", variant="default"))[0] == "v1"
    world.pin("bob", "b1")
    assert told(start.provision("bob", variant="default"))[0] == "b1"


def test_nothing_to_run(sandbox: Sandbox) -> None:
    """The refusal lists the rules that were asked; an instance keeps a runnable version."""
    with pytest.raises(NoVersionAvailable) as refused:
        sandbox.provision("bob")
    codes = ("none", "intent_provision", "no_candidate", "no_latest", "no_instance")
    rules = ("pin", "restart", "rollout", "latest", "keep")
    assert "variant default" in refused.value.detail
    assert refused.value.facts == {
        "variant": "default",
        "pin_state": "none",
        "trace": [
            {"rule": rule, "matched": False, "code": code}
            for rule, code in zip(rules, codes, strict=True)
        ],
    }
    sandbox.publish("v1", set_latest=False)
    sandbox.pin("ana", "v1")
    sandbox.provision("ana")
    sandbox.unpin("ana")
    assert told(sandbox.provision("ana"))[:2] == ("v1", "instance")
    sandbox.disable("v1")
    with pytest.raises(NoVersionAvailable):
        sandbox.provision("ana")


def test_what_the_caller_says_runs_counts_where_there_is_no_record(start: Sandbox) -> None:
    """The caller's `running_tag` is ignored once there is a record."""
    assert told(start.provision("bob", "restart", running_tag="v4"))[:2] == ("v4", "instance")
    assert told(start.provision("bob", "restart", running_tag="v2"))[:2] == ("v4", "instance")
    unknown = told(start.provision("eve", "restart", running_tag="ghost"))
    assert unknown[:2] == ("v1", "latest")


def test_a_newer_decision_is_not_overwritten(start: Sandbox, stores: Stores) -> None:
    """The answer stands, is not recorded, and says what the record has."""
    start.provision("bob")
    stores.client.update_item(
        TableName=stores.table,
        Key={"pk": {"S": "INSTANCE#bob"}, "sk": {"S": "IMAGE"}},
        UpdateExpression="SET decided_at = :at, running_tag = :tag",
        ExpressionAttributeValues={
            ":at": {"S": "9999-01-01T00:00:00.000000Z"},
            ":tag": {"S": "v4"},
        },
    )
    answer = start.provision("bob")
    assert told(answer) == ("v1", "latest", "none", True, False, False)
    assert answer.previous is not None
    assert answer.previous.image_tag == "v4"


def test_explaining_records_nothing(start: Sandbox, stores: Stores) -> None:
    """Explaining answers as `provision` would, and changes nothing."""
    for user in ("ana", "bob"):
        before = dump(stores)
        explained = explain(Start(user), database=start.database, kv=start.kv)
        assert dump(stores) == before
        started = start.provision(user)
        assert explained.resolution == started.resolution
        assert (explained.changed, explained.recorded) == (True, False)
        again = explain(Start(user), database=start.database, kv=start.kv)
        assert again.previous is not None
        assert not again.changed


def test_a_destroyed_instance_is_forgotten(start: Sandbox, stores: Stores) -> None:
    """The record is forgotten once, and the pin stays."""
    start.provision("ana")
    assert forget("ana", kv=start.kv)
    assert not forget("ana", kv=start.kv)
    assert told(start.provision("ana"))[1] == "pin"
