"""A start while a store is down: every row of the failure table, nobody listening there."""

from contextlib import closing
from typing import Any

import pytest

from infra.local.processes import free_port
from shared.catalog.connection import Database
from shared.domain.errors import CatalogUnavailable, KVUnavailable
from shared.kv import KV
from shared.usecases.provision import Start, explain, forget, provision
from tests.support.concurrent_actors import Sandbox
from tests.support.failing_clients import (
    Interposing,
    Refusing,
    closed_database,
    lose_reply,
    refusal,
    unreachable,
)
from tests.support.store_dump import dump
from tests.support.stores import Stores
from tests.support.version_fixture import pipeline, told

DOWN = refusal("InternalServerError", status=500)


def test_the_kv_is_down(start: Sandbox, stores: Stores) -> None:
    """In the second row pins apply, the mirror decides, and nothing is recorded."""
    start.provision("bob")
    kv = KV(unreachable(), stores.table)

    def asked(user: str, intent: Any = "provision", running: str | None = None) -> Any:
        wanted = Start(user, intent, running_tag=running)
        answer = provision(wanted, database=start.database, kv=kv)
        assert answer.previous is None
        assert explain(wanted, database=start.database, kv=kv).changed == answer.changed
        return told(answer)

    assert asked("ana") == ("v3", "pin", "applied", None, False, False)
    assert asked("ana", running="v3") == ("v3", "pin", "applied", False, False, False)
    assert asked("bob") == ("v1", "latest", "none", None, False, True)
    assert asked("bob", running="v1") == ("v1", "latest", "none", False, False, True)
    assert asked("bob", "restart", "v4") == ("v4", "instance", "none", False, False, True)
    assert asked("bob", "restart", "ghost") == ("v1", "latest", "none", True, False, True)
    assert asked("eve") == ("v1", "latest", "none", None, False, True)


def test_the_catalog_is_down(start: Sandbox, stores: Stores) -> None:
    """In the third row what was recorded runs on; for anyone else a pin may exist."""
    start.provision("ana")
    start.provision("bob")
    before = dump(stores)
    database = closed_database()
    for user, tag in (("ana", "v3"), ("bob", "v1")):
        for ask in (provision, explain):
            answer = ask(Start(user, "upgrade"), database=database, kv=start.kv)
            assert told(answer) == (tag, "instance", "unknown", False, False, True)
            assert answer.as_json()["status"] is None
            assert answer.resolution.is_pinned == (user == "ana")
    for ask in (provision, explain):
        with pytest.raises(CatalogUnavailable, match="a pin may exist"):
            ask(Start("eve"), database=database, kv=start.kv)
    assert dump(stores) == before


def test_both_stores_are_down(start: Sandbox, stores: Stores) -> None:
    """In the fourth row every start is refused."""
    start.provision("bob")
    kv = KV(unreachable(), stores.table)
    for ask in (provision, explain):
        with pytest.raises(CatalogUnavailable, match="neither"):
            ask(Start("bob"), database=closed_database(), kv=kv)
    with pytest.raises(KVUnavailable):
        forget("bob", kv=kv)


def test_the_kv_is_lost_on_the_way(start: Sandbox, world: Sandbox, stores: Stores) -> None:
    """If an entry cannot be read the mirror decides; if recording fails the answer stands."""
    stores.put_entry("new")
    pipeline(world, 3, "new")

    def lost(*errors: Exception, operation: str, late: bool = False) -> Any:
        client = Refusing(stores.client, *errors, operation=operation, late=late)
        kv = KV(client, stores.table)
        return told(provision(Start("bob"), database=start.database, kv=kv))

    assert lost(DOWN, operation="put_item") == ("new", "latest", "none", True, False, False)
    late = lost(DOWN, operation="put_item", late=True)
    assert late == ("new", "latest", "none", True, False, False)

    def fail() -> None:
        raise DOWN

    kv = KV(Interposing(stores.client, "batch_get_item", int, fail), stores.table)
    answer = provision(Start("bob"), database=start.database, kv=kv)
    assert told(answer) == ("v1", "latest", "none", True, True, True)


def test_the_catalog_is_lost_on_the_way(start: Sandbox, stores: Stores, world: Sandbox) -> None:
    """If a version cannot be looked up, what is recorded runs on."""
    start.provision("bob")
    pipeline(world, 3, "v4")
    addresses = iter([stores.conninfo("provisioning")])
    database = Database(lambda: next(addresses, f"host=127.0.0.1 port={free_port()}"))

    def cut() -> None:
        stores.sql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND usename = 'kiloclaw_provisioning'"
        )

    kv = KV(Interposing(stores.client, "batch_get_item", cut), stores.table)
    with closing(database):
        answer = provision(Start("bob"), database=database, kv=kv)
    assert told(answer) == ("v1", "instance", "unknown", False, False, True)


def test_the_reply_of_the_record_is_lost(start: Sandbox, stores: Stores, client: Any) -> None:
    """What ran before is known only if it was read before deciding."""
    for user in ("ana", "bob"):
        start.provision(user)

    def lost(user: str, running: str | None = None) -> tuple[bool, bool | None, bool]:
        lose_reply(client, "PutItem")
        answer = start.provision(user, running_tag=running)
        return answer.recorded, answer.changed, answer.previous is None

    assert lost("ana") == (True, None, True)
    assert lost("ana", "v3") == (True, False, True)
    assert lost("ana", "v1") == (True, True, True)
    assert lost("bob") == (True, False, False)
    assert lost("new user") == (True, True, True)
