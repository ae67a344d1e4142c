"""Lambda functions as Lambda runs them: every event alone in a process, more on demand."""

import subprocess
import sys
import time
from collections import deque
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from threading import Semaphore
from uuid import uuid4

from infra.local import processes
from infra.local.aws.runtime_api import Event, Invocation, RuntimeApi

ROOT = Path(__file__).resolve().parents[3]
QUEUE_SECONDS = 29.0
LOAD_SECONDS = 30.0
LOOK_SECONDS = 0.05
"""How often a process that owes an answer is checked to be alive."""


class Throttled(Exception):
    """All environments stayed busy for too long."""


@dataclass(frozen=True, slots=True)
class Settings:
    """A function: its handler, all that its environment holds, and its time-out in seconds."""

    name: str
    handler: str
    environ: Mapping[str, str]
    timeout: float
    log: Path

    @property
    def arn(self) -> str:
        return f"arn:aws:lambda:us-east-1:123456789012:function:{self.name}"


class Environment:
    """One process of a function, which has one event at a time."""

    def __init__(self, settings: Settings) -> None:
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

    def invoke(self, payload: bytes) -> Invocation:
        """Have an event answered; a process that fails to is not `usable` any more."""
        self._load()
        request_id = str(uuid4())
        timeout = self._settings.timeout
        self._api.give(Event(request_id, payload, time.time() + timeout))
        give_up = time.monotonic() + timeout
        while (left := give_up - time.monotonic()) > 0:
            if answer := self._api.take(min(left, LOOK_SECONDS)):
                return answer
            if self._process.poll() is not None:
                return self._api.take(0) or self._exited(request_id)
        self._timed_out = True
        message = f"RequestId: {request_id} Error: Task timed out after {timeout:.2f} seconds"
        return Invocation.failed("Sandbox.Timedout", message, timed_out=True)

    def _load(self) -> None:
        """Wait until the process has loaded its handler: on Lambda that takes no event's time.

        What goes wrong is found out by who waits for an answer.
        """
        give_up = time.monotonic() + LOAD_SECONDS
        while not self._api.loaded.wait(LOOK_SECONDS):
            if not self.usable or time.monotonic() > give_up:
                return

    def stop(self) -> None:
        processes.stop(self._process)
        self._api.close()

    def _exited(self, request_id: str) -> Invocation:
        code = self._process.returncode
        how = f"signal: {-code}" if code < 0 else f"exit status {code}"
        message = f"RequestId: {request_id} Error: Runtime exited with error: {how}"
        return Invocation.failed("Runtime.ExitError", message)


class LocalFunction:
    """A function with up to `limit` environments, started as concurrent events need them."""

    def __init__(
        self, settings: Settings, limit: int = 4, queue_seconds: float = QUEUE_SECONDS
    ) -> None:
        self.settings = settings
        self._turns = Semaphore(limit)
        self._queue_seconds = queue_seconds
        self._idle: deque[Environment] = deque()
        self._all: set[Environment] = set()
        self._closed = False

    def invoke(self, payload: bytes) -> Invocation:
        """Answer an event, when an environment is free. Raises Throttled."""
        if not self._turns.acquire(timeout=self._queue_seconds) or self._closed:
            raise Throttled(f"{self.settings.name} is busy")
        try:
            environment = self._take()
            try:
                return environment.invoke(payload)
            finally:
                self._give_back(environment)
        finally:
            self._turns.release()

    def warm(self, count: int) -> None:
        """Start environments, before any event and not above the limit, without waiting."""
        for _ in range(count):
            self._idle.append(self._start())

    def stop(self) -> None:
        """End every environment; events that are under way fail."""
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
