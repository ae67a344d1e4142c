"""EventBridge Scheduler: runs the sync every minute."""

import json
import sys
from datetime import UTC, datetime
from threading import Event, Thread
from typing import Self
from uuid import uuid4

from infra.local.aws.environments import LocalFunction, Throttled

ACCOUNT, REGION = "123456789012", "us-east-1"


class Schedule:
    """Invokes a function now and then every `seconds`, until stopped."""

    def __init__(self, function: LocalFunction, seconds: float) -> None:
        self._function = function
        self._seconds = seconds
        self._stopped = Event()

    @classmethod
    def start(cls, function: LocalFunction, seconds: float = 60.0) -> Self:
        schedule = cls(function, seconds)
        Thread(target=schedule._run, daemon=True).start()
        return schedule

    def stop(self) -> None:
        self._stopped.set()

    def _run(self) -> None:
        while not self._stopped.is_set():
            failure = self._invoke()
            if failure and not self._stopped.is_set():
                print(f"scheduled sync failed: {failure}", file=sys.stderr, flush=True)
            self._stopped.wait(self._seconds)

    def _invoke(self) -> str | None:
        """What went wrong, if something did: a failing run must not end the schedule."""
        try:
            invocation = self._function.invoke(json.dumps(scheduled_event()).encode())
        except (Throttled, OSError) as error:
            return str(error)
        return invocation.payload.decode() if invocation.error else None


def scheduled_event() -> dict[str, object]:
    """What the Scheduler sends where no input of one's own is set."""
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
