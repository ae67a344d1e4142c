"""Making the two copies of a pointer agree: each case that the protocol tells apart."""

from typing import Any

import pytest

from shared.domain.errors import KVUnavailable
from shared.kv import KV
from shared.usecases.reconcile import reconcile
from tests.support.concurrent_actors import Sandbox, digest
from tests.support.failing_clients import Interposing, Refusing, refusal, unreachable
from tests.support.invariants import faults
from tests.support.reconcile_cases import BROKEN, CASES, FINDING, Content, PointerCase
from tests.support.store_dump import changed, dump
from tests.support.stores import Stores


@pytest.fixture
def world(sandbox: Sandbox) -> Sandbox:
    """v1 is latest at revision 3; v2 was, bad is disabled, gone is retired."""
    sandbox.publish("v1", digest("v1"), set_latest=True)
    for tag in ("v2", "bad", "gone"):
        sandbox.publish(tag, digest(tag))
    sandbox.promote("v2")
    sandbox.promote("v1")
    sandbox.disable("bad")
    sandbox.retire("gone")
    return sandbox


def _set(stores: Stores, pointer: dict[str, Any]) -> None:
    key = {"pk": {"S": "POINTER"}, "sk": {"S": "default"}}
    stores.client.delete_item(TableName=stores.table, Key=key)
    if pointer:
        stores.put("POINTER", "default", **pointer)


def _both(stores: Stores) -> tuple[Content | None, Content]:
    item = stores.item("POINTER", "default") or {}
    plain = {name: next(iter(value.values())) for name, value in item.items()}
    [mirror] = stores.sql("SELECT revision, latest_tag, candidate_tag FROM kiloclaw_variants")
    kv = (int(plain["revision"]), plain["latest_tag"], plain.get("candidate_tag"))
    return kv, (mirror[0], mirror[1], mirror[2])


def _reconcile(sandbox: Sandbox, kv: KV | None = None, **more: Any) -> Any:
    return reconcile("default", catalog=sandbox.catalog, kv=kv or sandbox.kv, **more)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_the_copies_agree_afterwards(world: Sandbox, stores: Stores, case: PointerCase) -> None:
    """Both copies hold what the case wants, after its writes alone; a repeat writes nothing."""
    _set(stores, case.pointer)
    if case.entry is not None:
        stores.put_entry("new", **case.entry)
    before = dump(stores)
    done = _reconcile(world)
    after = dump(stores)
    assert _both(stores) == (case.kv or case.then, case.then)
    assert changed(before, after) == case.wrote
    assert len(done.findings) == len(after[FINDING]) == (case.fault is not None)
    assert case.fault is None or case.fault in str(after[FINDING])
    _reconcile(world)
    pending = {FINDING} if case.kv else set()
    assert changed(after, dump(stores)) == pending
    allowed = ("was lost", "one copy of the pointer") if case.kv else ("was lost",)
    assert not [fault for fault in faults(stores) if not any(text in fault for text in allowed)]


def test_an_adopted_move_is_told(world: Sandbox, stores: Stores) -> None:
    """Log and history say that the move was found in the KV, after its entry's event."""
    stores.put_entry("new", image_digest=digest("new"))
    _set(stores, {"revision": 7, "latest_tag": "new"})
    assert _reconcile(world).wrote
    events = stores.sql(
        "SELECT actor, action, subject_id, before ->> 'latest_tag', after ->> 'latest_tag'"
        "  FROM kiloclaw_audit_log ORDER BY id DESC LIMIT 2"
    )
    assert events == [
        ("kv", "latest.adopted", "default", "v1", "new"),
        ("kv", "version.published", "new", None, None),
    ]
    history = stores.sql(
        "SELECT revision, image_tag, previous_tag, promoted_by FROM kiloclaw_promotions"
        " ORDER BY id DESC LIMIT 1"
    )
    assert history == [(7, "new", "v1", "kv")]
    assert stores.item("DIGEST", digest("new"))


def test_nothing_to_agree_on(sandbox: Sandbox, stores: Stores) -> None:
    """A variant without a latest in either copy needs no write."""
    sandbox.publish("v1")
    before = dump(stores)
    assert not _reconcile(sandbox).wrote
    assert dump(stores) == before


def test_a_dead_pointer_with_nothing_to_put_back(sandbox: Sandbox, stores: Stores) -> None:
    """The finding stays until somebody promotes a version over the pointer."""
    sandbox.publish("v1")
    _set(stores, {"revision": 7, "latest_tag": "ghost"})
    done = _reconcile(sandbox)
    assert (done.wrote, done.standings) == (False, {"ghost": "pending"})
    assert [finding.code for finding in done.findings] == ["pointer_pending"]
    assert _reconcile(sandbox).findings == done.findings
    sandbox.promote("v1")
    assert _both(stores) == ((8, "v1", None), (8, "v1", None))


