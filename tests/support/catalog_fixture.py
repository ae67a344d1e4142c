"""What tests of the catalog have in common: connections that end, and rows to look at."""

import os
import signal
import time
from collections.abc import Generator
from contextlib import contextmanager
from time import monotonic
from typing import Any, LiteralString

import psycopg
import pytest
from psycopg import sql

from shared.catalog.connection import Database, RawConnection
from tests.support.stores import CatalogStore

GENEROUS = 15.0
"""What no deadline in a test may come near to, however slow the machine."""
PATIENCE = 30.0


def pid(database: Database) -> int:
    """Ask in one statement who answers."""
    [(answer,)] = database.read("SELECT pg_backend_pid()", {})
    return int(answer)


def pid_in_transaction(database: Database) -> int:
    """Ask in a transaction who answers."""
    with database.transaction() as tx:
        return tx.info.backend_pid


def end_backend(store: CatalogStore, backend: int) -> None:
    """End it, and wait until it has ended."""
    ended = store.sql("SELECT pg_terminate_backend(%(pid)s, 10000)", pid=backend)
    assert ended == [(True,)]


def until_gone(store: CatalogStore, backend: int) -> None:
    """Wait for it; one whose client has closed the socket ends as soon as it sees that."""
    give_up = monotonic() + PATIENCE
    while store.sql("SELECT 1 FROM pg_stat_activity WHERE pid = %(pid)s", pid=backend):
        assert monotonic() < give_up
        time.sleep(0.02)


def until_somebody_waits(store: CatalogStore) -> None:
    """Wait until a lock is asked for that another holds."""
    give_up = monotonic() + PATIENCE
    while not store.sql("SELECT 1 FROM pg_locks WHERE NOT granted"):
        assert monotonic() < give_up
        time.sleep(0.01)


def sort_by_hand(connection: RawConnection) -> None:
    """Let no index of this transaction's tables put rows in order: the statement must."""
    connection.execute("SET LOCAL enable_indexscan = off")
    connection.execute("SET LOCAL enable_indexonlyscan = off")


@contextmanager
def stopped(process: int) -> Generator[None]:
    """Stop a process for a while: it is there and does nothing."""
    os.kill(process, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(process, signal.SIGCONT)


def variants(store: CatalogStore) -> list[str]:
    rows = store.sql("SELECT variant FROM kiloclaw_variants ORDER BY variant")
    return [variant for (variant,) in rows]


def refusal(
    connection: psycopg.Connection[Any], query: LiteralString | sql.Composed, **values: object
) -> str:
    """The constraint that refuses the statement, at once or at the commit."""
    with pytest.raises(psycopg.Error) as refused:
        commit(connection, query, **values)
    return refused.value.diag.constraint_name or type(refused.value).__name__


def commit(
    connection: psycopg.Connection[Any], query: LiteralString | sql.Composed, **values: object
) -> None:
    """Run it and all that waits for the commit, without committing."""
    connection.execute(query, values or None)
    connection.execute("SET CONSTRAINTS ALL IMMEDIATE")
