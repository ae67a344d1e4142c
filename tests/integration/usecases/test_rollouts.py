"""Rollouts: started, changed, resumed, aborted, promoted; in both copies or in neither."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from shared.domain.errors import (
    AlreadyLatest,
    KVUnavailable,
    NoLatest,
    NotHeld,
    Refused,
    RolloutHeld,
    RolloutInProgress,
    StaleRevision,
    VariantNotFound,
    VersionNotActive,
    VersionNotFound,
)
from shared.domain.etags import IfMatch
from shared.domain.model import Initiator
from shared.domain.pointer import Brake, Pointer
from shared.domain.rollout import is_in
from shared.kv import KV
from shared.usecases.promote import promote
from shared.usecases.rollout import WantedRollout, abort, read_reports, resume, roll_out
from tests.support.concurrent_actors import Sandbox
from tests.support.failing_clients import (
    Interposing,
    Refusing,
    lose_reply,
    refusal,
    unreachable,
)
from tests.support.invariants import faults, mirrors, pointers
from tests.support.store_dump import changed, dump
from tests.support.stores import Stores
from tests.support.version_fixture import pipeline

BY = Initiator("ada@example.com", reason="canary")
BRAKE = Brake(3, 50)
MOVED = {"kiloclaw_variants", "kiloclaw_audit_log", "kv"}
DOWN = refusal("InternalServerError", status=500)


@pytest.fixture
def base(sandbox: Sandbox) -> Sandbox:
    """v1 is latest at revision 1; v2 and v3 may be rolled out."""
    sandbox.publish("v1", set_latest=True)
    for tag in ("v2", "v3"):
        sandbox.publish(tag)
    sandbox.publish("b1", variant="beta")
    return sandbox


def _pointer(stores: Stores) -> Pointer:
    """The pointer, of which the copies are equal in every attribute."""
    catalog = stores.catalog()
    with catalog.transaction() as tx:
        mirror = tx.variants.find_pointer("default")
    catalog.database.close()
    assert stores.kv().pointers.read("default", mirror).pointer == mirror
    assert faults(stores) == []
    return mirror


def _hold(stores: Stores) -> None:
    """Hold the rollout as the brake does, in the KV alone."""
    item = stores.item("POINTER", "default") or {}
    held = {"revision": {"N": str(int(item["revision"]["N"]) + 1)}, "held": {"BOOL": True}}
    stores.client.put_item(
        TableName=stores.table, Item=item | held | {"moved_by": {"S": "brake"}}
    )


def _last_event(stores: Stores) -> Any:
    [event] = stores.sql(
        "SELECT actor, action, before, after, reason FROM kiloclaw_audit_log"
        " ORDER BY id DESC LIMIT 1"
    )
    return event


def test_a_new_rollout(base: Sandbox, stores: Stores) -> None:
    """Both copies have the candidate, its percent, a salt and the brake; the log says so."""
    before = dump(stores)
    wanted = WantedRollout("v2", 10, BRAKE)
    roll_out("default", wanted, by=BY, catalog=base.catalog, kv=base.kv)
    assert changed(before, dump(stores)) == MOVED
    pointer = _pointer(stores)
    assert (pointer.revision, pointer.latest_tag) == (2, "v1")
    assert pointer.rollout is not None
    assert (pointer.rollout.candidate_tag, pointer.rollout.percent) == ("v2", 10)
    assert (pointer.rollout.held, pointer.rollout.brake) == (False, BRAKE)
    described = {
        "latest_tag": "v1", "revision": 2, "candidate_tag": "v2", "percent": 10, "held": False,
        "brake": {"min_failures": 3, "percent": 50},
    }  # fmt: skip
    before_it = {"latest_tag": "v1", "revision": 1}
    assert _last_event(stores) == (
        "ada@example.com", "rollout.set", before_it, described, "canary",
    )  # fmt: skip


def test_a_change_keeps_salt_and_brake(base: Sandbox, stores: Stores) -> None:
    """The salt says who is in, so everybody stays; a brake that is given replaces the old."""
    first = base.roll_out("v2", 10, BRAKE).rollout
    raised = base.roll_out("v2", 40).rollout
    assert first is not None
    assert raised == replace(first, percent=40)
    assert base.roll_out("v2", 40, Brake(9, 9)).rollout == replace(raised, brake=Brake(9, 9))
    before = dump(stores)
    base.roll_out("v2", 40)
    assert dump(stores) == before


def test_each_rollout_draws_a_salt(base: Sandbox, client: Any, stores: Stores) -> None:
    """Two rollouts of one version have different users; so do two attempts of one call."""
    first = base.roll_out("v2", 10).rollout
    base.abort()
    second = base.roll_out("v2", 10).rollout
    assert first is not None
    assert second is not None
    assert first.salt != second.salt
    base.abort()
    drawn: list[str] = []
    kv = KV(_Seeing(client, drawn, lambda: pipeline(base, 10, "v3")), stores.table)
    wanted = WantedRollout("v2", 10)
    by = replace(BY, request_id="request-1", call_id="key-1")
    roll_out("default", wanted, by=by, catalog=base.catalog, kv=kv)
    assert len(set(drawn)) == len(drawn) == 2
    assert _pointer(stores).revision == 11


REFUSALS: dict[str, tuple[str, str, type[Refused]]] = {
    "no such variant": ("gamma", "v2", VariantNotFound),
    "a variant without a latest": ("beta", "b1", NoLatest),
    "no such version": ("default", "v9", VersionNotFound),
    "a version of another variant": ("default", "b1", VersionNotFound),
    "the latest": ("default", "v1", AlreadyLatest),
    "another candidate": ("default", "v3", RolloutInProgress),
    "the candidate while it is held": ("default", "v2", RolloutHeld),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_what_cannot_be_rolled_out(base: Sandbox, stores: Stores, case: str) -> None:
    """It is refused without a write."""
    variant, tag, error = REFUSALS[case]
    if error in {RolloutInProgress, RolloutHeld}:
        base.roll_out("v2", 10)
    if error is RolloutHeld:
        _hold(stores)
        base.sync()
    before = dump(stores)
    with pytest.raises(error) as refused:
        base.roll_out(tag, 10, variant=variant)
    assert dump(stores) == before
    if error is RolloutInProgress:
        assert refused.value.facts == {"candidate": "v2"}


@pytest.mark.parametrize("status", ["deprecated", "disabled"])
def test_a_version_that_is_not_active(base: Sandbox, stores: Stores, status: str) -> None:
    """It cannot become the candidate; a deprecated one that is it already may stay it."""
    query = "UPDATE kiloclaw_available_versions SET status = %(s)s WHERE image_tag = 'v2'"
    base.roll_out("v2", 10)
    stores.sql("UPDATE kiloclaw_available_versions SET status = 'deprecated'")
    base.roll_out("v2", 20)
    base.abort()
    stores.sql(query, s=status)
    before = dump(stores)
    with pytest.raises(VersionNotActive):
        base.roll_out("v2", 30)
    assert dump(stores) == before


def test_promoting_the_candidate_ends_its_rollout(base: Sandbox, stores: Stores) -> None:
    """One move does both, in both copies; promoting another version keeps the rollout."""
    rollout = base.roll_out("v2", 10, BRAKE).rollout
    base.promote("v3")
    assert _pointer(stores).content == ("v3", rollout)
    base.promote("v2")
    pointer = _pointer(stores)
    assert (pointer.revision, pointer.content) == (4, ("v2", None))


def test_aborting(base: Sandbox, stores: Stores) -> None:
    """Everybody is back at latest; again changes nothing, and an unknown variant is refused."""
    base.roll_out("v2", 100)
    assert base.provision("ana").resolution.source == "rollout"
    abort("default", by=BY, catalog=base.catalog, kv=base.kv)
    assert _pointer(stores).content == ("v1", None)
    assert _last_event(stores)[1] == "rollout.aborted"
    assert base.provision("ana", "upgrade").resolution.image.image_tag == "v1"
    before = dump(stores)
    base.abort()
    assert dump(stores) == before
    with pytest.raises(VariantNotFound):
        base.abort("gamma")


def test_resuming(base: Sandbox, stores: Stores) -> None:
    """The hold is lifted and the counter deleted in one write; the markers stay."""
    salt = _start_and_hold(base, stores)
    assert base.provision("ana").resolution.image.image_tag == "v1"
    assert read_reports(_pointer(stores), kv=base.kv) == (0, 1)
    pointer = resume("default", by=BY, catalog=base.catalog, kv=base.kv)
    assert pointer == _pointer(stores)
    assert pointer.rollout is not None
    assert (pointer.rollout.held, pointer.rollout.salt) == (False, salt)
    assert stores.items("ROLLOUT") == []
    assert len(stores.items(f"REPORT#{salt}")) == 1
    assert read_reports(pointer, kv=base.kv) == (0, 0)
    assert _last_event(stores)[1] == "rollout.resumed"
    assert base.provision("ana", "upgrade").resolution.image.image_tag == "v2"
    with pytest.raises(NotHeld):
        base.resume()
    base.abort()
    with pytest.raises(NotHeld):
        base.resume()


def _start_and_hold(base: Sandbox, stores: Stores) -> str:
    rollout = base.roll_out("v2", 100, Brake(1, 1)).rollout
    assert rollout is not None
    assert base.kv.counters.count(rollout.salt, "start-1", "failed", datetime.now(UTC))
    _hold(stores)
    base.sync()
    return rollout.salt


def test_a_resume_that_comes_too_late_deletes_no_count(
    base: Sandbox, stores: Stores, client: Any
) -> None:
    """If the pointer has moved, neither is it overwritten nor its counter deleted."""
    salt = _start_and_hold(base, stores)
    revision = _pointer(stores).revision

    def meanwhile() -> None:
        assert [item["failed"] for item in stores.items("ROLLOUT")] == [{"N": "1"}]
        pipeline(base, revision + 1, "v3")

    kv = KV(Interposing(client, "transact_write_items", meanwhile), stores.table)
    with pytest.raises(NotHeld):
        resume("default", by=BY, catalog=base.catalog, kv=kv)
    assert _pointer(stores).content == ("v3", None)
    assert [item["sk"]["S"] for item in stores.items("ROLLOUT")] == [salt]


def test_a_resume_whose_reply_is_lost(base: Sandbox, stores: Stores) -> None:
    """The client's second attempt counts as the first one."""
    _start_and_hold(base, stores)
    kv = stores.kv()
    lose_reply(kv.table.client, "TransactWriteItems")
    pointer = resume("default", by=BY, catalog=base.catalog, kv=kv)
    assert pointer == _pointer(stores)


