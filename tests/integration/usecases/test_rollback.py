"""Rolling back: latest becomes what was latest before, and again goes further back."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from time import monotonic
from typing import Any

import pytest

from shared.catalog.transaction import Transaction
from shared.domain.errors import (
    KVUnavailable,
    NothingToRollBackTo,
    StaleRevision,
    VariantNotFound,
)
from shared.domain.etags import IfMatch
from shared.domain.model import Initiator
from shared.kv import KV
from shared.usecases.disable import VersionChange, write_change
from shared.usecases.rollback import KeptTarget, roll_back
from shared.usecases.versions import change
from tests.support.concurrent_actors import Sandbox
from tests.support.failing_clients import Refusing, refusal, unreachable
from tests.support.invariants import faults, mirrors, pointers
from tests.support.store_dump import changed, dump
from tests.support.stores import Stores
from tests.support.version_fixture import pipeline

BY = Initiator("ada@example.com", "request-1", "crashes", "key-1")
MOVED = {"kiloclaw_variants", "kiloclaw_promotions", "kiloclaw_audit_log", "kv"}
DOWN = refusal("InternalServerError", status=500)


@pytest.fixture
def base(sandbox: Sandbox) -> Sandbox:
    """v1, v2 and v3 were latest, in this order; v4 never was."""
    for tag in ("v1", "v2", "v3"):
        sandbox.publish(tag, set_latest=True)
    sandbox.publish("v4")
    return sandbox


def _latest(stores: Stores) -> Any:
    assert pointers(stores) == mirrors(stores)
    assert faults(stores) == []
    [(_, revision, content)] = pointers(stores)
    return revision, content[0]


def _again(base: Sandbox, kv: KV | None = None, **more: Any) -> None:
    roll_back("default", by=BY, catalog=base.catalog, kv=kv or base.kv, **more)


def test_it_goes_one_back_and_again_further(base: Sandbox, stores: Stores) -> None:
    """Not to and fro: what was rolled back from is never the target of the next rollback."""
    before = dump(stores)
    _again(base)
    assert changed(before, dump(stores)) == MOVED
    assert _latest(stores) == (4, "v2")
    [event] = stores.sql(
        "SELECT action, before ->> 'latest_tag', after ->> 'latest_tag', reason"
        "  FROM kiloclaw_audit_log ORDER BY id DESC LIMIT 1"
    )
    assert event == ("latest.rolled_back", "v3", "v2", "crashes")
    base.roll_back()
    assert _latest(stores) == (5, "v1")
    before = dump(stores)
    with pytest.raises(NothingToRollBackTo):
        base.roll_back()
    assert dump(stores) == before


def test_what_came_after_the_present_one_is_no_target(base: Sandbox, stores: Stores) -> None:
    """After a rollback and a new promotion the way back leads over what was latest then."""
    base.roll_back()
    base.promote("v4")
    base.roll_back()
    assert _latest(stores)[1] == "v2"
    base.roll_back()
    assert _latest(stores)[1] == "v1"


def test_versions_that_are_not_active_are_passed_over(base: Sandbox, stores: Stores) -> None:
    """Deprecated, disabled and retired ones; with none left there is nothing to go back to."""
    base.promote("v4")
    base.deprecate("v3")
    base.disable("v2", force=True)
    base.roll_back()
    assert _latest(stores)[1] == "v1"
    base.promote("v4")
    base.disable("v1", force=True)
    base.retire("v1")
    with pytest.raises(NothingToRollBackTo):
        base.roll_back()


def test_a_move_found_in_the_kv_is_part_of_the_history(base: Sandbox, stores: Stores) -> None:
    """A rollback undoes what a pipeline has done, and sync leaves it undone."""
    pipeline(base, 4, "v4")
    base.roll_back()
    assert _latest(stores) == (5, "v3")
    base.sync()
    assert _latest(stores) == (5, "v3")


def test_it_keeps_a_rollout_of_another_version(base: Sandbox, stores: Stores) -> None:
    """Only a rollout of the target itself ends."""
    base.roll_out("v4", 10)
    assert base.roll_back().candidate_tag == "v4"
    base.abort()
    base.roll_out("v1", 10)
    assert base.roll_back().content == ("v1", None)


def test_nothing_to_roll_back(base: Sandbox) -> None:
    """A variant that does not exist, or never had a latest, or has had but one."""
    with pytest.raises(VariantNotFound):
        base.roll_back("gamma")
    base.publish("g1", variant="gamma")
    with pytest.raises(NothingToRollBackTo):
        base.roll_back("gamma")
    base.promote("g1")
    with pytest.raises(NothingToRollBackTo):
        base.roll_back("gamma")


def test_a_repeat_under_the_same_cause_is_done(base: Sandbox, stores: Stores) -> None:
    """It goes no further back, not even after other moves; a new cause does."""
    _again(base)
    base.promote("v4")
    base.deprecate("v2")
    before = dump(stores)
    _again(base, if_match=IfMatch('"old"'))
    assert dump(stores) == before
    with pytest.raises(StaleRevision):
        roll_back("default", by=replace(BY, call_id="key-2"), catalog=base.catalog,
                  kv=base.kv, if_match=IfMatch('"old"'))  # fmt: skip


def test_a_repeat_finds_what_was_put(base: Sandbox, stores: Stores, client: Any) -> None:
    """A rollback whose put was its last act is adopted with its cause, and not done twice."""
    with pytest.raises(KVUnavailable):
        _again(base, KV(Refusing(client, DOWN, operation="put_item", late=True), stores.table))
    assert pointers(stores) != mirrors(stores)
    _again(base)
    assert _latest(stores) == (4, "v2")
    [(cause, by)] = stores.sql(
        "SELECT cause, promoted_by FROM kiloclaw_promotions ORDER BY id DESC LIMIT 1"
    )
    assert (cause, by) == ("key-1", "kv")


def test_the_kill_switch_in_between_leaves_its_own_cause(base: Sandbox, stores: Stores) -> None:
    """With the KV down the mirror changes under the kill switch's cause, not the old one.

    So a rollback whose put never came through is not taken for done.
    """
    _again(base)
    kill = Initiator("eve@example.com", "request-9")
    wanted = VersionChange("disabled", replacement="v4")
    down = KV(unreachable(), stores.table)
    change("v2", wanted, by=kill, catalog=base.catalog, kv=down)
    causes = stores.sql("SELECT image_tag, cause FROM kiloclaw_promotions ORDER BY id")[-2:]
    assert causes == [("v2", "key-1"), ("v4", "request-9")]
    assert stores.sql("SELECT latest_tag, revision, cause FROM kiloclaw_variants") == [
        ("v4", 4, "request-9")
    ]
    base.sync()
    assert _latest(stores) == (5, "v4")


def test_the_target_is_kept_before_the_pointer_moves(base: Sandbox, stores: Stores) -> None:
    """A repeat uses it while it is active, whatever has become latest since."""
    kept: list[tuple[str, int]] = []

    def keep(tx: Transaction, tag: str) -> None:
        kept.append((tag, len(stores.items("POINTER"))))
        tx.versions.set_notes(tag, "kept")

    _again(base, kept=KeptTarget(None, keep))
    assert kept == [("v2", 1)]
    assert stores.sql(
        "SELECT image_tag FROM kiloclaw_available_versions WHERE notes = 'kept'"
    ) == [("v2",)]
    other = replace(BY, call_id="key-2")
    base.promote("v4")
    roll_back(
        "default", by=other, catalog=base.catalog, kv=base.kv, kept=KeptTarget("v1", keep)
    )
    assert _latest(stores)[1] == "v1"
    base.promote("v4")
    base.deprecate("v1")
    third = replace(BY, call_id="key-3")
    roll_back(
        "default", by=third, catalog=base.catalog, kv=base.kv, kept=KeptTarget("v1", keep)
    )
    assert _latest(stores)[1] == "v2"
    assert [tag for tag, _ in kept] == ["v2", "v2"]


def test_a_target_that_is_deprecated_meanwhile(
    base: Sandbox, stores: Stores, client: Any
) -> None:
    """The rollback waits for whoever is changing its target, and then finds another one."""
    with closing(Sandbox(stores, client)) as other, ThreadPoolExecutor(1) as threads:
        with other.catalog.transaction() as tx:
            tx.versions.lock_for_change("v2")
            write_change(tx, "v2", VersionChange("deprecated"), BY)
            rollback = threads.submit(_again, base)
            wait_for_lock(stores)
        rollback.result(20)
    assert _latest(stores) == (4, "v1")


def wait_for_lock(stores: Stores) -> None:
    """Return when somebody waits for a lock in the database."""
    query = """
        SELECT pid FROM pg_stat_activity
         WHERE wait_event_type = 'Lock' AND datname = current_database()
    """
    give_up = monotonic() + 10
    while not stores.sql(query):
        assert monotonic() < give_up, "nobody waits for a lock"
