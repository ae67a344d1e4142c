"""What an event leaves in the log: metrics and lines, and nobody's data."""

import json
from typing import Any

import pytest

from shared.domain.errors import KVUnavailable, PinNotFound
from shared.runtime.telemetry import Telemetry, request_id


@pytest.fixture
def telemetry(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Telemetry:
    """Telemetry of a service of its own, because a service's logger keeps its first output."""
    monkeypatch.setenv("POWERTOOLS_METRICS_NAMESPACE", "KiloClaw")
    monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", request.node.name)
    return Telemetry()


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_metrics_are_one_line(telemetry: Telemetry, capsys: pytest.CaptureFixture[str]) -> None:
    """The line has the id of the event's request; the next event starts at zero."""
    with telemetry.event("request-1"):
        telemetry.count("ResolvedByPin")
        telemetry.seconds("CatalogAge", 1.5)
    with telemetry.event("request-2"):
        pass
    [line] = lines(capsys)
    assert line["ResolvedByPin"] == [1.0]
    assert line["CatalogAge"] == [1.5]
    assert line["correlation_id"] == "request-1"
    [directive] = line["_aws"]["CloudWatchMetrics"]
    units = {metric["Name"]: metric["Unit"] for metric in directive["Metrics"]}
    assert units == {"ResolvedByPin": "Count", "CatalogAge": "Seconds"}


@pytest.mark.parametrize(
    ("error", "name"),
    [
        (PinNotFound("ana has no pin"), "PinNotFound"),
        (KVUnavailable("down"), "KVUnavailable"),
        (ValueError("ana@example.com"), "Unexpected"),
    ],
)
def test_failures_are_counted_by_name(
    error: Exception, name: str, telemetry: Telemetry, capsys: pytest.CaptureFixture[str]
) -> None:
    """The error is raised on, and its message stays out of the log."""
    with pytest.raises(type(error)), telemetry.event("request-1"):
        raise error
    text = capsys.readouterr().out
    assert json.loads(text)[name] == [1.0]
    assert "ana" not in text


@pytest.mark.parametrize(("level", "written"), [("info", "INFO"), ("error", "ERROR")])
def test_a_line(
    level: Any, written: str, telemetry: Telemetry, capsys: pytest.CaptureFixture[str]
) -> None:
    """A line is JSON and has the id of the request."""
    with telemetry.event("request-1"):
        telemetry.log("sync run\n", level=level, seen=3)
    [line] = lines(capsys)
    expected = {"message": "sync run\n", "level": written, "correlation_id": "request-1"}
    assert line.items() >= (expected | {"seen": 3}).items()


def test_request_ids() -> None:
    """The id is read from Lambda's context; outside Lambda there is none."""

    class TelemetryContext:
        aws_request_id = "request-1"

    assert request_id(TelemetryContext()) == "request-1"
    assert request_id(None) is None
