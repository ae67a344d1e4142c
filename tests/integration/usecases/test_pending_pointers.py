"""A pointer that comes before its entry is left alone, and a person's move takes its place."""

from typing import Any, LiteralString

import pytest

from shared.domain.errors import (
    KVUnavailable,
    VersionInUse,
)
from shared.kv import KV
from shared.usecases.reconcile import reconcile
from tests.support.concurrent_actors import Sandbox, digest
from tests.support.failing_clients import Interposing, refusal
from tests.support.invariants import faults, pointers
from tests.support.stores import Stores
from tests.support.version_fixture import change_by, contents, disabled, pipeline

Row = tuple[Any, ...]


def _findings(stores: Stores) -> list[Row]:
    return stores.sql(
        "SELECT image_tag, code FROM kiloclaw_sync_findings WHERE resolved_at IS NULL"
    )


def _reverts(stores: Stores) -> list[Row]:
    """The events that say what automation undid: action, revision, why."""
    return stores.sql(
        "SELECT action, after -> 'revision', after ->> 'refused_because'"
        "  FROM kiloclaw_audit_log WHERE action LIKE '%%.reverted' ORDER BY id"
    )


@pytest.fixture
def pending(world: Sandbox) -> Sandbox:
    """v1 is latest with the candidate v2; the KV's pointer names `ghost` at revision 5."""
    pipeline(world, 5, "ghost")
    return world


def test_it_waits_and_readers_use_the_mirror(pending: Sandbox, stores: Stores) -> None:
    """A pointer without an entry stays in the KV, is reported, and moves nobody."""
    for _ in range(2):
        report = pending.sync()
        assert [finding.code for finding in report.rejected] == ["pointer_pending"]
        assert contents(stores) == ((5, "ghost", None), (2, "v1", "v2"))
        assert _findings(stores) == [("default", "pointer_pending")]
    assert pending.provision("bob").resolution.image.image_tag == "v1"
    assert _reverts(stores) == []


def test_it_comes_into_force_with_its_entry(pending: Sandbox, stores: Stores) -> None:
    """As soon as the entry is there, readers follow the pointer and the mirror adopts it."""
    pending.sync()
    stores.put_entry("ghost", image_digest=digest("ghost"))
    assert pending.provision("bob").resolution.image.image_tag == "ghost"
    pending.sync()
    assert contents(stores) == ((5, "ghost", None), (5, "ghost", None))
    assert _findings(stores) == []
    assert faults(stores) == []


@pytest.mark.parametrize("tag", ["v4", "v1"])
def test_a_promotion_takes_its_place(pending: Sandbox, stores: Stores, tag: str) -> None:
    """One put on exactly the pending revision; also of the version that is latest already."""
    pending.promote(tag)
    assert contents(stores) == ((6, tag, "v2"), (6, tag, "v2"))
    assert faults(stores) == []
    [(held,)] = stores.sql("SELECT held FROM kiloclaw_variants WHERE variant = 'default'")
    assert held, "the rollout is carried over a pointer that does not know it"


def test_a_publish_takes_its_place(pending: Sandbox, stores: Stores) -> None:
    """Publishing with set_latest moves over a pending pointer like a promotion."""
    pending.publish("v5", set_latest=True)
    assert contents(stores) == ((6, "v5", "v2"), (6, "v5", "v2"))


def test_a_rollout_that_both_copies_know_is_not_held(world: Sandbox, stores: Stores) -> None:
    """The KV's own word on the rollout counts where it carries the same salt."""
    rollout = {"candidate_tag": "v2", "percent": 20, "salt": "salt"}
    pipeline(world, 5, "ghost", **rollout)
    world.promote("v4")
    assert contents(stores) == ((6, "v4", "v2"), (6, "v4", "v2"))
    assert stores.sql("SELECT held FROM kiloclaw_variants WHERE variant = 'default'") == [
        (False,)
    ]


def test_a_pipeline_that_moves_on_is_not_overwritten(pending: Sandbox, stores: Stores) -> None:
    """The put is on exactly the pending revision: a newer pointer counts first."""
    client = Interposing(stores.client, "put_item", lambda: pipeline(pending, 6, "v3"))
    change_by(pending, "v1", disabled("v4"), client)
    pending.sync()
    assert contents(stores) == ((6, "v3", None), (6, "v3", None))


def test_the_kill_switch_takes_its_place(pending: Sandbox, stores: Stores) -> None:
    """Disabling what the mirror names moves on from the mirror."""
    pending.disable("v1", "v4")
    assert contents(stores) == ((6, "v4", "v2"), (6, "v4", "v2"))
    assert pending.provision("bob").resolution.image.image_tag == "v4"
    assert faults(stores) == []


def test_the_kill_switch_leaves_it_alone(pending: Sandbox, stores: Stores) -> None:
    """Disabling a version that the mirror does not name puts nothing."""
    pending.disable("v4")
    assert contents(stores)[0] == (5, "ghost", None)


def test_its_candidate_needs_a_replacement(world: Sandbox, stores: Stores) -> None:
    """A version that a pending pointer names is in use, even as candidate."""
    pipeline(world, 5, "ghost", candidate_tag="v4", percent=5, salt="new")
    with pytest.raises(VersionInUse):
        world.disable("v4")
    world.disable("v4", "v1")
    assert contents(stores)[0] == (5, "ghost", "v4")


