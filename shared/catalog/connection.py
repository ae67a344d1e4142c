"""A sandbox's one connection to Postgres. It is replaced when it turns out to be dead.

Nothing here pins an RDS Proxy session: no start-up options, no SET, no prepared statements.
https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/rds-proxy-pinning.html
"""

from collections.abc import Callable, Generator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any, LiteralString, TypeVar

import psycopg
from psycopg import errors
from psycopg.conninfo import make_conninfo
from psycopg.rows import TupleRow, class_row
from psycopg.waiting import wait_conn

from shared.deadline import Deadline
from shared.domain.errors import CatalogUnavailable

CATALOG_SECONDS = 3.0
"""How long one event may wait for Postgres, all its waits together."""

CONNECT_SECONDS = 2.0
FIRST_ANSWER_SECONDS = 1.0
"""How long a connection kept from an earlier event may take for its first answer."""

POLL_SECONDS = 0.1
TCP: dict[str, str | int | None] = {
    "keepalives_idle": 10,
    "keepalives_interval": 2,
    "keepalives_count": 2,
    "tcp_user_timeout": 3000,
    "load_balance_hosts": "random",
}
"""Let the kernel notice a dead peer too, and try a host's addresses in random order.

https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-PARAMKEYWORDS
"""

LOST = (
    psycopg.OperationalError,
    psycopg.InterfaceError,
    errors.IdleInTransactionSessionTimeout,
    errors.TransactionTimeout,
    errors.ReadOnlySqlTransaction,
)
"""A server that does not answer, gives up on us, or has been a stand-by since a failover.

psycopg does not class the last three as operational errors.
"""

T = TypeVar("T")
RawConnection = psycopg.Connection[TupleRow]


class _Connection(psycopg.Connection[TupleRow]):
    """A connection that stops waiting when the event's time is up.

    Then it closes the socket, because a stopped server honours none of its own time-outs.
    """

    deadline: Deadline
    has_answered = True
    """Whether it has answered since the current event began."""

    def wait(
        self, gen: Any, interval: float = POLL_SECONDS, timeout: float | None = None
    ) -> Any:
        limits = [self.deadline.catalog_left]
        limits += [] if timeout is None else [timeout]
        limits += [] if self.has_answered else [FIRST_ANSWER_SECONDS]
        self.has_answered = True
        with self.deadline.waiting_for_catalog():
            try:
                return super().wait(gen, interval=interval, timeout=max(min(limits), 0.0))
            except errors._WaitTimeout:  # noqa: SLF001  psycopg asks to convert it
                self.pgconn.finish()
                raise errors.ConnectionTimeout("no answer in time") from None


class Database:
    """The connection: opened when first needed, and again when it is found dead.

    `deadline` is that of the current event. `errors` collects the codes of the answers that
    made the catalog unavailable; a server that is silent or gone adds none.
    """

    def __init__(self, conninfo: Callable[[], str], seconds: float = CATALOG_SECONDS) -> None:
        self._conninfo = conninfo
        self._connection: _Connection | None = None
        self.deadline = Deadline(catalog_seconds=seconds)
        self.errors: list[str] = []

    @contextmanager
    def transaction(self) -> Generator[RawConnection]:
        """Begin, then commit, or roll back on any error.

        A dead connection is replaced at BEGIN and never later. Raises CatalogUnavailable.
        """
        with self._unavailable(LOST), ExitStack() as stack:
            yield self._retried(lambda connection: self._begin(connection, stack))

    def read(
        self, query: LiteralString, parameters: Mapping[str, object]
    ) -> list[tuple[Any, ...]]:
        """Run one statement that only reads, in one round trip.

        Raises CatalogUnavailable, whatever the server's error: a start goes on without it.
        """
        with self._unavailable((psycopg.Error,)):
            return self._retried(
                lambda connection: connection.execute(query, parameters).fetchall()
            )

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()

    def _retried(self, first: Callable[[_Connection], T]) -> T:
        """Run `first`; if the connection turns out to be dead, run it again on a new one."""
        kept = self._connection is not None and not self._connection.closed
        try:
            return first(self._connected())
        except psycopg.OperationalError:
            if not kept or self._connection is None or not self._connection.closed:
                raise
            return first(self._connected())

    def _begin(self, connection: _Connection, stack: ExitStack) -> RawConnection:
        stack.enter_context(connection.transaction())
        return connection

    @contextmanager
    def _unavailable(self, kinds: tuple[type[psycopg.Error], ...]) -> Generator[None]:
        """Translate these errors. The message has the SQLSTATE, not the server's words."""
        try:
            yield
        except kinds as error:
            if isinstance(error, errors.ReadOnlySqlTransaction):
                self.close()  # the next transaction finds the server that writes
            code = error.sqlstate or type(error).__name__
            if not _is_answer(error):
                text = f"the catalog did not answer in time ({code})"
                raise CatalogUnavailable(text) from None
            self.errors.append(code)
            raise CatalogUnavailable(f"the catalog answered with an error ({code})") from None

    def _connected(self) -> _Connection:
        """Return an open connection. One kept from an earlier event must answer soon."""
        connection = self._connection
        if connection is None or connection.closed:
            connection = self._connection = self._connect()
        elif connection.deadline is not self.deadline:
            connection.deadline, connection.has_answered = self.deadline, False
        return connection

    def _connect(self) -> _Connection:
        """Open a connection. Not by psycopg's `connect`: it waits at least 2 s per address."""
        if self.deadline.catalog_left <= 0:
            raise errors.ConnectionTimeout("no time left to connect")
        with self.deadline.waiting_for_catalog():
            conninfo = make_conninfo(self._conninfo(), **TCP)
            try:
                connection = wait_conn(
                    _Connection._connect_gen(conninfo),  # noqa: SLF001  of our own class
                    interval=POLL_SECONDS,
                    timeout=max(0.0, min(self.deadline.catalog_left, CONNECT_SECONDS)),
                )
            except errors._WaitTimeout:  # noqa: SLF001
                raise errors.ConnectionTimeout("no connection in time") from None
        connection.deadline = self.deadline
        connection.autocommit = True
        connection.prepare_threshold = None
        return connection


def _is_answer(error: psycopg.Error) -> bool:
    """Whether the server answered, rather than stayed silent or went away.

    libpq keeps no SQLSTATE of a refused connection, only the server's text.
    """
    return not isinstance(error, LOST) or "FATAL" in str(error)


def fetch(
    connection: RawConnection,
    kind: type[T],
    query: LiteralString,
    parameters: Mapping[str, object],
) -> list[T]:
    """Run a statement and return its rows as values of `kind`, column by field name."""
    with connection.cursor(row_factory=class_row(kind)) as cursor:
        return cursor.execute(query, parameters).fetchall()
