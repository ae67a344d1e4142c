"""Lambda functions as Lambda runs them: one event at a time in a process, more on demand."""

import json
import subprocess
import sys
import time
from collections import deque
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from threading import Semaphore

from infra.local import processes
from infra.local.aws.runtime_api import InvocationEvent, InvocationResult, RuntimeApi

ROOT = Path(__file__).resolve().parents[3]
QUEUE_SECONDS = 29.0
LOAD_SECONDS = 30.0
CHECK_SECONDS = 0.05
"""The interval at which a process that has an event is checked to be alive."""


class Throttled(Exception):
    """All environments stayed busy for too long."""


@dataclass(frozen=True, slots=True)
class FunctionSettings:
    """A function: its handler, environment variables, time-out in seconds and log file."""

    name: str
    handler: str
    environ: Mapping[str, str]
    timeout: float
    log: Path

    @property
    def arn(self) -> str:
        return f"arn:aws:lambda:us-east-1:123456789012:function:{self.name}"


class Environment:
    """One process of a function; it handles one event at a time."""

    def __init__(self, settings: FunctionSettings) -> None:
        self._settings = settings
        self._timed_out = False
        self._api = RuntimeApi(settings.arn)
        with settings.log.open("ab") as log:
            self._process = processes.start(
                [sys.executable, "-m", "awslambdaric", settings.handler],
                cwd=ROOT,
                env={**settings.environ, "AWS_LAMBDA_RUNTIME_API": self._api.address},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    @property
    def usable(self) -> bool:
        failed = self._timed_out or self._api.failed
        return not failed and self._process.poll() is None

    def invoke(self, payload: bytes, request_id: str) -> InvocationResult:
        """Have an event handled; a process that dies or is too slow is not `usable` then."""
        self._load()
        began = time.monotonic()
        invocation = self._handle(payload, request_id)
        self._report(request_id, invocation, time.monotonic() - began)
        return invocation

    def _handle(self, payload: bytes, request_id: str) -> InvocationResult:
        timeout = self._settings.timeout
        self._api.give(InvocationEvent(request_id, payload, time.time() + timeout))
        give_up = time.monotonic() + timeout
        while (left := give_up - time.monotonic()) > 0:
            if answer := self._api.take(min(left, CHECK_SECONDS)):
                return answer
            if self._process.poll() is not None:
                return self._api.take(0) or self._exited(request_id)
        self._timed_out = True
        message = f"RequestId: {request_id} Error: Task timed out after {timeout:.2f} seconds"
        return InvocationResult.failed("Sandbox.Timedout", message, timed_out=True)

    def _load(self) -> None:
        """Wait until the process has loaded its handler; on Lambda no event's time is used.

        A process that fails to load is noticed by whoever waits for its answer.
        """
        give_up = time.monotonic() + LOAD_SECONDS
        while not self._api.loaded.wait(CHECK_SECONDS):
            if not self.usable or time.monotonic() > give_up:
                return

    def stop(self) -> None:
        processes.stop(self._process)
        self._api.close()

    def _exited(self, request_id: str) -> InvocationResult:
        code = self._process.returncode
        how = f"signal: {-code}" if code < 0 else f"exit status {code}"
        message = f"RequestId: {request_id} Error: Runtime exited with error: {how}"
        return InvocationResult.failed("Runtime.ExitError", message)

    def _report(self, request_id: str, invocation: InvocationResult, seconds: float) -> None:
        """Log an event's end as Lambda does (JSON format, "platform.report").

        https://docs.aws.amazon.com/lambda/latest/dg/telemetry-schema-reference.html
        """
        failed = "timeout" if invocation.timed_out else "error"
        record = {
            "requestId": request_id,
            "metrics": {"durationMs": round(seconds * 1000, 3)},
            "status": failed if invocation.error else "success",
        }
        now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        line = json.dumps({"time": now, "type": "platform.report", "record": record})
        with self._settings.log.open("a") as log:
            log.write(f"{line}\n")


class LocalFunction:
    """A function with up to `limit` environments, started as concurrent events need them."""

    def __init__(
        self, settings: FunctionSettings, limit: int = 4, queue_seconds: float = QUEUE_SECONDS
    ) -> None:
        self.settings = settings
        self._turns = Semaphore(limit)
        self._queue_seconds = queue_seconds
        self._idle: deque[Environment] = deque()
        self._all: set[Environment] = set()
        self._closed = False

    def invoke(self, payload: bytes, request_id: str) -> InvocationResult:
        """Have an event handled as soon as an environment is free. Raises Throttled."""
        if not self._turns.acquire(timeout=self._queue_seconds) or self._closed:
            raise Throttled(f"{self.settings.name} is busy")
        try:
            environment = self._take()
            try:
                return environment.invoke(payload, request_id)
            finally:
                self._give_back(environment)
        finally:
            self._turns.release()

    def warm(self, count: int) -> None:
        """Start environments (at most `limit`) before the first event, without waiting."""
        for _ in range(count):
            self._idle.append(self._start())

    def stop(self) -> None:
        """End every environment; events that are being handled fail."""
        self._closed = True
        with ThreadPoolExecutor() as pool:
            list(pool.map(Environment.stop, tuple(self._all)))

    def _take(self) -> Environment:
        while self._idle:
            environment = self._idle.pop()
            if environment.usable:
                return environment
            self._end(environment)
        return self._start()

    def _start(self) -> Environment:
        environment = Environment(self.settings)
        self._all.add(environment)
        if self._closed:
            self._end(environment)
            raise Throttled(f"{self.settings.name} is being stopped")
        return environment

    def _give_back(self, environment: Environment) -> None:
        if environment.usable and not self._closed:
            self._idle.append(environment)
        else:
            self._end(environment)

    def _end(self, environment: Environment) -> None:
        self._all.discard(environment)
        environment.stop()
