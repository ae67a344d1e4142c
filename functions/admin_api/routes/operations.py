"""Operations: the overview's numbers, the sync, and the audit log."""

from contextlib import suppress

from functions.admin_api.current import deps
from functions.admin_api.outputs.operations import (
    AuditPage,
    FindingPage,
    StatsOutput,
    SyncReportOutput,
    SyncRunOutput,
    SyncRunPage,
    VerificationOutput,
)
from functions.admin_api.queries import AuditQuery, FindingsQuery, SyncRunsQuery
from shared.catalog.audit import EventFilter
from shared.catalog.runs import Run
from shared.catalog.statistics import read_statistics
from shared.domain.errors import CatalogUnavailable, KVUnavailable
from shared.domain.values import rfc3339
from shared.http import cursors, pages
from shared.http.router import Router
from shared.usecases import sync
from shared.usecases.instances import count_instances
from shared.usecases.seal import seal_events
from shared.usecases.verify_audit import verify_audit

router = Router("operations")

RUN_SECONDS = 20.0
"""After these a run takes no more new versions."""
VERIFIED = 10_000
"""How many events a call verifies, or as many more as their oldest seal covers."""


@router.get("/v1/stats")
def get_stats() -> StatsOutput:
    """Count versions, pins and instances, and say how the last sync went."""
    with deps().catalog.transaction() as tx:
        statistics = read_statistics(tx.connection)
        runs = tx.runs.page(None, 1)
        counted = count_instances(tx, deps().kv)
        as_of = tx.fleet.as_of()
    return StatsOutput.of(statistics, counted, as_of, runs)


@router.post("/v1/sync", refuses=(KVUnavailable,))
def run_sync() -> SyncReportOutput:
    """Bring the catalog into agreement with the KV now, for up to 20 seconds."""
    report = sync.run_sync(
        catalog=deps().catalog,
        kv=deps().kv,
        cap=deps().settings.sync_max_new,
        trigger="api",
        seconds=RUN_SECONDS,
    )
    with suppress(CatalogUnavailable):  # the run is done; the next one seals
        seal_events(deps().catalog, 0)
    return SyncReportOutput.model_validate(report.as_json())


@router.get("/v1/sync-runs")
def list_sync_runs(query: SyncRunsQuery) -> SyncRunPage:
    """List the runs of the sync, the newest first."""
    after = pages.start(query, cursors.moment, cursors.uuid)
    with deps().catalog.transaction() as tx:
        runs = tx.runs.page(after, query.limit + 1)
    items = [SyncRunOutput.of(run) for run in runs[: query.limit]]
    following = _key(runs[query.limit - 1]) if runs[query.limit :] else None
    return pages.whole_page(query, SyncRunPage, items, following)


@router.get("/v1/sync-findings")
def list_sync_findings(query: FindingsQuery) -> FindingPage:
    """List what is wrong in the KV until it is mended, the newest first."""
    (after,) = pages.start(query, cursors.whole_number) or (None,)
    with deps().catalog.transaction() as tx:
        rows = tx.runs.findings(after, query.limit + 1)
    return pages.page(query, FindingPage, rows, lambda finding: (finding.id,))


@router.get("/v1/audit")
def list_audit_events(query: AuditQuery) -> AuditPage:
    """List who changed what, the newest first."""
    (after,) = pages.start(query, cursors.whole_number) or (None,)
    wanted = EventFilter(**query.model_dump(exclude={"limit", "cursor"}))
    with deps().catalog.transaction() as tx:
        rows = tx.audit.page(wanted, after, query.limit + 1)
    return pages.page(query, AuditPage, rows, lambda event: (event.id,))


@router.get("/v1/audit/verification")
def verify_log() -> VerificationOutput:
    """Recompute the seals of the newest events of the log, and name the first forged one."""
    return VerificationOutput.of(verify_audit(deps().catalog, events=VERIFIED, seconds=3))


def _key(run: Run) -> tuple[str, str]:
    return rfc3339(run.started_at), str(run.id)
