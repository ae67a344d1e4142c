"""The brake: reports are counted exactly, and a rollout is held when too many starts fail."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from shared.domain.errors import KVUnavailable, Refused, StaleRevision
from shared.domain.etags import IfMatch
from shared.domain.model import Initiator
from shared.domain.pointer import Brake, Reports
from shared.kv import KV
from shared.kv.counters import StartOutcome
from shared.usecases.promote import promote
from shared.usecases.report import Report, Reported, Verdict, report
from tests.support.concurrent_actors import Crowd, Sandbox, published
from tests.support.failing_clients import Interposing, lose_reply, unreachable
from tests.support.invariants import faults, mirrors, pointers
from tests.support.stores import Stores
from tests.support.version_fixture import pipeline

BRAKE = Brake(2, 50)
COUNTED = Reported(counted=True)
HELD = Verdict(held=True)
HELD_NOW = Verdict(held=True, was_held_now=True)
USERS = [f"user-{number}" for number in range(12)]


@pytest.fixture
def base(sandbox: Sandbox) -> Sandbox:
    """v2 is rolled out to everybody; it is held when two starts, and half of all, fail.

    ana and bob were told to run it.
    """
    for tag in ("v1", "v2", "v3"):
        sandbox.publish(tag, set_latest=tag == "v1")
    sandbox.roll_out("v2", 100, BRAKE)
    for user in ("ana", "bob"):
        assert sandbox.provision(user).resolution.source == "rollout"
    return sandbox


def _pointer(stores: Stores) -> dict[str, Any]:
    return stores.item("POINTER", "default") or {}


def _held(stores: Stores) -> bool:
    held: bool = _pointer(stores)["held"]["BOOL"]
    return held


def _counts(stores: Stores) -> dict[str, Reports]:
    """What was counted, by salt."""
    kv = stores.kv()
    return {
        item["sk"]["S"]: kv.counters.read(item["sk"]["S"]) for item in stores.items("ROLLOUT")
    }


def _fail(sandbox: Sandbox, start_id: str, client: Any = None) -> Reported:
    kv = KV(client, sandbox.kv.table.name) if client else sandbox.kv
    return report(Report("ana", "v2", "failed", start_id), kv=kv)


class Watching:
    """A client that notes its calls, and does something after the named ones, once each.

    Calls are named by operation and partition: `batch_get_item ROLLOUT`.
    """

    def __init__(self, client: Any, **events: Callable[[], object]) -> None:
        self._client = client
        self._events = {name.replace("__", " "): event for name, event in events.items()}
        self.calls: list[str] = []

    def __getattr__(self, operation: str) -> Any:
        def call(**parameters: Any) -> Any:
            answer = getattr(self._client, operation)(**parameters)
            name = f"{operation} {_partition(parameters)}"
            self.calls.append(name)
            if name in self._events and self.calls.count(name) == self._when(name):
                self._events.pop(name)()
            return answer

        return call

    def _when(self, name: str) -> int:
        """The pointer is read once to count and then to judge: the second time matters."""
        return 2 if name == "batch_get_item POINTER" else 1


def _partition(parameters: dict[str, Any]) -> str:
    if "RequestItems" in parameters:
        [wanted] = parameters["RequestItems"].values()
        return str(wanted["Keys"][0]["pk"]["S"]).partition("#")[0]
    if "TransactItems" in parameters:
        return "REPORT"
    return str((parameters.get("Key") or parameters["Item"])["pk"]["S"])


def test_a_report_is_counted_once(base: Sandbox, stores: Stores) -> None:
    """By its start id, whatever the repeat says; marker and counter end some day."""
    assert base.report("ana", "v2", "ok", "s1") == COUNTED
    assert base.report("ana", "v2", "failed", "s1") == Reported(counted=False)
    assert base.report("bob", "v2", "failed", "s2") == COUNTED
    salt = _pointer(stores)["salt"]["S"]
    assert _counts(stores) == {salt: (1, 1)}
    markers = stores.items(f"REPORT#{salt}")
    assert sorted(item["sk"]["S"] for item in markers) == ["s1", "s2"]
    for item in [*markers, *stores.items("ROLLOUT")]:
        assert int(item["expires_at"]["N"]) > 1_700_000_000


def test_what_does_not_count(base: Sandbox, stores: Stores) -> None:
    """Strangers, users who were told another version, other tags, and what ran by a pin."""
    base.pin("cid", "v1")
    base.provision("cid")
    for user, tag in (("nobody", "v2"), ("cid", "v2"), ("ana", "v1"), ("ana", "v3")):
        assert not base.report(user, tag, "failed", f"{user}-{tag}").counted
    base.abort()
    assert base.report("ana", "v2", "failed", "s1") == Reported(counted=False)
    assert _counts(stores) == {}
    base.roll_out("v2", 100, BRAKE)
    stores.client.delete_item(
        TableName=stores.table, Key={"pk": {"S": "POINTER"}, "sk": {"S": "default"}}
    )
    assert base.report("ana", "v2", "failed", "s1") == Reported(counted=False)


@pytest.mark.parametrize(
    ("oks", "failures", "held"),
    [(0, 1, False), (0, 2, True), (2, 2, True), (3, 2, False), (3, 3, True)],
)
def test_both_thresholds_must_be_reached(
    base: Sandbox, stores: Stores, *, oks: int, failures: int, held: bool
) -> None:
    """At least two failures, and at least half of all reports."""
    for number in range(oks):
        base.report("ana", "v2", "ok", f"ok-{number}")
    verdicts = [base.report("ana", "v2", "failed", f"f-{n}").verdict for n in range(failures)]
    assert _held(stores) is held
    assert verdicts[-1] == (HELD_NOW if held else Verdict())


def test_without_a_brake_it_only_counts(base: Sandbox, stores: Stores) -> None:
    """A rollout without thresholds is never held."""
    base.abort()
    base.roll_out("v2", 100)
    for number in range(5):
        assert _fail(base, f"s{number}") == COUNTED
    assert list(_counts(stores).values()) == [(0, 5)]


def test_a_hold(base: Sandbox, stores: Stores) -> None:
    """It changes the hold, the revision and who wrote it; all else stays, the cause too."""
    pipeline(base, 3, "v1", candidate_tag="v2", percent=70, salt="salt", cause="key-1",
             brake_min_failures=1, brake_percent=1)  # fmt: skip
    before = _pointer(stores)
    assert _fail(base, "s1") == Reported(counted=True, verdict=HELD_NOW)
    after = _pointer(stores)
    assert after.pop("updated_at")["S"] > "2026"
    assert after == before | {
        "held": {"BOOL": True}, "moved_by": {"S": "brake"}, "revision": {"N": "4"},
    }  # fmt: skip
    told = base.provision("new").resolution
    assert (told.image.image_tag, told.source) == ("v1", "latest")
    assert "rollout_held" in {step.code for step in told.trace}
    assert base.provision("ana", "restart").resolution.image.image_tag == "v2"
    assert base.provision("ana", "upgrade").resolution.image.image_tag == "v1"
    assert base.report("bob", "v2", "ok", "s2") == Reported(counted=True, verdict=HELD)
    assert _pointer(stores)["revision"] == {"N": "4"}


def test_the_mirror_learns_of_a_hold(base: Sandbox, stores: Stores) -> None:
    """As of any move made in the KV; the administrator's percent stays as it was set."""
    for number in range(2):
        _fail(base, f"s{number}")
    base.sync()
    assert pointers(stores) == mirrors(stores)
    assert stores.sql("SELECT held, rollout_percent FROM kiloclaw_variants") == [(True, 100)]
    [event] = stores.sql(
        "SELECT actor, action, before -> 'held', after -> 'held' FROM kiloclaw_audit_log"
        " WHERE action LIKE 'rollout.%%' ORDER BY id DESC LIMIT 1"
    )
    assert event == ("kv", "rollout.adopted", False, True)
    with base.catalog.transaction() as tx:
        assert tx.variants.count_held() == 1


