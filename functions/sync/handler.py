"""Keeps the catalog in agreement with the KV: every minute, or when invoked with `{}`."""

from functools import cache
from os import environ
from typing import Any

from shared.catalog.runs import Trigger
from shared.domain.errors import InvalidRequest
from shared.edge.settings import Settings
from shared.edge.wiring import Dependencies, wire
from shared.usecases.synchronise import SyncReport, synchronise


@cache
def dependencies() -> Dependencies:
    return wire(Settings.sync(environ))


def handler(event: object, _context: object) -> dict[str, Any]:
    """The run's report. Raises InvalidRequest, CatalogUnavailable, KVUnavailable."""
    deps = dependencies()
    with deps.event(seconds=None):
        report = synchronise(
            catalog=deps.catalog,
            kv=deps.kv,
            cap=deps.settings.sync_max_new,
            trigger=_trigger(event),
        )
        _tell(report, deps)
        return report.as_json()


def _trigger(event: object) -> Trigger:
    if event == {}:
        return "direct"
    if isinstance(event, dict) and event.get("source") == "aws.scheduler":
        return "schedule"
    raise InvalidRequest(("payload", "must be {} or an event of the scheduler"))


def _tell(report: SyncReport, deps: Dependencies) -> None:
    deps.telemetry.count(f"Sync{report.outcome.title().replace('_', '')}")
    deps.telemetry.count("NewFindings", report.new_findings)
    deps.telemetry.logger.info(
        "sync run",
        run_id=str(report.run_id),
        outcome=report.outcome,
        seen=report.seen,
        inserted=report.inserted,
        deferred=report.deferred,
        rejected=len(report.rejected),
        duration_ms=report.duration_ms,
    )
