"""Operations: the overview's numbers, the sync, and the log."""

from functions.admin_api import cursor, paging, reports
from functions.admin_api.answers import Answer
from functions.admin_api.endpoints import Request, endpoint
from functions.admin_api.requests import AuditQuery, ListQuery, NoQuery
from shared.catalog.audit import EventFilter
from shared.catalog.runs import Run
from shared.catalog.statistics import Statistics, read_statistics
from shared.domain.errors import KVUnavailable
from shared.domain.values import rfc3339
from shared.usecases import sync

RUN_SECONDS = 20.0
"""After these a run takes no more new versions."""


@endpoint("GET", "/v1/stats", answers={200: reports.Stats})
def get_stats(request: Request[NoQuery, None]) -> Answer:
    """How many versions and pins there are, and how the last sync went."""
    with request.deps.catalog.transaction() as tx:
        statistics = read_statistics(tx.connection)
        runs = tx.runs.page(None, 1)
    return Answer(200, _stats(statistics, runs))


@endpoint("POST", "/v1/sync", answers={200: reports.SyncReport}, refusals=(KVUnavailable,))
def run_sync(request: Request[NoQuery, None]) -> Answer:
    """Bring the catalog into agreement with the KV now; the run's report."""
    deps = request.deps
    report = sync.run_sync(
        catalog=deps.catalog,
        kv=deps.kv,
        cap=deps.settings.sync_max_new,
        trigger="api",
        seconds=RUN_SECONDS,
    )
    return Answer(200, reports.SyncReport.model_validate(report.as_json()))


@endpoint("GET", "/v1/sync-runs", query=ListQuery, answers={200: reports.SyncRunPage})
def list_sync_runs(request: Request[ListQuery, None]) -> Answer:
    """List the runs of the sync, the newest first."""
    after = paging.start(request, cursor.moment, cursor.uuid)
    limit = request.query.limit
    with request.deps.catalog.transaction() as tx:
        runs = tx.runs.page(after, limit + 1)
    items = [_run(run) for run in runs[:limit]]
    following = (rfc3339(items[-1].started_at), items[-1].run_id) if runs[limit:] else None
    return paging.whole_page(request, reports.SyncRunPage, items, following)


@endpoint("GET", "/v1/sync-findings", query=ListQuery, answers={200: reports.FindingPage})
def list_sync_findings(request: Request[ListQuery, None]) -> Answer:
    """List what is wrong in the KV until it is mended, the newest first."""
    (after,) = paging.start(request, cursor.whole_number) or (None,)
    with request.deps.catalog.transaction() as tx:
        rows = tx.runs.findings(after, request.query.limit + 1)
    return paging.page(request, reports.FindingPage, rows, lambda finding: (finding.id,))


@endpoint("GET", "/v1/audit", query=AuditQuery, answers={200: reports.AuditPage})
def list_audit_events(request: Request[AuditQuery, None]) -> Answer:
    """List who changed what, the newest first."""
    query = request.query
    (after,) = paging.start(request, cursor.whole_number) or (None,)
    wanted = EventFilter(query.actor, query.action, query.subject)
    with request.deps.catalog.transaction() as tx:
        rows = tx.audit.page(wanted, after, query.limit + 1)
    return paging.page(request, reports.AuditPage, rows, lambda event: (event.id,))


def _run(run: Run) -> reports.SyncRun:
    return reports.SyncRun.model_validate(
        {
            **run.report.as_json(),
            "started_at": run.started_at,
            "finished_at": run.finished_at,
            "trigger": run.trigger,
        }
    )


def _stats(counted: Statistics, runs: list[Run]) -> reports.Stats:
    return reports.Stats(
        versions=reports.VersionCounts(
            total=counted.versions_total,
            active=counted.versions_active,
            deprecated=counted.versions_deprecated,
            disabled=counted.versions_disabled,
            variants=counted.variants,
        ),
        pins=reports.PinCounts(
            total=counted.pins_total,
            suspended=counted.pins_suspended,
            expired=counted.pins_expired,
            expiring_soon=counted.pins_expiring_soon,
        ),
        last_sync=_run(runs[0]) if runs else None,
    )
