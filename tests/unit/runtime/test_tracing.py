"""Traces: recorded where there is a daemon, and not where there is none."""

from typing import Any

import pytest

from shared.runtime.tracing import DAEMON, traced


def _answer(event: Any, _context: object) -> dict[str, Any]:
    return {"event": event}


def test_without_a_daemon_nothing_is_recorded() -> None:
    """The handler is left as it is where traces have nowhere to go."""
    assert traced(_answer, {}) is _answer


def test_with_a_daemon_answers_pass_through(monkeypatch: pytest.MonkeyPatch) -> None:
    """A traced handler answers as before; here the tracer itself is switched off."""
    monkeypatch.setenv("POWERTOOLS_TRACE_DISABLED", "true")
    recorded = traced(_answer, {DAEMON: "127.0.0.1:2000"})
    assert recorded is not _answer
    assert recorded({"a": 1}, None) == {"event": {"a": 1}}
