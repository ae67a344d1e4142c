"""Apply numbered `.sql` files in order, each in a transaction of its own."""

from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from time import sleep
from typing import TypeVar

import psycopg
from psycopg import errors

from shared.catalog import roles_sql
from shared.catalog.connection import Database, RawConnection

FOLDER = Path(__file__).with_name("migrations")
LOCKED = (errors.LockNotAvailable, errors.DeadlockDetected)
PAUSE_SECONDS = 2.0
"""Between two tries for a lock, so that sessions queued behind the first one are served."""

T = TypeVar("T")


class MigrationEdited(Exception):
    """A file was edited after it had been applied. Write a new file instead."""


@dataclass(frozen=True, slots=True)
class Migration:
    """One file. Its name begins with its number."""

    name: str
    sql: str

    @property
    def checksum(self) -> str:
        return sha256(self.sql.encode()).hexdigest()


def create_roles(database: Database) -> None:
    """Create the roles, or correct them. Needs a user that may create roles."""
    with database.transaction() as connection:
        _take_turns(connection)
        connection.execute(roles_sql().encode())


def migrations(folder: Path = FOLDER) -> list[Migration]:
    """List all files in the order of their numbers."""
    return [Migration(path.stem, path.read_text()) for path in sorted(folder.glob("*.sql"))]


def migrate(database: Database, folder: Path = FOLDER) -> list[str]:
    """Apply the files that have not been applied yet, and return their names in order.

    Concurrent runs wait for one another. A file that does not get its locks within the role's
    `lock_timeout` is tried again until the deadline, so that it never holds up others for long.
    Raises CatalogUnavailable, and MigrationEdited before anything is applied.
    """
    wanted = migrations(folder)

    def check(connection: RawConnection) -> None:
        applied = _applied(connection)
        for migration in wanted:
            _is_applied(migration, applied)

    _transact(database, check)
    return [migration.name for migration in wanted if _apply(database, migration)]


def _transact(database: Database, work: Callable[[RawConnection], T]) -> T:
    """Do `work` in a transaction; try again after a pause if it did not get a lock."""
    while True:
        with database.transaction() as connection:
            try:
                return work(connection)
            except LOCKED:
                if database.deadline.catalog_left < PAUSE_SECONDS:
                    raise
                raise psycopg.Rollback from None
        sleep(PAUSE_SECONDS)


def _apply(database: Database, migration: Migration) -> bool:
    """Apply one file; False if it has been applied."""

    def apply(connection: RawConnection) -> bool:
        if _is_applied(migration, _applied(connection)):
            return False
        connection.execute(migration.sql.encode())
        connection.execute(
            "INSERT INTO kiloclaw_migrations (name, checksum) VALUES (%(name)s, %(checksum)s)",
            {"name": migration.name, "checksum": migration.checksum},
        )
        return True

    return _transact(database, apply)


def _take_turns(connection: RawConnection) -> None:
    connection.execute("SELECT pg_advisory_xact_lock(hashtext('kiloclaw_migrate'))")


def _is_applied(migration: Migration, applied: dict[str, str]) -> bool:
    if applied.get(migration.name, migration.checksum) != migration.checksum:
        raise MigrationEdited(f"{migration.name} was edited after it had been applied")
    return migration.name in applied


def _applied(connection: RawConnection) -> dict[str, str]:
    """Names and checksums. No other run applies anything until this transaction ends."""
    _take_turns(connection)
    connection.execute(
        "CREATE TABLE IF NOT EXISTS kiloclaw_migrations ("
        " name text PRIMARY KEY, checksum text NOT NULL,"
        " applied_at timestamptz NOT NULL DEFAULT now())"
    )
    rows = connection.execute("SELECT name, checksum FROM kiloclaw_migrations").fetchall()
    return dict(rows)
