"""What tests of the catalog share: backends that end or stop, and rows to look at."""

import os
import signal
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from time import monotonic
from typing import Any, LiteralString, TypeVar

import psycopg
import pytest
from psycopg import sql

from shared.catalog.connection import Database, RawConnection
from tests.support.stores import CatalogStore

GENEROUS = 15.0
"""A deadline that no test reaches, however slow the machine."""
PATIENCE = 30.0
LIMITS = (1, 2, 3, 7, 100)
"""Sizes of pages, below and above what lists of tests hold."""
Row = TypeVar("Row")


def pid(database: Database) -> int:
    """Return the backend's process id, by a single statement."""
    [(answer,)] = database.read("SELECT pg_backend_pid()", {})
    return int(answer)


def pid_in_transaction(database: Database) -> int:
    """Return the backend's process id, by a transaction."""
    with database.transaction() as tx:
        return tx.info.backend_pid


def end_backend(store: CatalogStore, backend: int) -> None:
    """End a backend, and wait until it has ended."""
    ended = store.sql("SELECT pg_terminate_backend(%(pid)s, 10000)", pid=backend)
    assert ended == [(True,)]


def until_gone(store: CatalogStore, backend: int) -> None:
    """Wait until a backend whose client closed the socket has ended."""
    give_up = monotonic() + PATIENCE
    while store.sql("SELECT 1 FROM pg_stat_activity WHERE pid = %(pid)s", pid=backend):
        assert monotonic() < give_up
        time.sleep(0.02)


def until_somebody_waits(store: CatalogStore) -> None:
    """Wait until a session waits for a lock that another holds."""
    until_so_many_wait(store, 1)


def until_so_many_wait(store: CatalogStore, sessions: int) -> None:
    """Wait until this many sessions wait for locks that others hold."""
    give_up = monotonic() + PATIENCE
    while store.sql("SELECT count(*) FROM pg_locks WHERE NOT granted") < [(sessions,)]:
        assert monotonic() < give_up
        time.sleep(0.01)


def walk(
    page: Callable[[Any, int], list[Row]], place: Callable[[Row], Any], limit: int
) -> list[Row]:
    """Return the rows of all pages; each page begins behind the last row of the one before."""
    walked: list[Row] = []
    after = None
    while rows := page(after, limit):
        assert len(rows) <= limit
        walked += rows
        after = place(rows[-1])
    return walked


def sort_by_hand(connection: RawConnection) -> None:
    """Switch off index scans in this transaction, so that a missing ORDER BY shows."""
    connection.execute("SET LOCAL enable_indexscan = off")
    connection.execute("SET LOCAL enable_indexonlyscan = off")


@contextmanager
def stopped(process: int) -> Generator[None]:
    """Stop a process with SIGSTOP for the time of the block."""
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
    """Return the name of the constraint that refuses the statement, at once or at commit."""
    with pytest.raises(psycopg.Error) as refused:
        commit(connection, query, **values)
    return refused.value.diag.constraint_name or type(refused.value).__name__


def commit(
    connection: psycopg.Connection[Any], query: LiteralString | sql.Composed, **values: object
) -> None:
    """Run the statement and all deferred constraints, without committing."""
    connection.execute(query, values or None)
    connection.execute("SET CONSTRAINTS ALL IMMEDIATE")
