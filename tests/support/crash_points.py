"""A process that dies, or loses touch with a store, at one chosen step of what it does."""

import os
import signal
import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

import psycopg
from botocore.exceptions import ReadTimeoutError

from shared.catalog.connection import Database
from shared.catalog.transaction import Catalog
from shared.kv import KV
from tests.support.stores import PATIENT

How = Literal["killed", "cut before", "cut after", "SIGKILL"]
"""What happens at a step: the process dies when it was carried out, which is before the next
one; or only the store is lost, before it learns of the step or after; or the real thing.
"""
Kind = Literal["statement", "begin or end", "kv"]
T = TypeVar("T")


class Killed(BaseException):
    """Nothing after this is done by the process that died, no `except` and no `finally`."""


@dataclass(slots=True)
class Steps:
    """Counts the steps outside: each statement, BEGIN, COMMIT and call of the KV is one.

    At step `at` something happens. `kinds` are the steps so far.
    """

    at: int = 0
    how: How = "killed"
    kinds: list[Kind] = field(default_factory=list)
    dead: bool = False

    def take(self, kind: Kind, act: Callable[[], T], cut: Callable[[], Exception]) -> T:
        if self.dead:
            raise Killed
        self.kinds.append(kind)
        if len(self.kinds) != self.at:
            return act()
        if self.how != "cut before":
            act()
        if self.how == "SIGKILL":
            os.kill(os.getpid(), signal.SIGKILL)
        error = cut()
        if self.how == "killed":
            self.dead = True
            raise Killed from error
        raise error


class MortalDatabase(Database):
    """A connection whose every wait for the server is a step."""

    def __init__(self, conninfo: str, steps: Steps) -> None:
        super().__init__(lambda: conninfo, PATIENT)
        self._steps = steps

    def _connect(self) -> Any:
        connection = super()._connect()
        wait = connection.wait

        def counted(gen: Any, **options: Any) -> Any:
            kind: Kind = "statement" if gen.__name__ == "_execute_gen" else "begin or end"
            return self._steps.take(
                kind, lambda: wait(gen, **options), lambda: _hang_up(connection)
            )

        vars(connection)["wait"] = counted
        return connection


class MortalClient:
    """A client of the KV whose every call is a step."""

    def __init__(self, client: Any, steps: Steps) -> None:
        self._client = client
        self._steps = steps

    def __getattr__(self, operation: str) -> Any:
        def call(**parameters: Any) -> Any:
            act = getattr(self._client, operation)
            return self._steps.take("kv", lambda: act(**parameters), _no_answer)

        return call


class Mortal:
    """One process, and the only thing that it will ever do."""

    def __init__(self, conninfo: str, table: str, client: Any, steps: Steps) -> None:
        self.steps = steps
        self.database = MortalDatabase(conninfo, steps)
        self.catalog = Catalog(self.database)
        self.kv = KV(MortalClient(client, steps), table)


def _hang_up(connection: psycopg.Connection[Any]) -> Exception:
    """Close the socket as the kernel does for a process that is gone: without a word."""
    with socket.socket(fileno=os.dup(connection.pgconn.socket)) as ours:
        ours.shutdown(socket.SHUT_RDWR)
    connection.pgconn.finish()
    return psycopg.OperationalError("the connection is gone")


def _no_answer() -> Exception:
    return ReadTimeoutError(endpoint_url="the KV")
