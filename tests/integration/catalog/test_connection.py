"""The one connection of a sandbox: when it is replaced, and what its errors mean."""

import os
import re
import signal
import time
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Barrier
from time import monotonic
from typing import LiteralString

import psycopg
import pytest
from psycopg import sql

from infra.local.postgres import Postgres
from shared.catalog.connection import Database, RawConnection
from shared.catalog.facts import read_facts
from shared.deadline import Deadline
from shared.domain.errors import CatalogUnavailable, VersionNotFound
from tests.support.catalog_fixture import (
    PATIENCE,
    end_backend,
    pid,
    pid_in_transaction,
    variants,
)
from tests.support.stores import CatalogStore

ADD: LiteralString = "INSERT INTO kiloclaw_variants (variant) VALUES (%(variant)s)"
LOCK: LiteralString = "SELECT FROM kiloclaw_variants WHERE variant = %(variant)s FOR UPDATE"
Ask = Callable[[Database], int]
either_way = pytest.mark.parametrize("ask", [pid, pid_in_transaction])


@either_way
def test_a_connection_that_died_between_events_is_replaced_unseen(
    store: CatalogStore, database: Database, ask: Ask
) -> None:
    """After a freeze the caller gets its answer over a new connection."""
    before = ask(database)
    assert ask(database) == before
    end_backend(store, before)
    assert ask(database) != before


@either_way
def test_a_restarted_server_is_found_again(ask: Ask) -> None:
    """All backends end at once, and the next event does not notice."""
    server = Postgres.start(fsync=False)
    try:
        database = Database(server.superuser)
        before = ask(database)
        os.kill(before, signal.SIGKILL)  # the server ends all others then and starts anew
        _until_up(server)
        database.deadline = Deadline(catalog_seconds=3.0)
        assert ask(database) != before
        database.close()
    finally:
        server.stop()


def _until_up(server: Postgres) -> None:
    """Wait until the server has ended its backends and accepts connections again."""
    give_up = monotonic() + PATIENCE
    while "all server processes terminated" not in server.log.read_text():
        assert monotonic() < give_up
        time.sleep(0.02)
    while True:
        try:
            return psycopg.connect(server.superuser(), connect_timeout=5).close()
        except psycopg.OperationalError:
            assert monotonic() < give_up
            time.sleep(0.02)


@either_way
def test_a_connection_is_replaced_once(store: CatalogStore, closed_port: int, ask: Ask) -> None:
    """If the new connection fails too, the catalog is unavailable until the next event."""
    there = store.conninfo("admin_api")
    nowhere = there.replace(str(store.server.port), str(closed_port))
    ways = [there, nowhere, there]
    database = Database(lambda: ways.pop(0), 5.0)
    end_backend(store, ask(database))
    with pytest.raises(CatalogUnavailable):
        ask(database)
    assert ways == [there]
    database.deadline = Deadline(catalog_seconds=5.0)
    assert ask(database)
    database.close()


@either_way
def test_a_first_connection_is_tried_once(
    store: CatalogStore, closed_port: int, ask: Ask
) -> None:
    """Only a connection that was kept is replaced; the next event tries again."""
    there = store.conninfo("admin_api")
    ways = [there.replace(str(store.server.port), str(closed_port)), there]
    database = Database(lambda: ways.pop(0), 5.0)
    with pytest.raises(CatalogUnavailable):
        ask(database)
    assert ways == [there]
    assert ask(database)
    database.close()


def test_a_connection_cut_in_a_transaction_is_not_replaced_in_it(
    store: CatalogStore, database: Database
) -> None:
    """No statement of the transaction is repeated, and none of them has an effect."""

    def work() -> None:
        with database.transaction() as tx:
            tx.execute(ADD, {"variant": "before"})
            end_backend(store, tx.info.backend_pid)
            tx.execute(ADD, {"variant": "after"})

    with pytest.raises(CatalogUnavailable, match="57P01"):
        work()
    assert variants(store) == []
    with database.transaction() as tx:
        tx.execute(ADD, {"variant": "anew"})
    assert variants(store) == ["anew"]


@contextmanager
def _cut(store: CatalogStore, database: Database) -> Generator[RawConnection]:
    """Cut the transaction's connection at its end."""
    with database.transaction() as tx:
        try:
            yield tx
        finally:
            end_backend(store, tx.info.backend_pid)


def test_a_connection_cut_before_the_commit_commits_nothing(
    store: CatalogStore, database: Database
) -> None:
    """The caller learns that nothing was done."""
    with pytest.raises(CatalogUnavailable), _cut(store, database) as tx:
        tx.execute(ADD, {"variant": "half"})
    assert variants(store) == []


def test_a_refusal_stays_a_refusal_when_the_connection_is_cut(
    store: CatalogStore, database: Database
) -> None:
    """The failed roll-back does not hide why the work was refused."""
    with pytest.raises(VersionNotFound), _cut(store, database):
        raise VersionNotFound("no version has this tag")


def test_an_error_in_a_transaction_undoes_it_and_keeps_the_connection(
    store: CatalogStore, database: Database
) -> None:
    """The transaction is rolled back and the connection serves on."""
    before = pid(database)

    def work() -> None:
        with database.transaction() as tx:
            tx.execute(ADD, {"variant": "half"})
            raise VersionNotFound("no version has this tag")

    with pytest.raises(VersionNotFound):
        work()
    assert variants(store) == []
    assert pid(database) == before


