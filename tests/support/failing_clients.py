"""Failures of the KV that no real server makes on demand."""

from collections.abc import Callable
from typing import Any

import botocore.session
from botocore.config import Config
from botocore.exceptions import ClientError, ReadTimeoutError

from infra.local.processes import free_port
from shared.catalog.connection import Database
from shared.catalog.transaction import Catalog


def refusal(code: str, *reasons: str, status: int = 400) -> ClientError:
    """An error as DynamoDB answers it. `reasons` are those of a cancelled transaction."""
    response: Any = {
        "Error": {"Code": code, "Message": "planted"},
        "ResponseMetadata": {"HTTPStatusCode": status},
        "CancellationReasons": [{"Code": reason} for reason in reasons],
    }
    return ClientError(response, "planted")


class Refusing:
    """A client that answers its next calls with errors, and then passes calls on.

    `operation` limits the errors to calls of that operation. With `late` those calls are
    carried out all the same.
    """

    def __init__(
        self, client: Any, *errors: Exception, operation: str | None = None, late: bool = False
    ) -> None:
        self._client = client
        self._errors = list(errors)
        self._operation = operation
        self._late = late
        self.calls = 0

    def __getattr__(self, operation: str) -> Any:
        def call(**parameters: Any) -> Any:
            self.calls += 1
            if self._errors and self._operation in {None, operation}:
                if self._late:
                    getattr(self._client, operation)(**parameters)
                raise self._errors.pop(0)
            return getattr(self._client, operation)(**parameters)

        return call


class Interposing:
    """A client that runs one of the events before each call of one operation."""

    def __init__(self, client: Any, operation: str, *events: Callable[[], object]) -> None:
        self._client = client
        self._operation = operation
        self._events = list(events)

    def __getattr__(self, operation: str) -> Any:
        if operation == self._operation and self._events:
            self._events.pop(0)()
        return getattr(self._client, operation)


class Following:
    """A client after whose calls of one operation something else happens, once each."""

    def __init__(self, client: Any, operation: str, *events: Callable[[], object]) -> None:
        self._client = client
        self._operation = operation
        self._events = list(events)

    def __getattr__(self, operation: str) -> Any:
        def call(**parameters: Any) -> Any:
            answer = getattr(self._client, operation)(**parameters)
            if operation == self._operation and self._events:
                self._events.pop(0)()
            return answer

        return call


def lose_reply(client: Any, operation: str = "") -> None:
    """Lose the reply to the next request, or to the next one of an operation ("DeleteItem").

    It is carried out all the same, and the client asks again.
    """
    session = client._endpoint.http_session
    send = session.send

    def lossy(request: Any) -> Any:
        answer = send(request)
        if not request.headers["X-Amz-Target"].decode().endswith(operation):
            return answer
        session.send = send
        raise ReadTimeoutError(endpoint_url=request.url)

    session.send = lossy


def unreachable() -> Any:
    """A client of a port at which nobody listens."""
    return botocore.session.get_session().create_client(
        "dynamodb",
        endpoint_url=f"http://127.0.0.1:{free_port()}",
        config=Config(connect_timeout=1, read_timeout=1, retries={"total_max_attempts": 1}),
    )


def closed_catalog() -> Catalog:
    """A catalog at whose port nobody listens."""
    return Catalog(closed_database())


def closed_database() -> Database:
    """A database at whose port nobody listens."""
    return Database(lambda: f"host=127.0.0.1 port={free_port()} user=nobody dbname=nothing")
