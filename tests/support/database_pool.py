"""Databases lent to one test after another: to empty one takes a hundredth of a new clone."""

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, LiteralString

import psycopg

from infra.local.postgres import Postgres
from tests.support.stores import make_catalog

SHAPE: LiteralString = """
SELECT md5(string_agg(part, '|' ORDER BY part)) FROM (
    SELECT concat_ws(' ', oid::regclass, relowner::regrole, relacl) AS part FROM pg_class
     WHERE relnamespace = 'public'::regnamespace
    UNION ALL
    SELECT concat_ws(' ', attrelid::regclass, attname, atttypid, attnotnull, attacl)
      FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid
     WHERE relnamespace = 'public'::regnamespace
    UNION ALL
    SELECT concat_ws(' ', tgrelid::regclass, tgname, tgenabled) FROM pg_trigger
    UNION ALL
    SELECT concat_ws(' ', oid::regprocedure, prosrc) FROM pg_proc
     WHERE pronamespace = 'public'::regnamespace
    UNION ALL
    SELECT pg_get_constraintdef(oid) FROM pg_constraint
     WHERE connamespace = 'public'::regnamespace
    UNION ALL
    SELECT concat_ws(' ', setrole::regrole, setconfig) FROM pg_db_role_setting
     WHERE setdatabase = (SELECT oid FROM pg_database WHERE datname = current_database())
) AS parts
"""

EMPTY: LiteralString = """
DO $$
DECLARE name text;
BEGIN
    PERFORM pg_terminate_backend(pid) FROM pg_stat_activity
      WHERE datname = current_database() AND pid <> pg_backend_pid();
    SET LOCAL session_replication_role = replica;
    FOR name IN SELECT oid::regclass FROM pg_class
                 WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'
                   AND relname <> 'kiloclaw_migrations'
    LOOP
        EXECUTE format('DELETE FROM %s', name);
    END LOOP;
    PERFORM setval(oid::regclass, 1, false) FROM pg_class
      WHERE relnamespace = 'public'::regnamespace AND relkind = 'S';
END
$$
"""


class Lender:
    """Migrated databases of one server; one whose shape a test has changed is lent no more."""

    def __init__(self, server: Postgres) -> None:
        self._server = server
        self._free: list[tuple[str, str]] = []

    @contextmanager
    def lend(self) -> Generator[str]:
        """An empty database that nobody else uses meanwhile."""
        dbname, shape = self._free.pop() if self._free else self._made()
        try:
            yield dbname
        finally:
            with self._connection(dbname) as connection:
                connection.execute(EMPTY)
                if _shape(connection) == shape:
                    self._free.append((dbname, shape))

    def _made(self) -> tuple[str, str]:
        dbname = make_catalog(self._server).dbname
        with self._connection(dbname) as connection:
            return dbname, _shape(connection)

    def _connection(self, dbname: str) -> psycopg.Connection[Any]:
        return psycopg.connect(self._server.superuser(dbname), autocommit=True)


def _shape(connection: psycopg.Connection[Any]) -> str:
    """Tables, columns, rights, triggers, functions, constraints and settings, as one text."""
    [(shape,)] = connection.execute(SHAPE).fetchall()
    return str(shape)