CALLS: dict[str, Callable[..., object]] = {
    "promote": lambda **more: promote("v2", **more),
    "roll out": lambda **more: roll_out("default", WantedRollout("v2", 30), **more),
    "abort": lambda **more: abort("default", **more),
}


@pytest.mark.parametrize("call", CALLS)
def test_a_kv_that_is_down(base: Sandbox, stores: Stores, call: str) -> None:
    """Without the KV nothing changes; a condition that is stale changes nothing either."""
    base.roll_out("v2", 10)
    before = dump(stores)
    for client in (unreachable(), Refusing(stores.client, DOWN, operation="put_item")):
        with pytest.raises(KVUnavailable):
            CALLS[call](by=BY, catalog=base.catalog, kv=KV(client, stores.table))
    with pytest.raises(StaleRevision):
        CALLS[call](by=BY, catalog=base.catalog, kv=base.kv, if_match=IfMatch('"old"'))
    assert dump(stores) == before


@pytest.mark.parametrize("call", CALLS)
def test_a_repeat_under_the_same_cause_is_done(
    base: Sandbox, stores: Stores, call: str
) -> None:
    """It writes nothing, whatever its If-Match and the version's status now say."""
    base.roll_out("v2", 10)
    by = replace(BY, request_id="request-1", call_id="key-1")
    CALLS[call](by=by, catalog=base.catalog, kv=base.kv)
    assert _pointer(stores).cause == "key-1"
    stores.sql("UPDATE kiloclaw_available_versions SET status = 'deprecated'")
    before = dump(stores)
    again = replace(by, request_id="request-2")
    stale = IfMatch('"old"')
    CALLS[call](by=again, catalog=base.catalog, kv=base.kv, if_match=stale)
    assert dump(stores) == before


