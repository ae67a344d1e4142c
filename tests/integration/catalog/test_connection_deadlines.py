"""Every wait for the catalog ends on our side: a stopped server honours no time-out."""

import os
import signal
import time
from collections.abc import Callable
from time import monotonic
from typing import LiteralString

import pytest

from shared.catalog.connection import Database
from shared.domain.errors import CatalogUnavailable
from tests.support.catalog_fixture import (
    GENEROUS,
    end_backend,
    pid,
    pid_in_transaction,
    stopped,
    until_gone,
    variants,
)
from tests.support.stores import CatalogStore

ADD: LiteralString = "INSERT INTO kiloclaw_variants (variant) VALUES (%(variant)s)"
Ask = Callable[[Database], int]


@pytest.mark.parametrize("ask", [pid, pid_in_transaction])
def test_a_stopped_backend_is_not_waited_for(database: Database, ask: Ask) -> None:
    """Time is up on our side, and the next event has a new connection."""
    before = ask(database)
    with stopped(before):
        database.set_deadline(0.5)
        started = monotonic()
        with pytest.raises(CatalogUnavailable):
            ask(database)
        assert 0.4 < monotonic() - started < GENEROUS
        database.set_deadline(GENEROUS)
        assert ask(database) != before


def test_a_backend_stopped_in_a_transaction_is_not_waited_for(
    store: CatalogStore, database: Database
) -> None:
    """Neither by the statement nor by the roll-back, and nothing is written."""
    before = pid(database)

    def work() -> None:
        with database.transaction() as tx:
            tx.execute(ADD, {"variant": "before"})
            os.kill(before, signal.SIGSTOP)
            tx.execute(ADD, {"variant": "after"})

    database.set_deadline(1.0)
    started = monotonic()
    try:
        with pytest.raises(CatalogUnavailable, match="ConnectionTimeout"):
            work()
        assert monotonic() - started < GENEROUS
    finally:
        os.kill(before, signal.SIGCONT)
    database.set_deadline(GENEROUS)
    assert pid(database) != before
    until_gone(store, before)
    assert variants(store) == []


def test_a_server_stopped_before_connecting_is_not_waited_for(store: CatalogStore) -> None:
    """The system accepts for it, nobody answers; once it goes on, so do we."""
    database = store.database(seconds=3.0)
    with stopped(store.server.pid):
        started = monotonic()
        with pytest.raises(CatalogUnavailable):
            pid(database)
        assert 1 < monotonic() - started < GENEROUS
    database.set_deadline(GENEROUS)
    assert pid(database)
    database.close()


def test_a_silent_port_is_not_waited_for(store: CatalogStore, silent_port: int) -> None:
    """Whatever takes connections and says nothing."""
    conninfo = store.conninfo("sync").replace(str(store.server.port), str(silent_port))
    started = monotonic()
    with pytest.raises(CatalogUnavailable, match="ConnectionTimeout"):
        pid(Database(lambda: conninfo))
    assert 1 < monotonic() - started < GENEROUS


def test_the_waits_of_an_event_share_one_allowance(database: Database) -> None:
    """What one statement has used another cannot use; the next event starts anew."""
    database.set_deadline(1.5)
    _sleep(database, 1.0)
    with pytest.raises(CatalogUnavailable):
        _sleep(database, 1.0)
    database.set_deadline(GENEROUS)
    _sleep(database, 1.0)


def test_time_spent_elsewhere_costs_nothing(database: Database) -> None:
    """The deadline is for waiting on the catalog, not for the rest of an event."""
    database.set_deadline(0.5)
    with database.transaction() as tx:
        time.sleep(0.6)
        assert tx.execute("SELECT 42").fetchone() == (42,)


def test_an_event_may_wait_longer_for_what_takes_its_time(database: Database) -> None:
    """Extended in the middle of a transaction, the wait goes on; it is never shortened."""
    database.set_deadline(0.5)
    with database.transaction() as tx:
        database.extend(GENEROUS)
        database.extend(0.1)
        tx.execute("SELECT pg_sleep(1)")


def test_nobody_connects_without_the_time_for_it() -> None:
    """Less is left than an attempt may take, so none is made."""
    database = Database(lambda: pytest.fail("it tried to connect"), 1.9)
    with pytest.raises(CatalogUnavailable, match="ConnectionTimeout"):
        pid(database)


def test_a_dead_connection_is_not_replaced_without_the_time_for_it(store: CatalogStore) -> None:
    """The retry too is within the deadline."""
    ways = [store.conninfo("sync")]
    database = Database(ways.pop, GENEROUS)
    end_backend(store, pid(database))
    database.set_deadline(1.9)
    with pytest.raises(CatalogUnavailable, match="ConnectionTimeout"):
        pid(database)


def _sleep(database: Database, seconds: float) -> None:
    database.read("SELECT pg_sleep(%(seconds)s)", {"seconds": seconds})
