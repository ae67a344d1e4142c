"""The local event source mapping: batches, order, retries and splitting, as Lambda's."""

import json
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any, cast

import pytest

from infra.functions import STREAM_BATCH
from infra.local.aws import stream
from infra.local.aws.environments import LocalFunction, Throttled
from infra.local.aws.runtime_api import InvocationResult
from infra.local.aws.stream import EventSourceMapping, StreamReader
from tests.support.stream_records import stream_record

DONE = InvocationResult(b"null")


class Records:
    """A stream that is read once."""

    def __init__(self, *records: dict[str, Any]) -> None:
        self._records = list(records)

    def read(self) -> list[dict[str, Any]]:
        records, self._records = self._records, []
        return records


class Function:
    """A function that notes the users of each batch and answers as it is told."""

    def __init__(self, answer: Callable[[list[str]], InvocationResult]) -> None:
        self.batches: list[list[str]] = []
        self._answer = answer

    def invoke(self, payload: bytes, request_id: str) -> InvocationResult:
        assert request_id
        records = json.loads(payload)["Records"]
        users = [one["dynamodb"]["Keys"]["pk"]["S"].partition("#")[2] for one in records]
        self.batches.append(users)
        return self._answer(users)


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "POLL_SECONDS", 0.001)
    monkeypatch.setattr(stream, "RETRY_SECONDS", 0.001)


@contextmanager
def handing_over(function: Function, *records: dict[str, Any], batches: int) -> Generator[None]:
    """Hand the records over until the function has had so many batches."""
    reader = cast("StreamReader", Records(*records))
    mapping = EventSourceMapping.start(reader, cast("LocalFunction", function))
    try:
        ends = time.monotonic() + 5
        while len(function.batches) < batches and time.monotonic() < ends:
            time.sleep(0.001)
        time.sleep(0.01)
        yield
    finally:
        mapping.stop()


def test_records_of_instances_come_in_order_and_in_batches() -> None:
    """Other items are left out, and a batch has at most so many records."""
    users = [f"user-{number}" for number in range(STREAM_BATCH + 2)]
    records = [stream_record(user) for user in users]
    entry = stream_record("x")
    entry["dynamodb"]["Keys"]["pk"]["S"] = "IMAGE"
    function = Function(lambda _: DONE)
    with handing_over(function, entry, *records, batches=2):
        assert function.batches == [users[:STREAM_BATCH], users[STREAM_BATCH:]]


def test_a_batch_is_repeated_while_the_catalog_is_down() -> None:
    """It is neither split nor given up, and nothing overtakes it."""
    down = iter([True, True, False])
    failed = InvocationResult.failed("CatalogUnavailable", "no answer")
    function = Function(lambda _: failed if next(down, False) else DONE)
    with handing_over(function, stream_record("ana"), stream_record("bob"), batches=3):
        assert function.batches == [["ana", "bob"]] * 3


def test_a_batch_waits_while_every_environment_is_busy() -> None:
    """A throttled invocation is repeated like one that found the catalog down."""
    busy = iter([True, False])

    def answer(_: list[str]) -> InvocationResult:
        if next(busy, False):
            raise Throttled
        return DONE

    function = Function(answer)
    with handing_over(function, stream_record("ana"), batches=2):
        assert function.batches == [["ana"]] * 2


def test_a_batch_that_fails_is_split(capsys: pytest.CaptureFixture[str]) -> None:
    """All records but the one at fault are handed over, and that one is reported."""
    failed = InvocationResult.failed("KeyError", "planted")
    function = Function(lambda users: failed if "bad" in users else DONE)
    records = [stream_record(user) for user in ("ana", "bad", "bob", "eve")]
    with handing_over(function, *records, batches=5):
        assert function.batches == [
            ["ana", "bad", "bob", "eve"], ["ana", "bad"], ["ana"], ["bad"], ["bob", "eve"],
        ]  # fmt: skip
    assert "a stream record was given up" in capsys.readouterr().err


def test_nothing_is_invoked_once_it_is_stopped() -> None:
    """A batch that is still being repeated is left where it is."""
    failed = InvocationResult.failed("CatalogUnavailable", "no answer")
    function = Function(lambda _: failed)
    with handing_over(function, stream_record("ana"), batches=2):
        pass
    time.sleep(0.02)
    batches = len(function.batches)
    time.sleep(0.02)
    assert len(function.batches) == batches