def test_over_a_pending_pointer(base: Sandbox, stores: Stores) -> None:
    """What both copies say already, or is refused, puts nothing; else it is overwritten."""
    pipeline(base, 5, "ghost")
    before = dump(stores)
    base.abort()
    with pytest.raises(AlreadyLatest):
        base.roll_out("v1", 5)
    assert changed(before, dump(stores)) <= {"kiloclaw_sync_findings"}
    base.roll_out("v2", 5)
    pointer = _pointer(stores)
    assert (pointer.revision, pointer.latest_tag, pointer.candidate_tag) == (6, "v1", "v2")


def test_a_pipeline_ends_a_rollout_that_it_does_not_name(base: Sandbox, stores: Stores) -> None:
    """A pointer without the attributes of a rollout is a pointer without a rollout."""
    base.roll_out("v2", 100, BRAKE)
    pipeline(base, 3, "v3")
    assert base.provision("ana").resolution.image.image_tag == "v3"
    base.sync()
    assert _pointer(stores).content == ("v3", None)


def test_raising_the_percent_only_adds(base: Sandbox) -> None:
    """Whoever is in at a percent is in at every higher one, and told so."""
    users = [f"user-{number}" for number in range(60)]
    inside: set[str] = set()
    for percent in (0, 1, 10, 50, 99, 100):
        rollout = base.roll_out("v2", percent).rollout
        assert rollout is not None
        told = {
            user for user in users
            if base.provision(user, "upgrade").resolution.image.image_tag == "v2"
        }  # fmt: skip
        assert told == {user for user in users if is_in(rollout.salt, user, percent)}
        assert inside <= told
        inside = told
    assert inside == set(users)


def test_copies_are_equal_in_every_attribute(base: Sandbox, stores: Stores) -> None:
    """What the KV holds of a rollout is what the mirror holds."""
    base.roll_out("v2", 10, BRAKE)
    assert pointers(stores) == mirrors(stores)
    item = stores.item("POINTER", "default") or {}
    assert (item["percent"], item["held"]) == ({"N": "10"}, {"BOOL": False})
    assert (item["brake_min_failures"], item["brake_percent"]) == ({"N": "3"}, {"N": "50"})


class _Seeing:
    """A client that notes each salt that is put, and lets something come first once."""

    def __init__(self, client: Any, salts: list[str], first: Callable[[], object]) -> None:
        self._client = client
        self._salts = salts
        self._first: list[Callable[[], object]] = [first]

    def __getattr__(self, operation: str) -> Any:
        return getattr(self._client, operation)

    def put_item(self, **parameters: Any) -> Any:
        self._salts.append(parameters["Item"]["salt"]["S"])
        if self._first:
            self._first.pop()()
        return self._client.put_item(**parameters)
