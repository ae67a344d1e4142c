"""The catalog as use cases see it: transactions, and the statements inside them."""

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import NoReturn, cast

from psycopg import Rollback

from shared.catalog.audit import Audit
from shared.catalog.batches import Batches
from shared.catalog.connection import Database, RawConnection
from shared.catalog.constraints import domain_errors
from shared.catalog.fleet import Fleet
from shared.catalog.idempotency import IdempotencyKeys
from shared.catalog.pins import Pins, Users
from shared.catalog.runs import Runs
from shared.catalog.seals import Seals
from shared.catalog.variants import Variants
from shared.catalog.versions import Versions


class Transaction:
    """The statements of one transaction, by table. Made anew for each."""

    def __init__(self, connection: RawConnection, database: Database) -> None:
        self.connection = connection
        self.extend_deadline = database.deadline.extend
        self.versions = Versions(connection)
        self.variants = Variants(connection)
        self.pins = Pins(connection)
        self.users = Users(connection)
        self.audit = Audit(connection)
        self.runs = Runs(connection)
        self.batches = Batches(connection)
        self.fleet = Fleet(connection)
        self.seals = Seals(connection)
        self.idempotency_keys = IdempotencyKeys(connection)

    def now(self) -> datetime:
        """When the transaction began: the time by which statements judge expiry."""
        [(now,)] = self.connection.execute("SELECT now()").fetchall()
        return cast("datetime", now)

    def roll_back(self) -> NoReturn:
        """Leave the `with` block and roll everything back."""
        raise Rollback


@dataclass(frozen=True, slots=True)
class Catalog:
    """The database of one sandbox."""

    database: Database

    @contextmanager
    def transaction(self) -> Generator[Transaction]:
        """Commit at the end of the block, roll back on any error. Raises CatalogUnavailable."""
        with domain_errors(), self.database.transaction() as connection:
            yield Transaction(connection, self.database)
