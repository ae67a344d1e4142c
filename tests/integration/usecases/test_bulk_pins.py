"""Many pins at once: each item does what a single call does, in two statements for all."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from shared.catalog.pins import Users
from shared.domain.errors import BulkRejected
from shared.domain.model import PinContent
from shared.usecases.bulk_pins import BulkItem, Mode, change_pins
from tests.support.catalog_fixture import until_somebody_waits
from tests.support.concurrent_actors import BY, Sandbox
from tests.support.store_dump import changed, dump
from tests.support.stores import Stores

TOMORROW = datetime.now(UTC) + timedelta(days=1)
YESTERDAY = datetime.now(UTC) - timedelta(days=1)


def pin(
    user: str, tag: str, reason: str | None = None, expires_at: datetime | None = None
) -> BulkItem:
    return BulkItem(user, PinContent(tag, reason, expires_at), reason)


def unpin(user: str, reason: str | None = None) -> BulkItem:
    return BulkItem(user, None, reason)


def told(stores: Stores) -> list[tuple[Any, ...]]:
    """What the log says of users, the oldest first, each by the name behind the alias."""
    return stores.sql(
        "SELECT a.user_id, l.action, l.before, l.after, l.reason"
        "  FROM kiloclaw_audit_log l JOIN kiloclaw_user_aliases a"
        "    ON a.alias::text = l.subject_id ORDER BY l.id"
    )


@pytest.fixture
def bulk(world: Sandbox, stores: Stores) -> Sandbox:
    """Ana is pinned to v3, bob to v1 until yesterday; off is disabled, old is deprecated."""
    for tag in ("off", "old", "gone"):
        world.publish(tag)
    world.disable("off")
    world.deprecate("old")
    world.retire("gone")
    world.pin("bob", "v1", expires_at=TOMORROW)
    stores.sql(
        "UPDATE kiloclaw_version_pins SET expires_at = %(past)s WHERE user_id = 'bob'",
        past=YESTERDAY,
    )
    return world


def test_an_erasure_that_comes_first_leaves_no_alias(bulk: Sandbox, stores: Stores) -> None:
    """Unpinning somebody who is just being erased makes no new alias of theirs."""
    with stores.server_connection() as eraser, ThreadPoolExecutor(1) as threads:
        with eraser.transaction():
            eraser.execute("DELETE FROM kiloclaw_version_pins WHERE user_id = 'ana'")
            eraser.execute("DELETE FROM kiloclaw_user_aliases WHERE user_id = 'ana'")
            items = [unpin("ana"), pin("cid", "v1")]
            results = threads.submit(change_pins, items, "atomic", by=BY, catalog=bulk.catalog)
            until_somebody_waits(stores)
        assert [one.status for one in results.result()] == ["unchanged", "pinned"]
    known = stores.sql("SELECT user_id FROM kiloclaw_user_aliases ORDER BY user_id")
    assert known == [("bob",), ("cid",)]


def test_results_come_in_the_order_of_the_items(bulk: Sandbox, stores: Stores) -> None:
    """Each item is what a single call would be: its change, its event, its refusal."""
    before = len(told(stores))
    stores.put_entry("kv-alone")
    items = [
        pin("zoe", "v1", "needs it", TOMORROW),
        unpin("ana", "fixed"),
        pin("bob", "v1"),
        pin("dan", "old"),
        unpin("nobody"),
        pin("eve", "off"),
        pin("fay", "gone"),
        pin("gus", "kv-alone"),
        pin("hal", "v1", None, YESTERDAY),
    ]
    results = change_pins(items, "best_effort", by=BY, catalog=bulk.catalog)
    assert [(one.user_id, one.status, one.code) for one in results] == [
        ("zoe", "pinned", None),
        ("ana", "unpinned", None),
        ("bob", "pinned", None),
        ("dan", "pinned", None),
        ("nobody", "unchanged", None),
        ("eve", "failed", "version_disabled"),
        ("fay", "failed", "version_not_found"),
        ("gus", "failed", "version_not_found"),
        ("hal", "failed", "invalid_request"),
    ]
    assert [one.warnings for one in results if one.warnings] == [("version_deprecated",)]
    past = YESTERDAY.isoformat().replace("+00:00", "Z")
    tomorrow = TOMORROW.isoformat().replace("+00:00", "Z")

    def content(tag: str, reason: str | None = None, expires_at: str | None = None) -> Any:
        return {"image_tag": tag, "reason": reason, "expires_at": expires_at}

    assert told(stores)[before:] == [
        ("zoe", "pin.set", None, content("v1", "needs it", tomorrow), "needs it"),
        ("ana", "pin.removed", content("v3"), None, "fixed"),
        ("bob", "pin.set", content("v1", None, past), content("v1"), None),
        ("dan", "pin.set", None, content("old"), None),
    ]
    pins = stores.sql(
        "SELECT user_id, image_tag, reason, pinned_by, expires_at, revision"
        "  FROM kiloclaw_version_pins ORDER BY user_id"
    )
    assert pins == [
        ("bob", "v1", None, BY.actor, None, 2),
        ("dan", "old", None, BY.actor, None, 1),
        ("zoe", "v1", "needs it", BY.actor, TOMORROW, 1),
    ]
    aliases = {user for (user,) in stores.sql("SELECT user_id FROM kiloclaw_user_aliases")}
    assert aliases == {"ana", "bob", "dan", "zoe"}


@pytest.mark.parametrize("mode", ["atomic", "best_effort"])
def test_what_is_so_already_is_unchanged(bulk: Sandbox, stores: Stores, mode: Mode) -> None:
    """A repeat writes nothing but the aliases that it locks."""
    pins = {"zoe": "v1", "ana": None, "bob": "old"}
    assert {one.status for one in bulk.bulk(pins, mode)} == {"pinned", "unpinned"}
    before = dump(stores)
    again = bulk.bulk(pins, mode)
    assert [one.status for one in again] == ["unchanged"] * 3
    assert changed(before, dump(stores)) <= {"kiloclaw_user_aliases"}


def test_an_atomic_call_is_refused_whole(bulk: Sandbox, stores: Stores) -> None:
    """Every bad item is named with what a single call would answer, and nothing is written."""
    before = dump(stores)
    items = [
        pin("zoe", "v1"),
        pin("eve", "off"),
        unpin("ana"),
        pin("hal", "v1", None, YESTERDAY),
    ]
    with pytest.raises(BulkRejected) as refused:
        change_pins(items, "atomic", by=BY, catalog=bulk.catalog)
    assert refused.value.facts["errors"] == [
        {
            "index": 1, "user_id": "eve", "code": "version_disabled",
            "message": "nobody can be pinned to a disabled version",
        },
        {
            "index": 3, "user_id": "hal", "code": "invalid_request",
            "message": "expires_at: must be in the future",
        },
    ]  # fmt: skip
    assert dump(stores) == before


def test_two_statements_for_a_thousand_pins(
    bulk: Sandbox, stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many the items, two statements touch pins, and eight are sent in all."""
    sent: list[str] = []
    execute = psycopg.Cursor.execute

    def counting(cursor: Any, query: Any, *args: Any, **options: Any) -> Any:
        sent.append(str(query))
        return execute(cursor, query, *args, **options)

    users = {f"user-{number}": "v1" for number in range(500)}
    bulk.bulk(users)
    both = {**dict.fromkeys(users), **{f"new-{number}": "v1" for number in range(500)}}
    monkeypatch.setattr(psycopg.Cursor, "execute", counting)
    results = bulk.bulk(both)
    monkeypatch.undo()
    assert [one.status for one in results] == ["unpinned"] * 500 + ["pinned"] * 500
    assert len([query for query in sent if "kiloclaw_version_pins" in query]) == 2
    assert len(sent) <= 8
    assert stores.sql("SELECT count(*) FROM kiloclaw_version_pins WHERE image_tag = 'v1'") == [
        (501,)
    ]
    assert len(told(stores)) == 2 + 500 + 1000


def test_a_version_that_is_disabled_in_between(
    bulk: Sandbox, stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The status counts as it is under the version's lock, not as it was before."""
    original = Users.lock_all

    def late(self: Any, pinning: Any) -> Any:
        locked = original(self, pinning)
        stores.sql(
            "UPDATE kiloclaw_available_versions SET status = 'disabled' WHERE image_tag = 'v4'"
        )
        return locked

    monkeypatch.setattr(Users, "lock_all", late)
    [one, other] = bulk.bulk({"zoe": "v4", "yan": "v1"}, "best_effort")
    assert (one.code, other.status) == ("version_disabled", "pinned")
    with pytest.raises(BulkRejected):
        bulk.bulk({"xan": "v4", "wim": "v1"})
    assert stores.sql("SELECT user_id FROM kiloclaw_version_pins WHERE user_id > 'c'") == [
        ("yan",)
    ]
