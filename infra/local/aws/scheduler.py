"""EventBridge Scheduler: invokes `sync` every minute, and once a day to verify the log."""

import json
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from threading import Event, Thread
from typing import Self
from uuid import uuid4

from infra.local.aws.environments import LocalFunction, Throttled

ACCOUNT, REGION = "123456789012", "us-east-1"


DAY_SECONDS = 86_400.0


class Scheduler:
    """Invokes a function at once and then every `seconds`, until stopped.

    With a payload of its own a schedule begins after the first `seconds`.
    """

    def __init__(
        self, function: LocalFunction, seconds: float, payload: Mapping[str, str] | None = None
    ) -> None:
        self._function = function
        self._seconds = seconds
        self._payload = payload
        self._stopped = Event()

    @classmethod
    def start(
        cls,
        function: LocalFunction,
        seconds: float = 60.0,
        payload: Mapping[str, str] | None = None,
    ) -> Self:
        scheduler = cls(function, seconds, payload)
        Thread(target=scheduler._run, daemon=True).start()
        return scheduler

    def stop(self) -> None:
        self._stopped.set()

    def _run(self) -> None:
        if self._payload:
            self._stopped.wait(self._seconds)
        while not self._stopped.is_set():
            failure = self._invoke()
            if failure and not self._stopped.is_set():
                print(f"a scheduled run failed: {failure}", file=sys.stderr, flush=True)
            self._stopped.wait(self._seconds)

    def _invoke(self) -> str | None:
        """Run once; the error, if there was one. A failed run does not end the schedule."""
        try:
            payload = json.dumps(self._payload or scheduled_event())
            invocation = self._function.invoke(payload.encode(), str(uuid4()))
        except (Throttled, OSError) as error:
            return str(error)
        return invocation.payload.decode() if invocation.error else None


def scheduled_event() -> dict[str, object]:
    """The event that the Scheduler sends when a schedule has no input of its own."""
    return {
        "version": "0",
        "id": str(uuid4()),
        "detail-type": "Scheduled Event",
        "source": "aws.scheduler",
        "account": ACCOUNT,
        "time": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "region": REGION,
        "resources": [f"arn:aws:scheduler:{REGION}:{ACCOUNT}:schedule/default/kiloclaw-sync"],
        "detail": "{}",
    }
