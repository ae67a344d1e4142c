"""Pins: where they are written is where they are read; and a person can be forgotten."""

from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from shared.catalog.transaction import Catalog
from shared.domain.errors import (
    CatalogUnavailable,
    InvalidRequest,
    KVUnavailable,
    PinNotFound,
    Refused,
    VersionDisabled,
    VersionNotFound,
)
from shared.kv import KV
from shared.usecases.pins import Pinned, erase_user, get_pin, put_pin
from tests.support.concurrent_actors import BY, Sandbox
from tests.support.failing_clients import (
    Interposing,
    Refusing,
    closed_catalog,
    refusal,
    unreachable,
)
from tests.support.store_dump import changed, dump
from tests.support.stores import Stores

DOWN = refusal("InternalServerError", status=500)
TOMORROW = datetime.now(UTC) + timedelta(days=1)


def _events(stores: Stores) -> list[tuple[Any, ...]]:
    """What the log says of users, the oldest first."""
    return stores.sql(
        "SELECT action, subject_id, before ->> 'image_tag', after ->> 'image_tag', reason"
        "  FROM kiloclaw_audit_log WHERE subject_kind = 'user' ORDER BY id"
    )


def _alias(stores: Stores, user: str) -> str:
    [(alias,)] = stores.sql(
        "SELECT alias::text FROM kiloclaw_user_aliases WHERE user_id = %(user)s", user=user
    )
    return str(alias)


def test_a_pin_is_set_replaced_and_removed(world: Sandbox, stores: Stores) -> None:
    """Each change is an event about the user's alias, and the log never names the user."""
    first = world.pin("bob", "v1", reason="crashes", expires_at=TOMORROW)
    assert (first.is_new, first.pin.revision, first.warnings) == (True, 1, [])
    assert (first.pin.reason, first.pin.expires_at) == ("crashes", TOMORROW)
    second = world.pin("bob", "v4")
    assert (second.is_new, second.pin.revision, second.pin.reason) == (False, 2, None)
    assert get_pin("bob", catalog=world.catalog).pin == second.pin
    world.unpin("bob")
    with pytest.raises(PinNotFound):
        get_pin("bob", catalog=world.catalog)
    alias = _alias(stores, "bob")
    assert _events(stores)[1:] == [
        ("pin.set", alias, None, "v1", "crashes"),
        ("pin.set", alias, "v1", "v4", None),
        ("pin.removed", alias, "v4", None, None),
    ]
    assert "bob" not in str(stores.sql("SELECT l::text FROM kiloclaw_audit_log l"))


def test_what_is_so_already_is_no_event(world: Sandbox, stores: Stores) -> None:
    """Repeating a pin, an unpin or an erasure writes nothing."""
    before = dump(stores)
    assert world.pin("ana", "v3").pin.revision == 1
    world.unpin("nobody")
    world.erase("nobody")
    assert changed(before, dump(stores)) <= {"kiloclaw_user_aliases"}
    world.unpin("ana")
    before = dump(stores)
    world.unpin("ana")
    assert dump(stores) == before


def test_a_deprecated_version_is_pinned_with_a_warning(world: Sandbox) -> None:
    """Both setting and reading such a pin give the warning."""
    world.deprecate("v4")
    assert world.pin("bob", "v4").warnings == ["version_deprecated"]
    assert get_pin("bob", catalog=world.catalog).warnings == ["version_deprecated"]


@pytest.mark.parametrize(
    ("tag", "expires_at", "error"),
    [
        ("nothing", None, VersionNotFound),
        ("gone", None, VersionNotFound),
        ("off", None, VersionDisabled),
        ("v4", datetime.now(UTC) - timedelta(seconds=1), InvalidRequest),
    ],
)
def test_what_may_not_be_pinned(
    world: Sandbox,
    stores: Stores,
    tag: str,
    expires_at: datetime | None,
    error: type[Refused],
) -> None:
    """A refused pin writes nothing, and the pin that is there stays."""
    for other in ("gone", "off"):
        world.publish(other)
    world.retire("gone")
    world.disable("off")
    before = dump(stores)
    for user in ("ana", "bob"):
        with pytest.raises(error):
            world.pin(user, tag, expires_at=expires_at)
    assert dump(stores) == before


def test_an_erased_person_is_nowhere(world: Sandbox, stores: Stores) -> None:
    """Pin, record and alias are gone, the log is whole, and a new pin gets a new alias."""
    world.provision("ana")
    alias = _alias(stores, "ana")
    world.erase("ana")
    assert stores.sql("SELECT count(*) FROM kiloclaw_version_pins") == [(0,)]
    assert stores.item("INSTANCE#ana", "IMAGE") is None
    assert "ana" not in str(dump(stores))
    assert [event[:2] for event in _events(stores)] == [
        ("pin.set", alias),
        ("user.erased", alias),
    ]
    before = dump(stores)
    world.erase("ana")
    assert dump(stores) == before
    world.pin("ana", "v4")
    assert _alias(stores, "ana") != alias


def test_erasing_who_has_only_an_instance(world: Sandbox, stores: Stores) -> None:
    """Erasing a user without a pin is an event too."""
    world.provision("bob")
    world.erase("bob")
    assert stores.item("INSTANCE#bob", "IMAGE") is None
    assert _events(stores)[-1][0] == "user.erased"
    assert stores.sql("SELECT user_id FROM kiloclaw_user_aliases") == [("ana",)]


def test_a_first_pin_waits_for_an_erasure(world: Sandbox, stores: Stores) -> None:
    """A pin waits for an erasure even of a user who has no row to lock."""
    with closing(stores.database()) as other, ThreadPoolExecutor(1) as threads:
        pinned: list[Future[Pinned]] = []

        def pin() -> None:
            catalog = Catalog(other)
            pinned.append(threads.submit(put_pin, "bob", "v4", by=BY, catalog=catalog))
            with pytest.raises(TimeoutError):
                pinned[0].result(0.3)

        kv = KV(Interposing(stores.client, "batch_get_item", pin), stores.table)
        erase_user("bob", by=BY, catalog=world.catalog, kv=kv)
        assert pinned[0].result(60).is_new
    world.unpin("bob")
    assert stores.sql("SELECT user_id FROM kiloclaw_version_pins") == [("ana",)]


def test_erasing_needs_both_stores(world: Sandbox, stores: Stores) -> None:
    """Without one of the stores nothing of the catalog is erased, and a repeat completes it."""
    world.provision("ana")
    before = dump(stores)
    with pytest.raises(CatalogUnavailable):
        erase_user("ana", by=BY, catalog=closed_catalog(), kv=world.kv)
    with pytest.raises(KVUnavailable):
        erase_user("ana", by=BY, catalog=world.catalog, kv=KV(unreachable(), stores.table))
    assert dump(stores) == before
    late = Refusing(stores.client, DOWN, operation="delete_item", late=True)
    with pytest.raises(KVUnavailable):
        erase_user("ana", by=BY, catalog=world.catalog, kv=KV(late, stores.table))
    assert changed(before, dump(stores)) == {"kv"}
    world.erase("ana")
    assert "ana" not in str(dump(stores))
