"""Who waits for whom: the locks that the protocol of writes is built on."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import NoReturn

import psycopg
import pytest
from psycopg import sql

from infra.local.postgres import Postgres
from shared.catalog.transaction import Catalog, Transaction
from shared.domain.errors import CatalogUnavailable
from shared.domain.model import ImageEntry, Initiator
from shared.domain.pointer import Pointer
from tests.support.catalog_fixture import until_somebody_waits
from tests.support.stores import CatalogStore, make_catalog

Step = Callable[[Transaction], object]
BY = Initiator("ada@example.com")
STEPS: dict[str, Step] = {
    "share": lambda tx: tx.versions.lock_for_share(["one", "two"]),
    "change": lambda tx: tx.versions.lock_for_change("one"),
    "retire": lambda tx: tx.versions.lock_for_retirement("one"),
    "status": lambda tx: tx.versions.set_status("one", "deprecated"),
    "pin": lambda tx: tx.pins.put("bob", "one", Initiator("eve"), None),
    "repin": lambda tx: tx.pins.put("ada", "two", Initiator("eve"), None),
    "move": lambda tx: tx.pins.move("one", "two", BY),
    "unpin": lambda tx: tx.pins.remove("ada"),
    "pin lock": lambda tx: tx.pins.lock("ada"),
    "user": lambda tx: tx.users.lock("ada"),
    "known user": lambda tx: tx.users.lock_known("ada"),
    "forget": lambda tx: tx.users.forget("ada"),
    "other user": lambda tx: tx.users.lock("bob"),
    "variant": lambda tx: tx.variants.lock("default"),
    "other variant": lambda tx: tx.variants.lock("gpu"),
    "save": lambda tx: tx.variants.save("default", Pointer(1, "one")),
    "read": lambda tx: (tx.versions.get("one"), tx.pins.find("ada"), tx.pins.count("one")),
}
WAIT: dict[str, set[str]] = {
    "share": {"change", "retire", "status"},
    "change": {"share", "change", "retire", "status"},
    "retire": {"share", "change", "retire", "status", "pin", "save"},
    "pin lock": {"repin", "move", "unpin", "pin lock"},
    "user": {"user", "known user", "forget"},
    "known user": {"user", "known user", "forget"},
    "move": {"repin", "move", "unpin", "pin lock"},
    "variant": {"variant", "save"},
}
"""While one holds the first, another waits with these and with nothing else."""


@pytest.fixture(scope="module")
def locked(each_server: Postgres) -> CatalogStore:
    """Two versions, and a user pinned to the first; no lock is waited for long."""
    store = make_catalog(each_server)
    patience = sql.SQL(
        "ALTER ROLE kiloclaw_admin_api IN DATABASE {} SET lock_timeout = '150ms'"
    )
    with store.server_connection() as connection:
        connection.execute(patience.format(sql.Identifier(store.dbname)))
    catalog = store.catalog()
    with catalog.transaction() as tx:
        for tag in ("one", "two"):
            entry = ImageEntry(tag, "2026.11.1", "default", datetime(2026, 11, 1, tzinfo=UTC))
            tx.versions.insert(entry, "eve", None)
        tx.variants.ensure("default")
        tx.variants.ensure("gpu")
        tx.users.lock("ada")
        tx.pins.put("ada", "one", Initiator("eve"), None)
    catalog.database.close()
    return store


@pytest.fixture
def rivals(locked: CatalogStore) -> Iterator[tuple[Catalog, Catalog]]:
    """Two sandboxes."""
    pair = locked.catalog(), locked.catalog()
    yield pair
    for catalog in pair:
        catalog.database.close()


def _undo() -> NoReturn:
    """End a transaction quietly: nothing that is tried here is to last."""
    raise psycopg.Rollback


def _waits(step: str, catalog: Catalog) -> bool:
    """Does it have to wait for somebody?"""
    try:
        with catalog.transaction() as tx:
            STEPS[step](tx)
            _undo()
    except CatalogUnavailable as error:
        return "55P03" in error.detail
    return False


@pytest.mark.parametrize("held", WAIT)
def test_a_lock_is_waited_for_by_those_it_is_meant_for(
    rivals: tuple[Catalog, Catalog], held: str
) -> None:
    """Nobody else waits for the lock, and a reader never does."""
    holder, rival = rivals
    with holder.transaction() as tx:
        STEPS[held](tx)
        assert {step for step in STEPS if _waits(step, rival)} == WAIT[held]
        _undo()


def test_a_status_read_after_the_lock_is_the_one_that_was_waited_for(
    store: CatalogStore,
) -> None:
    """A statement after the lock reads the status as the other transaction left it."""
    store.sql(
        "INSERT INTO kiloclaw_available_versions (image_tag, openclaw_version, published_at)"
        " VALUES ('one', '2026.11.1', now())"
    )
    holder, rival = store.catalog(), store.catalog()

    def wait_and_read() -> object:
        with rival.transaction() as tx:
            tx.versions.lock_for_share(["one"])
            return tx.versions.statuses(["one"], "default"), tx.versions.get("one").status

    with ThreadPoolExecutor(1) as threads:
        with holder.transaction() as tx:
            tx.versions.lock_for_change("one")
            told = threads.submit(wait_and_read)
            until_somebody_waits(store)
            tx.versions.set_status("one", "disabled")
        assert told.result() == ({"one": "disabled"}, "disabled")
    holder.database.close()
    rival.database.close()