def test_enabling_puts_the_mirror_back(world: Sandbox, stores: Stores) -> None:
    """Enabling refuses a pending pointer that would bring the version into force by itself."""
    world.disable("v4")
    pipeline(world, 5, "ghost", candidate_tag="v4", percent=100, salt="new")
    world.enable("v4")
    assert contents(stores) == ((6, "v1", "v2"), (6, "v1", "v2"))
    [(action, revision, _)] = _reverts(stores)
    assert (action, revision) == ("latest.reverted", 5)
    stores.put_entry("ghost")
    world.sync()
    assert world.provision("bob").resolution.image.image_tag == "v1"


def test_enabling_another_version_leaves_it_alone(pending: Sandbox, stores: Stores) -> None:
    """Enabling a version that the pending pointer does not name touches no pointer."""
    pending.disable("v4")
    pending.enable("v4")
    assert contents(stores) == ((5, "ghost", None), (2, "v1", "v2"))


def test_a_pending_candidate_counts_as_absent(world: Sandbox, stores: Stores) -> None:
    """The mirror copies the pointer without it, the KV keeps it, and later both have it."""
    rollout = {"candidate_tag": "ghost", "percent": 100, "salt": "new"}
    pipeline(world, 5, "v4", **rollout)
    for _ in range(2):
        world.sync()
        assert contents(stores) == ((5, "v4", "ghost"), (5, "v4", None))
    assert world.provision("bob").resolution.image.image_tag == "v4"
    stores.put_entry("ghost")
    world.sync()
    assert contents(stores) == ((6, "v4", "ghost"), (6, "v4", "ghost"))
    assert _reverts(stores) == []


def test_what_sync_puts_back_is_logged_once(world: Sandbox, stores: Stores) -> None:
    """A dead pointer is announced before it is overwritten, once for its revision."""
    world.disable("v4")
    pipeline(world, 5, "v4")
    down = refusal("InternalServerError", status=500)
    failing = Interposing(stores.client, "put_item", *[_fail(down)] * 2)
    for _ in range(2):
        with pytest.raises(KVUnavailable):
            reconcile("default", catalog=world.catalog, kv=KV(failing, stores.table))
    assert contents(stores)[0] == (5, "v4", None)
    why = "latest v4 is disabled, retired or of another variant"
    assert _reverts(stores) == [("latest.reverted", 5, why)]
    world.sync()
    assert contents(stores) == ((6, "v1", "v2"), (6, "v1", "v2"))
    assert _reverts(stores) == [("latest.reverted", 5, why)]


def test_a_candidate_that_is_put_back_is_logged(world: Sandbox, stores: Stores) -> None:
    """Ending a rollout of a disabled candidate is a revert of the rollout alone."""
    world.disable("v4")
    pipeline(world, 5, "v1", candidate_tag="v4", percent=5, salt="new")
    world.sync()
    assert contents(stores) == ((6, "v1", None), (6, "v1", None))
    assert _reverts(stores) == [("rollout.reverted", 5, "candidate v4 cannot be rolled out")]


def test_a_damaged_pointer_is_logged_each_time(world: Sandbox, stores: Stores) -> None:
    """A pointer without a legal revision identifies nothing, so each revert is an event."""
    for _ in range(2):
        stores.put("POINTER", "default", revision="x", latest_tag="v4")
        world.sync()
    assert [(action, revision) for action, revision, _ in _reverts(stores)] == [
        ("latest.reverted", None)
    ] * 2


def test_a_lost_pointer_comes_back_with_its_rollout_held(
    world: Sandbox, stores: Stores
) -> None:
    """The brake may have held the rollout in the copy that was lost."""
    key = {"pk": {"S": "POINTER"}, "sk": {"S": "default"}}
    stores.client.delete_item(TableName=stores.table, Key=key)
    world.sync()
    item = stores.item("POINTER", "default")
    assert item is not None
    assert (item["revision"], item["held"]) == ({"N": "2"}, {"BOOL": True})
    assert stores.sql("SELECT held FROM kiloclaw_variants WHERE variant = 'default'") == [
        (True,)
    ]
    assert pointers(stores)
    trace = world.provision("bob").resolution.trace
    assert "rollout_held" in {step.code for step in trace}


def test_a_brake_passes_through_every_copy(world: Sandbox, stores: Stores) -> None:
    """Thresholds and hold that somebody wrote into the KV are copied, and kept by a move."""
    rollout = {"candidate_tag": "v2", "percent": 20, "salt": "new", "held": True}
    thresholds = {"brake_min_failures": 5, "brake_percent": 40}
    stores.put("POINTER", "default", revision=5, latest_tag="v1", **rollout, **thresholds)
    world.sync()
    query: LiteralString = (
        "SELECT held, brake_min_failures, brake_percent FROM kiloclaw_variants"
        " WHERE variant = 'default'"
    )
    assert stores.sql(query) == [(True, 5, 40)]
    world.promote("v4")
    assert stores.sql(query) == [(True, 5, 40)]
    item = stores.item("POINTER", "default")
    assert item is not None
    assert (item["held"], item["brake_min_failures"]) == ({"BOOL": True}, {"N": "5"})
    assert item["brake_percent"] == {"N": "40"}


def test_a_hold_at_the_same_revision_keeps_the_mirrors_content(
    world: Sandbox, stores: Stores
) -> None:
    """Of two contents at one revision the mirror's stays, with the hold of the brake."""
    rollout = {"candidate_tag": "v2", "percent": 20, "salt": "salt"}
    item = {"revision": 2, "latest_tag": "v4", "held": True, "moved_by": "brake"} | rollout
    stores.put("POINTER", "default", **item)
    world.sync()
    assert contents(stores) == ((3, "v1", "v2"), (3, "v1", "v2"))
    assert stores.sql("SELECT held FROM kiloclaw_variants WHERE variant = 'default'") == [
        (True,)
    ]


def _fail(error: Exception) -> Any:
    def fail() -> None:
        raise error

    return fail