def test_the_order_of_reads_and_writes(base: Sandbox, stores: Stores) -> None:
    """Count, then the pointer, then the counter of that pointer's rollout, then the hold."""
    _fail(base, "s1")
    client = Watching(stores.client)
    assert _fail(base, "s2", client).verdict == HELD_NOW
    assert client.calls == [
        "batch_get_item INSTANCE", "batch_get_item POINTER", "transact_write_items REPORT",
        "batch_get_item POINTER", "batch_get_item ROLLOUT", "update_item POINTER",
    ]  # fmt: skip


def test_a_repeat_judges_too(base: Sandbox, stores: Stores) -> None:
    """Whoever counted may have died before it judged: then the marker is there already."""
    salt = _pointer(stores)["salt"]["S"]
    for number in range(2):
        stores.put(f"REPORT#{salt}", f"s{number}", expires_at=4_000_000_000)
    stores.put("ROLLOUT", salt, ok=0, failed=2)
    assert not _held(stores)
    assert _fail(base, "s1") == Reported(counted=False, verdict=HELD_NOW)
    assert _held(stores)


def _hold_and_resume(base: Sandbox, stores: Stores) -> None:
    """Another report holds the rollout, and a person resumes it at once."""
    assert base.report("bob", "v2", "failed", "another").verdict == HELD_NOW
    base.resume()
    assert not _held(stores)


