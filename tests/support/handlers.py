"""Handlers for tests of the local environments; some misbehave on purpose."""

import os
import signal
import time
from typing import Any

calls = 0


def echo(event: Any, context: Any) -> dict[str, Any]:
    """The event, the process, and how many events that process has handled."""
    global calls  # noqa: PLW0603  it shows that an environment outlives an event
    calls += 1
    return {
        "event": event,
        "pid": os.getpid(),
        "calls": calls,
        "left_ms": context.get_remaining_time_in_millis(),
        "arn": context.invoked_function_arn,
        "environment": dict(os.environ),
    }


def rest(event: Any, context: Any) -> int:
    time.sleep(event["seconds"])
    return os.getpid()


def fail(event: Any, context: Any) -> None:
    raise ValueError("on purpose")


def crash(event: Any, context: Any) -> int:
    if event.get("crash"):
        os.kill(os.getpid(), signal.SIGKILL)
    return os.getpid()
