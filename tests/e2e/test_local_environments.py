"""Functions run as on Lambda: one event at a time in a process, more processes on demand."""

import json
import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from infra.local.aws.environments import ROOT, FunctionSettings, LocalFunction, Throttled

StartFunction = Callable[..., LocalFunction]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[StartFunction]:
    """A function of `tests.support.handlers`, which is stopped at the end of the test."""
    started: list[LocalFunction] = []

    def start(
        handler: str, timeout: float = 10, limit: int = 4, queue_seconds: float = 29
    ) -> LocalFunction:
        environ = {"PATH": os.defpath, "PYTHONPATH": str(ROOT), "TABLE_NAME": "t"}
        path = f"tests.support.{handler if '.' in handler else f'handlers.{handler}'}"
        settings = FunctionSettings(handler, path, environ, timeout, tmp_path / "log")
        started.append(LocalFunction(settings, limit, queue_seconds))
        return started[-1]

    yield start
    for function in started:
        function.stop()


def invoke(function: LocalFunction, event: object) -> Any:
    answer = function.invoke(json.dumps(event).encode(), str(uuid4()))
    assert not answer.error, answer.payload
    return json.loads(answer.payload)


def error_of(function: LocalFunction, event: object) -> dict[str, Any]:
    answer = function.invoke(json.dumps(event).encode(), str(uuid4()))
    assert answer.error
    error: dict[str, Any] = json.loads(answer.payload)
    return error


def test_an_environment_is_kept(start: StartFunction) -> None:
    """The same process handles the next event, and sees only its own environment variables."""
    function = start("echo")
    first, second = invoke(function, {"a": [1, "é"]}), invoke(function, {})
    assert first["event"] == {"a": [1, "é"]}
    assert (first["pid"], second["calls"]) == (second["pid"], 2)
    assert 9_000 < first["left_ms"] <= 10_000
    assert first["arn"].endswith(":function:echo")
    assert first["environment"]["TABLE_NAME"] == "t"
    assert "HOME" not in first["environment"]


def test_concurrent_events_have_processes_of_their_own(start: StartFunction) -> None:
    """Each concurrent event has a process, up to the limit; the others wait."""
    function = start("rest", limit=2)
    with ThreadPoolExecutor() as pool:
        pids = set(pool.map(lambda _: invoke(function, {"seconds": 0.3}), range(4)))
    assert len(pids) == 2


def test_an_event_that_waits_too_long_is_throttled(start: StartFunction) -> None:
    """The wait is bounded, as for a function at its concurrency limit."""
    function = start("rest", limit=1, queue_seconds=0.2)
    with ThreadPoolExecutor() as pool:
        busy = pool.submit(invoke, function, {"seconds": 1.5})
        time.sleep(0.3)
        with pytest.raises(Throttled):
            invoke(function, {"seconds": 0})
        assert busy.result()


def test_an_exception_is_an_error_of_the_event(start: StartFunction) -> None:
    """The caller gets an exception's type and message."""
    error = error_of(start("fail"), {})
    assert (error["errorType"], error["errorMessage"]) == ("ValueError", "on purpose")


def test_a_process_that_dies_is_replaced(start: StartFunction) -> None:
    """The event fails with Lambda's error, and the next one gets a new process."""
    function = start("crash", limit=1)
    first = invoke(function, {})
    assert error_of(function, {"crash": True})["errorType"] == "Runtime.ExitError"
    assert invoke(function, {}) != first


def test_a_process_killed_between_events(start: StartFunction) -> None:
    """No event fails: the next one gets a new process."""
    function = start("crash", limit=1)
    first = invoke(function, {})
    os.kill(first, 9)
    time.sleep(0.1)
    assert invoke(function, {}) != first


def test_a_timeout(start: StartFunction) -> None:
    """An event that is too slow gets Lambda's error, and its process is killed."""
    function = start("rest", timeout=1.5, limit=1)
    pid = invoke(function, {"seconds": 0})
    error = error_of(function, {"seconds": 30})
    assert error["errorType"] == "Sandbox.Timedout"
    assert error["errorMessage"].endswith("Task timed out after 1.50 seconds")
    assert not Path(f"/proc/{pid}").exists()
    assert invoke(function, {"seconds": 0}) != pid


def test_loading_takes_no_time_of_an_event(start: StartFunction) -> None:
    """As on Lambda, the time-out starts once the process has loaded its handler."""
    assert invoke(start("slow_handlers.left", timeout=0.9), {}) > 500


def test_a_handler_that_cannot_be_loaded(start: StartFunction) -> None:
    """Every event gets the error."""
    function = start("no_such_handler", limit=1)
    for _ in range(2):
        assert error_of(function, {})["errorType"] == "Runtime.HandlerNotFound"


def test_stopping_during_an_event(start: StartFunction) -> None:
    """The event fails, its process is gone, and later events are refused at once."""
    function = start("rest")
    pid = invoke(function, {"seconds": 0})
    with ThreadPoolExecutor() as pool:
        busy = pool.submit(error_of, function, {"seconds": 30})
        time.sleep(0.2)
        function.stop()
        assert busy.result()["errorType"] == "Runtime.ExitError"
    assert not Path(f"/proc/{pid}").exists()
    with pytest.raises(Throttled):
        function.invoke(b"{}", "id")