@pytest.mark.parametrize(
    "read",
    ["batch_get_item__ROLLOUT", "batch_get_item__POINTER", "transact_write_items__REPORT"],
)
def test_old_counts_do_not_hold_what_was_resumed(
    base: Sandbox, stores: Stores, client: Any, read: str
) -> None:
    """Whatever was just read or written when a person resumes, the rollout goes on.

    A counter that is read before the pointer would hold it again, by counts from before.
    """
    _fail(base, "s1")
    other = Watching(client, **{read: partial(_hold_and_resume, base, stores)})
    assert _fail(base, "s2", other).counted
    assert not _held(stores)
    assert list(_counts(stores).values()) == []
    base.sync()
    assert not _held(stores)
    assert faults(stores) == []


def test_another_rollout_is_not_judged_by_this_report(
    base: Sandbox, stores: Stores, client: Any
) -> None:
    """Only the rollout that was counted for: a new one of the same version has its own salt."""

    def replace_rollout() -> None:
        base.abort()
        rollout = base.roll_out("v2", 100, BRAKE).rollout
        assert rollout is not None
        stores.put("ROLLOUT", rollout.salt, ok=0, failed=9)

    other = Watching(client, transact_write_items__REPORT=replace_rollout)
    assert _fail(base, "s1", other) == COUNTED
    assert not _held(stores)
    base.sync()
    assert _held(stores)


def _pipeline_moves_on(base: Sandbox, stores: Stores) -> None:
    """A pipeline moves latest and keeps the rollout."""
    item = _pointer(stores)
    revision = int(item["revision"]["N"]) + 1
    item |= {
        "revision": {"N": str(revision)},
        "latest_tag": {"S": f"v{3 - 2 * (revision % 2)}"},
    }
    stores.client.put_item(TableName=stores.table, Item=item)


def test_a_pointer_that_moved_is_read_again(base: Sandbox, stores: Stores, client: Any) -> None:
    """The hold is on the revision that was read, so nobody's move is overwritten."""
    _fail(base, "s1")
    move = partial(_pipeline_moves_on, base, stores)
    other = Interposing(client, "update_item", move, move)
    assert _fail(base, "s2", other).verdict == HELD_NOW
    assert (_held(stores), _pointer(stores)["revision"]) == (True, {"N": "5"})
    base.sync()
    assert faults(stores) == []


