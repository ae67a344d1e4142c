"""Every wait for the catalog ends on our side: a stopped server honours no time-out."""

import os
import signal
import time
from collections.abc import Callable
from time import monotonic
from typing import LiteralString

import pytest

from infra.local.postgres import Postgres
from shared.catalog.connection import FIRST_ANSWER_SECONDS, Database
from shared.deadline import Deadline
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
either_way = pytest.mark.parametrize("ask", [pid, pid_in_transaction])


@pytest.fixture(scope="module")
def each_server(postgres_server: Postgres) -> Postgres:
    """One server's waits are as good as two's: all of them are ended by the client."""
    return postgres_server


@either_way
def test_a_connection_whose_backend_is_silent_is_replaced_after_a_second(
    database: Database, ask: Ask
) -> None:
    """The next event loses one second of its three, and its answer comes from a new backend."""
    before = ask(database)
    with stopped(before):
        database.deadline = Deadline(catalog_seconds=3.0)
        started = monotonic()
        assert ask(database) != before
        assert FIRST_ANSWER_SECONDS <= monotonic() - started < 3.0
    assert database.errors == []


@either_way
def test_a_silent_connection_is_not_waited_for_longer_than_the_event_allows(
    database: Database, ask: Ask
) -> None:
    """With half a second left an event ends after that; the next one connects anew."""
    before = ask(database)
    with stopped(before):
        database.deadline = Deadline(catalog_seconds=0.5)
        started = monotonic()
        with pytest.raises(CatalogUnavailable, match="ConnectionTimeout"):
            ask(database)
        assert 0.4 < monotonic() - started < GENEROUS
        database.deadline = Deadline(catalog_seconds=GENEROUS)
        assert ask(database) != before


@either_way
def test_a_silent_connection_to_a_stopped_server_ends_with_the_share_of_postgres(
    store: CatalogStore, database: Database, ask: Ask
) -> None:
    """The first answer, the new connection and the repeat have three seconds together."""
    before = ask(database)
    with stopped(before), stopped(store.server.pid):
        database.deadline = Deadline(catalog_seconds=3.0)
        started = monotonic()
        with pytest.raises(CatalogUnavailable, match="ConnectionTimeout"):
            ask(database)
        assert 2.5 < monotonic() - started < 3.5
    database.deadline = Deadline(catalog_seconds=GENEROUS)
    assert ask(database) != before


@either_way
def test_a_silent_connection_to_a_dead_server_ends_when_no_other_is_to_be_had(ask: Ask) -> None:
    """The backend is silent and nobody listens any more, so the event fails after a second."""
    server = Postgres.start(fsync=False)
    database = Database(server.superuser)
    before = ask(database)
    try:
        with stopped(before):
            os.kill(server.pid, signal.SIGKILL)
            database.deadline = Deadline(catalog_seconds=3.0)
            started = monotonic()
            with pytest.raises(CatalogUnavailable, match="OperationalError"):
                ask(database)
            assert FIRST_ANSWER_SECONDS <= monotonic() - started < 3.0
    finally:
        server.stop()


def test_a_connection_that_has_answered_may_take_all_of_the_events_time(
    database: Database,
) -> None:
    """The second is for the first answer alone; a slow statement after it is not repeated."""
    database.deadline = Deadline(catalog_seconds=GENEROUS)
    before = pid(database)
    _sleep(database, FIRST_ANSWER_SECONDS + 0.2)
    with database.transaction() as tx:
        tx.execute("SELECT pg_sleep(%(seconds)s)", {"seconds": FIRST_ANSWER_SECONDS + 0.2})
    assert pid(database) == before


def test_a_new_connection_may_take_all_of_the_events_time(store: CatalogStore) -> None:
    """Its first statement is not cut short after a second."""
    database = store.database(seconds=GENEROUS)
    _sleep(database, FIRST_ANSWER_SECONDS + 0.2)
    database.close()


