"""One connection a sandbox: it survives a freeze and a restarted server, and has a deadline.

Nothing here pins a proxy's session: no start-up options, no SET, no prepared statements.
"""

from collections.abc import Callable, Generator, Mapping
from contextlib import ExitStack, contextmanager
from time import monotonic
from typing import Any, LiteralString, TypeVar

import psycopg
from psycopg import errors
from psycopg.rows import TupleRow, class_row, tuple_row

from shared.domain.errors import CatalogUnavailable

CONNECT_SECONDS = 2
"""The least that psycopg grants a connection attempt."""

LOST = (
    psycopg.OperationalError,
    psycopg.InterfaceError,
    errors.IdleInTransactionSessionTimeout,
    errors.TransactionTimeout,
    errors.ReadOnlySqlTransaction,
)
"""A server that does not answer, gives up on us, or is a stand-by since a failover. psycopg
files the last three under mistakes of the program."""

T = TypeVar("T")
RawConnection = psycopg.Connection[TupleRow]


class Deadline:
    """How long one event may wait for Postgres, all its waits together."""

    def __init__(self, seconds: float) -> None:
        self.left = seconds

    @contextmanager
    def spent(self) -> Generator[None]:
        started = monotonic()
        try:
            yield
        finally:
            self.left -= monotonic() - started


class _Connection(psycopg.Connection[TupleRow]):
    """A connection whose every wait is bounded on our side.

    A stopped server honours no time-out of its own, so the socket is closed when time is up.
    """

    deadline = Deadline(CONNECT_SECONDS)

    def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:
        left = self.deadline.left if timeout is None else min(timeout, self.deadline.left)
        with self.deadline.spent():
            try:
                return super().wait(gen, interval=interval, timeout=max(left, 0.0))
            except errors._WaitTimeout:  # noqa: SLF001  psycopg asks to convert it
                self.pgconn.finish()
                raise errors.ConnectionTimeout("no answer in time") from None


class Database:
    """The connection, opened when first needed and again when it is found dead."""

    def __init__(self, conninfo: Callable[[], str], seconds: float = 3.0) -> None:
        self._conninfo = conninfo
        self._connection: _Connection | None = None
        self.deadline = Deadline(seconds)

    def set_deadline(self, seconds: float) -> None:
        """Start an event: it may wait `seconds` for this database, retry included."""
        self.deadline = Deadline(seconds)

    def extend(self, seconds: float) -> None:
        """Let the rest of this event wait longer: what comes is known to take its time."""
        self.deadline.left = max(self.deadline.left, seconds)

    @contextmanager
    def transaction(self) -> Generator[RawConnection]:
        """Begin, then commit, or roll back on any error.

        A connection that died in between events is replaced while nothing has been done yet;
        never later. Raises CatalogUnavailable.
        """
        with self._unavailable(), ExitStack() as stack:
            yield self._retried(lambda connection: self._begin(connection, stack))

    def read(
        self, query: LiteralString, parameters: Mapping[str, object]
    ) -> list[tuple[Any, ...]]:
        """Run one statement that only reads, in one round trip. Raises CatalogUnavailable."""
        with self._unavailable():
            return self._retried(
                lambda connection: connection.execute(query, parameters).fetchall()
            )

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()

    def _retried(self, first: Callable[[_Connection], T]) -> T:
        """Do the first thing on the connection, once more if that shows it to be dead."""
        kept = self._connection is not None and not self._connection.closed
        try:
            return first(self._connected())
        except psycopg.OperationalError:
            dead = self._connection is None or self._connection.closed
            if not (kept and dead and self.deadline.left >= 0):
                raise
            return first(self._connected())

    def _begin(self, connection: _Connection, stack: ExitStack) -> RawConnection:
        stack.enter_context(connection.transaction())
        return connection

    @contextmanager
    def _unavailable(self) -> Generator[None]:
        """Say that the catalog is down, with the SQLSTATE and without the server's words."""
        try:
            yield
        except LOST as error:
            if isinstance(error, errors.ReadOnlySqlTransaction):
                self.close()  # the next transaction finds the server that writes
            state = error.sqlstate or type(error).__name__
            raise CatalogUnavailable(f"the catalog did not answer in time ({state})") from None

    def _connected(self) -> _Connection:
        if self._connection is None or self._connection.closed:
            self._connection = self._connect()
        self._connection.deadline = self.deadline
        return self._connection

    def _connect(self) -> _Connection:
        if self.deadline.left < CONNECT_SECONDS:
            raise errors.ConnectionTimeout("no time left to connect")
        with self.deadline.spent():
            return _Connection.connect(
                self._conninfo(),
                autocommit=True,
                prepare_threshold=None,
                connect_timeout=CONNECT_SECONDS,
                row_factory=tuple_row,
            )


def fetch(
    connection: RawConnection,
    kind: type[T],
    query: LiteralString,
    parameters: Mapping[str, object],
) -> list[T]:
    """Run a statement and return its rows as values of `kind`, column by field name."""
    with connection.cursor(row_factory=class_row(kind)) as cursor:
        return cursor.execute(query, parameters).fetchall()