def test_after_four_rounds_the_caller_is_told(
    base: Sandbox, stores: Stores, client: Any
) -> None:
    """The report is counted by then; sync judges what is left, before it reconciles."""
    _fail(base, "s1")
    moves = [partial(_pipeline_moves_on, base, stores)] * 9
    with pytest.raises(KVUnavailable, match="by others"):
        _fail(base, "s2", Interposing(client, "update_item", *moves))
    assert _pointer(stores)["revision"] == {"N": "6"}
    assert list(_counts(stores).values()) == [(0, 2)]
    assert not _held(stores)
    base.sync()
    assert _held(stores)
    assert stores.sql("SELECT held FROM kiloclaw_variants") == [(True,)]
    assert faults(stores) == []


@pytest.mark.parametrize("when", ["before", "meanwhile"])
def test_a_conditional_promotion_overruns_no_hold(
    base: Sandbox, stores: Stores, client: Any, when: str
) -> None:
    """With the ETag of a rollout that was not held, the candidate is not promoted any more."""
    with base.catalog.transaction() as tx:
        seen = IfMatch(f'"{tx.variants.get("default").etag}"')
    _fail(base, "s1")
    if when == "before":
        _fail(base, "s2")
    hold = partial(base.report, "bob", "v2", "failed", "s3")
    kv = KV(Interposing(client, "put_item", hold), stores.table)
    by = Initiator("pipeline", "request-1")
    with pytest.raises(StaleRevision):
        promote("v2", by=by, catalog=base.catalog, kv=kv, if_match=seen)
    assert _held(stores)
    assert _pointer(stores)["latest_tag"] == {"S": "v1"}


def test_replies_that_are_lost(base: Sandbox, stores: Stores) -> None:
    """The client's second attempt neither counts again nor fails; the hold is there."""
    kv = stores.kv()
    lose_reply(kv.table.client, "TransactWriteItems")
    assert report(Report("ana", "v2", "failed", "s1"), kv=kv) == COUNTED
    lose_reply(kv.table.client, "UpdateItem")
    told = report(Report("ana", "v2", "failed", "s2"), kv=kv)
    assert (told.counted, told.verdict.held) == (True, True)
    assert list(_counts(stores).values()) == [(0, 2)]
    assert (_held(stores), _pointer(stores)["revision"]) == (True, {"N": "3"})


def test_without_the_kv(base: Sandbox, stores: Stores) -> None:
    """The caller is told to repeat it."""
    with pytest.raises(KVUnavailable):
        _fail(base, "s1", unreachable())


def test_concurrent_reports_are_counted_exactly(crowd: Crowd, stores: Stores) -> None:
    """Each start once, however often and from wherever it is reported; one of them holds."""
    published(crowd, "v1", "v2")
    admin = crowd.admins[0]
    admin.promote("v1")
    admin.roll_out("v2", 100, Brake(30, 60))
    for user in USERS:
        admin.provision(user)
    told: list[Reported] = []
    for turn in range(5):
        starts = [*range(9), 0, 1]
        ended = crowd.race(
            *[
                partial(sandbox.report, USERS[start], "v2", _outcome(start), f"{turn}-{start}")
                for sandbox, start in zip(crowd.all, starts, strict=True)
            ]
        )
        assert not [end for end in ended if isinstance(end, Refused)]
        told += ended
        assert list(_counts(stores).values()) == [(3 * turn + 3, 6 * turn + 6)]
    assert sum(one.counted for one in told) == 45
    assert sum(one.verdict.was_held_now for one in told) == 1
    assert _held(stores)
    crowd.settle()
    assert faults(stores) == []


def _outcome(start: int) -> StartOutcome:
    return "failed" if start % 3 else "ok"