def test_a_backend_stopped_in_a_transaction_is_not_waited_for(
    store: CatalogStore, database: Database
) -> None:
    """Neither statement nor roll-back waits, nothing is repeated, nothing is written."""
    before = pid(database)

    def work() -> None:
        with database.transaction() as tx:
            tx.execute(ADD, {"variant": "before"})
            os.kill(before, signal.SIGSTOP)
            tx.execute(ADD, {"variant": "after"})

    database.deadline = Deadline(catalog_seconds=2.0)
    started = monotonic()
    try:
        with pytest.raises(CatalogUnavailable, match="ConnectionTimeout"):
            work()
        assert 1.9 < monotonic() - started < GENEROUS
    finally:
        os.kill(before, signal.SIGCONT)
    database.deadline = Deadline(catalog_seconds=GENEROUS)
    assert pid(database) != before
    until_gone(store, before)
    assert variants(store) == []


def test_a_stopped_server_is_not_waited_for(store: CatalogStore) -> None:
    """The kernel accepts the connection, and no answer comes until the server runs again."""
    database = store.database(seconds=3.0)
    with stopped(store.server.pid):
        started = monotonic()
        with pytest.raises(CatalogUnavailable):
            pid(database)
        assert 1 < monotonic() - started < GENEROUS
    database.deadline = Deadline(catalog_seconds=GENEROUS)
    assert pid(database)
    database.close()


def test_an_attempt_to_connect_takes_no_longer_than_the_event_allows(
    store: CatalogStore, silent_port: int
) -> None:
    """This holds too where a host has several addresses and none of them answers."""
    conninfo = store.conninfo("sync").replace(str(store.server.port), str(silent_port))
    conninfo = conninfo.replace("host=127.0.0.1", "host=127.0.0.1,127.0.0.1,127.0.0.1")
    database = Database(lambda: f"{conninfo} connect_timeout=60", 0.5)
    started = monotonic()
    with pytest.raises(CatalogUnavailable, match="ConnectionTimeout"):
        pid(database)
    assert 0.4 < monotonic() - started < 1.5


def test_the_waits_of_an_event_share_its_time(database: Database) -> None:
    """What one statement has used another cannot use; the next event starts anew."""
    database.deadline = Deadline(catalog_seconds=1.2)
    _sleep(database, 0.8)
    with pytest.raises(CatalogUnavailable):
        _sleep(database, 0.8)
    database.deadline = Deadline(catalog_seconds=GENEROUS)
    _sleep(database, 0.8)


def test_time_spent_elsewhere_leaves_the_share_of_postgres(database: Database) -> None:
    """Only waits for the catalog count against it."""
    database.deadline = Deadline(catalog_seconds=0.5)
    with database.transaction() as tx:
        time.sleep(0.6)
        assert tx.execute("SELECT 42").fetchone() == (42,)


def test_postgres_is_not_waited_for_past_the_end_of_the_event(database: Database) -> None:
    """The event's end counts, even if Postgres has not used up its share."""
    database.deadline = Deadline(seconds=0.5, catalog_seconds=GENEROUS)
    time.sleep(0.4)
    with pytest.raises(CatalogUnavailable):
        _sleep(database, 5)
    assert -1.0 < database.deadline.left < 0


def test_an_event_may_wait_longer_for_what_takes_its_time(database: Database) -> None:
    """The deadline is extended in the middle of a transaction, and never shortened."""
    database.deadline = Deadline(catalog_seconds=0.5)
    with database.transaction() as tx:
        database.deadline.extend(GENEROUS)
        database.deadline.extend(0.1)
        tx.execute("SELECT pg_sleep(1)")


def test_nobody_connects_after_the_end() -> None:
    """When no time is left, no attempt is made."""
    database = Database(lambda: pytest.fail("it tried to connect"), 0)
    with pytest.raises(CatalogUnavailable, match="ConnectionTimeout"):
        pid(database)


def test_a_dead_connection_is_not_replaced_after_the_end(store: CatalogStore) -> None:
    """The deadline covers the repeat as well."""
    ways = [store.conninfo("sync")]
    database = Database(ways.pop, GENEROUS)
    end_backend(store, pid(database))
    database.deadline = Deadline(catalog_seconds=0)
    with pytest.raises(CatalogUnavailable, match="ConnectionTimeout"):
        pid(database)


def _sleep(database: Database, seconds: float) -> None:
    database.read("SELECT pg_sleep(%(seconds)s)", {"seconds": seconds})
