"""Functions run as on Lambda: one event at a time, more processes on demand."""

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
    """Starts functions of `tests.support.handlers`; they end with the test."""
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
    """The next event finds the same process, and the process a clean environment."""
    function = start("echo")
    first, second = invoke(function, {"a": [1, "é"]}), invoke(function, {})
    assert first["event"] == {"a": [1, "é"]}
    assert (first["pid"], second["calls"]) == (second["pid"], 2)
    assert 9_000 < first["left_ms"] <= 10_000
    assert first["arn"].endswith(":function:echo")
    assert first["environment"]["TABLE_NAME"] == "t"
    assert "HOME" not in first["environment"]


def test_concurrent_events_have_processes_of_their_own(start: StartFunction) -> None:
    """Up to the limit; what is above it waits in line."""
    function = start("rest", limit=2)
    with ThreadPoolExecutor() as pool:
        pids = set(pool.map(lambda _: invoke(function, {"seconds": 0.3}), range(4)))
    assert len(pids) == 2


def test_who_waits_too_long_is_throttled(start: StartFunction) -> None:
    """A bounded queue, as in front of a function at its concurrency limit."""
    function = start("rest", limit=1, queue_seconds=0.2)
    with ThreadPoolExecutor() as pool:
        busy = pool.submit(invoke, function, {"seconds": 1.5})
        time.sleep(0.3)
        with pytest.raises(Throttled):
            invoke(function, {"seconds": 0})
        assert busy.result()


def test_an_exception_is_an_error_of_the_event(start: StartFunction) -> None:
    """With its type and message; the process goes on."""
    error = error_of(start("fail"), {})
    assert (error["errorType"], error["errorMessage"]) == ("ValueError", "on purpose")


def test_a_process_that_dies_is_replaced(start: StartFunction) -> None:
    """Its event fails, the next one gets a new process."""
    function = start("crash", limit=1)
    first = invoke(function, {})
    assert error_of(function, {"crash": True})["errorType"] == "Runtime.ExitError"
    assert invoke(function, {}) != first


def test_a_process_killed_between_events_goes_unnoticed(start: StartFunction) -> None:
    """Nobody's event fails for it."""
    function = start("crash", limit=1)
    first = invoke(function, {})
    os.kill(first, 9)
    time.sleep(0.1)
    assert invoke(function, {}) != first


def test_time_runs_out(start: StartFunction) -> None:
    """The process is killed and the error is Lambda's."""
    function = start("rest", timeout=1.5, limit=1)
    pid = invoke(function, {"seconds": 0})
    error = error_of(function, {"seconds": 30})
    assert error["errorType"] == "Sandbox.Timedout"
    assert error["errorMessage"].endswith("Task timed out after 1.50 seconds")
    assert not Path(f"/proc/{pid}").exists()
    assert invoke(function, {"seconds": 0}) != pid


def test_loading_takes_no_time_of_an_event(start: StartFunction) -> None:
    """A new process has all of the time-out for its first event, as on Lambda."""
    assert invoke(start("slow_handlers.left", timeout=0.9), {}) > 500


def test_a_handler_that_cannot_be_loaded(start: StartFunction) -> None:
    """The error is told, and again for the next event."""
    function = start("no_such_handler", limit=1)
    for _ in range(2):
        assert error_of(function, {})["errorType"] == "Runtime.HandlerNotFound"


def test_stopping_ends_what_is_under_way(start: StartFunction) -> None:
    """No process stays, and nobody waits for one."""
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
