"""The kill switch works whatever the KV does; enabling moves nobody."""

from collections.abc import Callable
from typing import Any

import pytest

from shared.domain.errors import (
    KVUnavailable,
    VersionInUse,
)
from shared.usecases.disable import VersionChange
from tests.support.concurrent_actors import Sandbox
from tests.support.failing_clients import Interposing, Refusing, refusal, unreachable
from tests.support.invariants import faults, mirrors, pointers
from tests.support.store_dump import changed, dump
from tests.support.stores import Stores
from tests.support.version_fixture import change_by, content_of, contents, disabled, pipeline

DOWN = refusal("InternalServerError", status=500)
Break = Callable[[Any], Any]


@pytest.mark.parametrize(
    "broken",
    [
        lambda _client: unreachable(),
        lambda client: Refusing(client, *[refusal("ResourceNotFoundException")] * 9),
        lambda client: Refusing(client, *[refusal("AccessDeniedException")] * 9),
        lambda client: Refusing(client, DOWN, operation="put_item"),
        lambda client: Refusing(client, DOWN, operation="put_item", late=True),
    ],
    ids=["unreachable", "table deleted", "grant lost", "put failed", "put late"],
)
def test_the_kill_switch_works_without_the_kv(
    world: Sandbox, stores: Stores, broken: Break
) -> None:
    """The mirror alone changes at its revision, readers use it, and sync mends the KV."""
    change_by(world, "v1", disabled("v4"), broken(stores.client))
    [mirror] = [copy for copy in mirrors(stores) if copy[0] == "default"]
    assert (mirror[1], mirror[2][0]) == (2, "v4")
    assert world.provision("bob").resolution.image.image_tag == "v4"
    world.sync()
    assert faults(stores) == []
    assert contents(stores)[0] == (3, "v4", "v2")


def test_a_pipeline_that_comes_first_does_not_stop_the_kill_switch(
    world: Sandbox, stores: Stores
) -> None:
    """If the put meets a newer pointer, the mirror changes and sync settles what counts."""
    client = Interposing(stores.client, "put_item", lambda: pipeline(world, 3, "v1"))
    change_by(world, "v1", disabled("v4"), client)
    assert world.provision("bob").resolution.image.image_tag == "v4"
    world.sync()
    assert contents(stores) == ((4, "v4", "v2"), (4, "v4", "v2"))
    assert faults(stores) == []


def test_a_pointer_found_in_the_kv_counts(world: Sandbox, stores: Stores) -> None:
    """A version that the KV's pointer names needs a replacement once that is adopted."""
    pipeline(world, 7, "v4")
    with pytest.raises(VersionInUse):
        world.disable("v4")
    assert contents(stores) == ((7, "v4", None), (7, "v4", None))
    world.disable("v4", "v1")
    assert contents(stores) == ((8, "v1", None), (8, "v1", None))


def test_copies_that_never_agree_do_not_stop_the_kill_switch(
    world: Sandbox, stores: Stores
) -> None:
    """After some rounds the mirror alone changes, and the KV's pointer is dead."""
    revisions = iter(range(3, 100))

    def again() -> None:
        pipeline(world, next(revisions), "v4")

    client = Interposing(stores.client, "batch_get_item", *[again] * 90)
    with pytest.raises(VersionInUse):
        change_by(world, "v4", disabled(force=True), client)
    client = Interposing(stores.client, "batch_get_item", *[again] * 90)
    change_by(world, "v4", disabled("v1"), client)
    assert world.provision("bob", "upgrade").resolution.image.image_tag == "v1"
    world.sync()
    assert content_of(mirrors(stores))[1] == "v1"
    assert faults(stores) == []


def test_a_reconcile_that_fails_is_tried_again(world: Sandbox, stores: Stores) -> None:
    """If the KV answers but cannot be reconciled, the mirror alone changes."""
    pipeline(world, 9, "v3")
    client = Refusing(stores.client, *[DOWN] * 9, operation="put_item")
    stores.put("POINTER", "default", revision="broken")
    change_by(world, "v1", disabled("v4"), client)
    world.sync()
    assert faults(stores) == []
    assert content_of(pointers(stores))[1] == "v4"


def test_enabling_puts_a_dead_pointer_right_first(world: Sandbox, stores: Stores) -> None:
    """Enabling moves nobody, though the KV still named the version."""
    change_by(world, "v1", disabled("v4"), unreachable())
    assert [copy[2][0] for copy in pointers(stores)] == ["v1"]
    world.enable("v1")
    assert contents(stores) == ((3, "v4", "v2"), (3, "v4", "v2"))
    assert faults(stores) == []


def test_enabling_what_only_a_dead_pointer_names(sandbox: Sandbox, stores: Stores) -> None:
    """With nothing to put back, the KV's pointer counts again."""
    sandbox.publish("v1")
    sandbox.disable("v1")
    pipeline(sandbox, 5, "v1")
    assert sandbox.enable("v1").status == "active"
    sandbox.sync()
    assert contents(stores) == ((5, "v1", None), (5, "v1", None))


def test_enabling_needs_the_kv(world: Sandbox, stores: Stores) -> None:
    """A KV that is down refuses enabling; only the announced revert is in the log."""
    change_by(world, "v1", disabled("v4"), unreachable())
    before = dump(stores)
    for client in (unreachable(), Refusing(stores.client, DOWN, operation="put_item")):
        with pytest.raises(KVUnavailable):
            change_by(world, "v1", VersionChange("active"), client)
        assert changed(before, dump(stores)) <= {"kiloclaw_audit_log"}
    actions = stores.sql("SELECT action FROM kiloclaw_audit_log ORDER BY id DESC LIMIT 1")
    assert actions == [("latest.reverted",)]


def test_enabling_waits_for_a_pipeline_to_rest(world: Sandbox, stores: Stores) -> None:
    """A pointer that names the version again and again would move everybody to it."""
    change_by(world, "v4", disabled())
    revisions = iter(range(9, 100))

    def again() -> None:
        pipeline(world, next(revisions), "v4")

    before = dump(stores)
    client = Interposing(stores.client, "batch_get_item", *[again] * 90)
    with pytest.raises(KVUnavailable):
        change_by(world, "v4", VersionChange("active"), client)
    assert "kiloclaw_available_versions" not in changed(before, dump(stores))