@pytest.mark.parametrize("broken", [{"revision": 7} | BROKEN, {"revision": "x"}])
def test_a_malformed_pointer_with_nothing_to_put_back(
    sandbox: Sandbox, stores: Stores, broken: dict[str, object]
) -> None:
    """A first promotion writes over a malformed pointer."""
    sandbox.publish("v1")
    _set(stores, broken)
    assert not _reconcile(sandbox).wrote
    sandbox.promote("v1")
    revision = 8 if broken["revision"] == 7 else 1
    assert _both(stores) == ((revision, "v1", None), (revision, "v1", None))


def test_a_pointer_that_moves_meanwhile_is_read_again(world: Sandbox, stores: Stores) -> None:
    """What was planned for the old pointer is not written."""
    _set(stores, {"revision": 7, "latest_tag": "bad"})

    def pipeline() -> None:
        _set(stores, {"revision": 8, "latest_tag": "v2"})

    client = Interposing(stores.client, "put_item", pipeline)
    assert _reconcile(world, KV(client, stores.table)).wrote
    assert _both(stores) == ((8, "v2", None), (8, "v2", None))
    assert stores.sql("SELECT count(*) FROM kiloclaw_sync_findings") == [(0,)]


def test_a_pointer_that_never_rests_is_left_for_later(world: Sandbox, stores: Stores) -> None:
    """After three tries the copies are as they were."""
    revisions = iter(range(8, 20))

    def pipeline() -> None:
        _set(stores, {"revision": next(revisions), "latest_tag": "bad"})

    pipeline()
    before = dump(stores)
    client = Interposing(stores.client, "put_item", *[pipeline] * 3)
    done = _reconcile(world, KV(client, stores.table))
    assert (done.finished, done.wrote, done.findings) == (False, False, ())
    assert changed(before, dump(stores)) == {"kv", "kiloclaw_audit_log"}
    assert next(revisions) == 12


def test_a_kv_that_is_down_leaves_all_as_it_was(world: Sandbox, stores: Stores) -> None:
    """A KV that cannot be read or written leaves both copies unchanged."""
    _set(stores, {"revision": 7, "latest_tag": "bad"})
    before = dump(stores)
    error = refusal("InternalServerError", status=500)
    for client in (unreachable(), Refusing(stores.client, error, operation="put_item")):
        with pytest.raises(KVUnavailable):
            _reconcile(world, KV(client, stores.table))
        assert changed(before, dump(stores)) <= {"kiloclaw_audit_log"}


def test_an_entry_that_came_in_meanwhile_is_taken_as_it_is(
    world: Sandbox, stores: Stores
) -> None:
    """An entry published while it is imported becomes one version with one event."""
    stores.put_entry("new", image_digest=digest("new"))
    _set(stores, {"revision": 7, "latest_tag": "new"})

    def publish() -> None:
        world.publish("new", digest("new"))

    client = Interposing(stores.client, "put_item", publish)
    assert _reconcile(world, KV(client, stores.table)).wrote
    assert _both(stores) == ((7, "new", None), (7, "new", None))
    assert faults(stores) == []


def test_a_digest_whose_claim_was_lost_still_has_its_owner(
    world: Sandbox, stores: Stores
) -> None:
    """The unique index is the second lock: the entry is refused, without a raw error."""
    key = {"pk": {"S": "DIGEST"}, "sk": {"S": digest("v1")}}
    stores.client.delete_item(TableName=stores.table, Key=key)
    stores.put_entry("new", image_digest=digest("v1"))
    _set(stores, {"revision": 7, "latest_tag": "new"})
    assert _reconcile(world).standings == {"new": "refused"}
    assert _both(stores) == ((8, "v1", None), (8, "v1", None))
    assert stores.item("DIGEST", digest("v1")) is None


def test_a_digest_that_somebody_else_has_claimed(world: Sandbox, stores: Stores) -> None:
    """The claim is the arbiter, whether the catalog knows its holder or not."""
    stores.put("DIGEST", digest("new"), image_tag="elsewhere")
    stores.put_entry("new", image_digest=digest("new"))
    _set(stores, {"revision": 7, "latest_tag": "new"})
    assert _reconcile(world).standings == {"new": "refused"}
    assert _both(stores) == ((8, "v1", None), (8, "v1", None))
