"""Not yet is not never: pointers that wait for an entry, and what automation undoes aloud."""

from typing import Any

import pytest

from shared.domain.errors import KVUnavailable, VersionNotActive, VersionNotFound
from shared.kv import KV
from shared.usecases.reconcile import reconcile
from tests.support.concurrent_actors import Sandbox, digest
from tests.support.failing_clients import Refusing, refusal
from tests.support.invariants import faults
from tests.support.store_dump import changed, dump
from tests.support.stores import Stores
from tests.support.version_fixture import contents, pipeline

DOWN = refusal("InternalServerError", status=500)


def _reverts(stores: Stores) -> list[tuple[Any, ...]]:
    return stores.sql(
        "SELECT action, (after ->> 'revision')::integer, after ->> 'refused_because'"
        "  FROM kiloclaw_audit_log WHERE action LIKE '%.reverted' ORDER BY id"
    )


def test_a_pending_pointer_comes_into_force_with_its_entry(
    world: Sandbox, stores: Stores
) -> None:
    """It is left alone however often sync runs, then adopted, and its finding closes."""
    pipeline(world, 7, "soon")
    for _ in range(2):
        assert world.sync().pointers_copied == 0
    assert contents(stores) == ((7, "soon", None), (2, "v1", "v2"))
    assert world.provision("bob").resolution.image.image_tag == "v1"
    stores.put_entry("soon", image_digest=digest("soon"))
    assert world.sync().pointers_copied == 1
    assert contents(stores) == ((7, "soon", None), (7, "soon", None))
    assert stores.sql(
        "SELECT count(*) FROM kiloclaw_sync_findings WHERE resolved_at IS NULL"
    ) == [(0,)]
    assert _reverts(stores) == []


def test_a_promotion_takes_a_pending_pointers_place(world: Sandbox, stores: Stores) -> None:
    """It goes on from the mirror; a refused one leaves the pending pointer where it is."""
    pipeline(world, 7, "soon")
    world.deprecate("v3")
    with pytest.raises(VersionNotActive):
        world.promote("v3")
    assert contents(stores)[0] == (7, "soon", None)
    world.promote("v4")
    assert contents(stores) == ((8, "v4", "v2"), (8, "v4", "v2"))


def test_a_kill_switch_takes_a_pending_pointers_place(world: Sandbox, stores: Stores) -> None:
    """The mirror is in force, so a version that it names gives way in both copies."""
    pipeline(world, 7, "soon")
    world.disable("v1", "v4")
    assert contents(stores) == ((8, "v4", "v2"), (8, "v4", "v2"))
    assert world.provision("bob").resolution.image.image_tag in {"v4", "v2"}


def test_a_rollout_that_is_put_back_is_held(world: Sandbox, stores: Stores) -> None:
    """Unless the KV still has it, the brake may have stopped it and nobody has seen that."""
    pipeline(world, 3, "v1")
    stores.sql(
        "UPDATE kiloclaw_available_versions SET status = 'disabled' WHERE image_tag = 'v4'"
    )
    pipeline(world, 4, "v4", candidate_tag="v2", percent=20, salt="salt")
    world.sync()
    held = stores.sql("SELECT latest_tag, candidate_tag, held FROM kiloclaw_variants")
    assert ("v1", "v2", False) in held
    key = {"pk": {"S": "POINTER"}, "sk": {"S": "default"}}
    stores.client.delete_item(TableName=stores.table, Key=key)
    world.sync()
    item = stores.item("POINTER", "default")
    assert item is not None
    assert (item["candidate_tag"], item["held"]) == ({"S": "v2"}, {"BOOL": True})


def test_a_revert_is_logged_before_it_happens_and_once(world: Sandbox, stores: Stores) -> None:
    """A put that fails leaves the event alone in the log; the next try does not repeat it."""
    world.disable("v4")
    pipeline(world, 7, "v4")
    before = dump(stores)
    kv = KV(Refusing(stores.client, DOWN, operation="put_item"), stores.table)
    with pytest.raises(KVUnavailable):
        reconcile("default", catalog=world.catalog, kv=kv)
    assert changed(before, dump(stores)) == {"kiloclaw_audit_log"}
    [(action, revision, why)] = _reverts(stores)
    assert (action, revision) == ("latest.reverted", 7)
    assert "v4 is disabled" in why
    world.sync()
    assert contents(stores) == ((8, "v1", "v2"), (8, "v1", "v2"))
    assert len(_reverts(stores)) == 1


def test_a_candidate_that_is_undone_is_logged_as_such(world: Sandbox, stores: Stores) -> None:
    """The latest of that revision stays in force."""
    world.disable("v4")
    pipeline(world, 7, "v3", candidate_tag="v4", percent=20, salt="other")
    world.sync()
    assert [row[:2] for row in _reverts(stores)] == [("rollout.reverted", 7)]
    assert contents(stores) == ((8, "v3", None), (8, "v3", None))


def test_the_kill_switch_reaches_what_only_the_kv_knows(world: Sandbox, stores: Stores) -> None:
    """The entry is imported first, and disabled like any other."""
    stores.put_entry("unseen", image_digest=digest("unseen"))
    pipeline(world, 7, "unseen")
    assert world.provision("bob").resolution.image.image_tag == "unseen"
    assert world.disable("unseen", "v4").status == "disabled"
    assert contents(stores) == ((8, "v4", None), (8, "v4", None))
    assert world.provision("bob", "upgrade").resolution.image.image_tag == "v4"
    assert faults(stores) == []


def test_what_cannot_be_imported_is_not_served_any_more(world: Sandbox, stores: Stores) -> None:
    """The kill switch answers that it is unknown, and the pointer to it is put back."""
    stores.put_entry("copied", image_digest=digest(1))
    pipeline(world, 7, "copied")
    with pytest.raises(VersionNotFound):
        world.disable("copied", "v4")
    assert contents(stores) == ((8, "v1", "v2"), (8, "v1", "v2"))


def test_enabling_puts_back_a_pending_pointer_that_names_the_version(
    world: Sandbox, stores: Stores
) -> None:
    """Else the version would come into force as its candidate without anybody's decision."""
    world.disable("v4")
    pipeline(world, 7, "soon", candidate_tag="v4", percent=100, salt="other")
    world.enable("v4")
    assert contents(stores) == ((8, "v1", "v2"), (8, "v1", "v2"))