def test_a_deadlock_ends_as_an_unavailable_catalog_for_one(store: CatalogStore) -> None:
    """One of the two is told to retry, and the other goes on."""
    store.sql("INSERT INTO kiloclaw_variants (variant) VALUES ('a'), ('b')")
    each_has_one = Barrier(2)

    def lock(first: str, second: str) -> CatalogUnavailable | None:
        database = store.database("sync")
        try:
            with database.transaction() as tx:
                tx.execute(LOCK, {"variant": first})
                each_has_one.wait()
                tx.execute(LOCK, {"variant": second})
        except CatalogUnavailable as error:
            return error
        finally:
            database.close()
        return None

    with ThreadPoolExecutor(2) as threads:
        ended = list(threads.map(lock, "ab", "ba"))
    [error] = [end for end in ended if end is not None]
    assert error.detail == "the catalog did not answer in time (40P01)"


@pytest.mark.parametrize(
    ("breakage", "code"),
    [
        ("ALTER TABLE kiloclaw_version_pins RENAME TO gone", "42P01"),
        ("ALTER TABLE kiloclaw_version_pins RENAME expires_at TO gone", "42703"),
        ("REVOKE SELECT ON kiloclaw_version_pins FROM kiloclaw_provisioning", "42501"),
    ],
    ids=["table gone", "column gone", "grant lost"],
)
def test_an_error_in_what_a_start_reads_is_an_unavailable_catalog(
    store: CatalogStore, breakage: LiteralString, code: str
) -> None:
    """The code of the error is kept to be counted, and the connection is kept."""
    database = store.database("provisioning")
    before = pid(database)
    store.sql(breakage)
    with pytest.raises(CatalogUnavailable, match=rf"answered with an error \({code}\)"):
        read_facts(database, "ana", "default")
    assert database.errors == [code]
    assert pid(database) == before
    database.close()


def test_a_server_with_too_many_connections_answers_with_an_error(store: CatalogStore) -> None:
    """A refused connection has no SQLSTATE, and is counted all the same."""
    database = store.database("provisioning")
    limit = sql.SQL("ALTER DATABASE {} CONNECTION LIMIT {}")
    with store.server_connection() as connection:
        connection.execute(limit.format(sql.Identifier(store.dbname), 0))
        try:
            with pytest.raises(CatalogUnavailable, match="answered with an error"):
                pid(database)
        finally:
            connection.execute(limit.format(sql.Identifier(store.dbname), -1))
    assert database.errors == ["OperationalError"]


def test_a_server_that_is_gone_has_answered_nothing(
    store: CatalogStore, closed_port: int
) -> None:
    """Silence is no error answer, so nothing is counted."""
    conninfo = store.conninfo("sync").replace(str(store.server.port), str(closed_port))
    database = Database(lambda: conninfo)
    with pytest.raises(CatalogUnavailable, match="did not answer in time"):
        pid(database)
    assert database.errors == []


@pytest.mark.parametrize("password", ["wrong", None])
def test_a_server_that_turns_us_away_is_an_unavailable_catalog(
    store: CatalogStore, password: str | None
) -> None:
    """The server's message, which names the role, is not repeated."""
    conninfo = store.server.conninfo(store.dbname, "kiloclaw_sync", password)
    with pytest.raises(CatalogUnavailable) as refused:
        pid(Database(lambda: conninfo))
    assert "kiloclaw_sync" not in refused.value.detail
    assert refused.value.__cause__ is None


def test_a_session_sets_and_prepares_nothing(store: CatalogStore, database: Database) -> None:
    """RDS Proxy would reserve a database connection for a session that does."""
    store.sql("ALTER ROLE kiloclaw_admin_api SET log_statement = 'all'")
    try:
        end_backend(store, pid(database))
        for _ in range(10):  # psycopg prepares what it meets often
            database.read("SELECT %(answer)s::integer", {"answer": 42})
            with database.transaction() as tx:
                tx.execute(ADD + " ON CONFLICT DO NOTHING", {"variant": "default"})
                logged = tx.info.backend_pid
                settings = tx.execute(SETTINGS).fetchall()
                prepared = tx.execute("SELECT name FROM pg_prepared_statements").fetchall()
    finally:
        store.sql("ALTER ROLE kiloclaw_admin_api RESET log_statement")
    assert prepared == []
    assert {name for (name,) in settings} <= {"application_name", "client_encoding"}
    assert _commands(store.server, logged) == {"BEGIN", "COMMIT", "SELECT", "INSERT"}


SETTINGS: LiteralString = "SELECT name FROM pg_settings WHERE source IN ('client', 'session')"


def _commands(server: Postgres, backend: int) -> set[str]:
    """Return the first word of each statement that a backend logged."""
    found = re.findall(
        rf"\[{backend}\] LOG:  (?:statement|execute (?:<unnamed>|\S+)): (\w+)",
        server.log.read_text(),
    )
    return set(found)


def test_closing_needs_no_open_connection(store: CatalogStore) -> None:
    """Closing is idempotent, and the next event opens a new connection."""
    database = store.database()
    database.close()
    assert pid(database)
    database.close()
    database.close()
    assert pid(database)
    database.close()
