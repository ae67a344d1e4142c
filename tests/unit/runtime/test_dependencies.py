"""What an event finds and leaves: its deadline, and what its stores answered."""

import json
from typing import Any

import pytest

from shared.catalog.connection import CATALOG_SECONDS, Database
from shared.kv import KV
from shared.runtime.dependencies import Dependencies, wire
from shared.runtime.event import EVENT_SECONDS
from shared.runtime.settings import Settings
from shared.runtime.telemetry import Telemetry

SETTINGS = Settings("host=nowhere", "kiloclaw")


@pytest.fixture
def deps(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Dependencies:
    """Dependencies as `wire` makes them, with nothing to connect to."""
    monkeypatch.setenv("POWERTOOLS_METRICS_NAMESPACE", "KiloClaw")
    monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", request.node.name)
    database = Database(lambda: "host=nowhere")
    return Dependencies(
        settings=SETTINGS, database=database, kv=KV(None, "t"), telemetry=Telemetry()
    )


def _lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_both_stores_share_the_deadline_of_an_event(deps: Dependencies) -> None:
    """Each event has six seconds of its own, of which three are for Postgres."""
    with deps.event("request-1"):
        first = deps.database.deadline
        first.extend(60)
    with deps.event("request-2"):
        deadline = deps.database.deadline
        assert deadline is deps.kv.table.deadline
        assert deadline is not first
        assert EVENT_SECONDS - 1 < deadline.left <= EVENT_SECONDS
        assert deadline.catalog_left == CATALOG_SECONDS
    with deps.event("request-3", 60):
        assert 59 < deps.kv.table.deadline.left <= 60


def test_error_answers_are_counted_though_the_event_succeeds(
    deps: Dependencies, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each store has its metric and a log line with the codes; each event starts at zero."""
    with deps.event("request-1"):
        deps.database.errors += ["42P01"]
        deps.kv.table.errors += ["AccessDeniedException", "ThrottlingException"]
        deps.kv.table.errors += ["AccessDeniedException"]
    with deps.event("request-2"):
        deps.telemetry.count("NotRecorded")
    catalog, kv, first, second = _lines(capsys)
    assert (catalog["level"], catalog["codes"]) == ("ERROR", ["42P01"])
    assert kv["codes"] == ["AccessDeniedException", "ThrottlingException"]
    assert kv["correlation_id"] == "request-1"
    assert (first["CatalogErrors"], first["KVErrors"]) == ([1.0], [3.0])
    assert second["NotRecorded"] == [1.0]
    assert not {"CatalogErrors", "KVErrors"} & second.keys()


def test_error_answers_are_counted_though_the_event_fails(
    deps: Dependencies, capsys: pytest.CaptureFixture[str]
) -> None:
    """Error answers are counted beside the failure itself."""
    deps.database.errors += ["42501"]
    with pytest.raises(ValueError, match="surprise"), deps.event("request-1"):
        raise ValueError("surprise")
    metrics = _lines(capsys)[-1]
    assert (metrics["CatalogErrors"], metrics["Unexpected"]) == ([1.0], [1.0])


def test_wiring_connects_to_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first statement opens the connection."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION"):
        monkeypatch.setenv(name, "local")
    wired = wire(SETTINGS)
    assert wired.settings is SETTINGS
    assert wired.kv.table.name == SETTINGS.table_name
    assert wired.database._connection is None
