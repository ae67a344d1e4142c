"""The sync: what its runs did, what people have to mend, and a run now."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Annotated
from uuid import UUID

from aws_lambda_powertools.event_handler import Response
from pydantic import Field

from functions.console.application import ConsoleRouter
from functions.console.current import deps, query, show
from functions.console.lists import Listing, list_page
from functions.console.rendering import redirect
from shared.catalog.runs import OpenFinding, Run
from shared.catalog.transaction import Transaction
from shared.domain.errors import CatalogUnavailable
from shared.domain.model import Version
from shared.domain.values import ImageTag, rfc3339
from shared.http import cursors, pages
from shared.usecases.sync import run_sync

router = ConsoleRouter()

ADDRESS = "/console/sync"
RUN_SECONDS = 20.0
"""After these a run takes no more new versions."""
SHOWN_FINDINGS = 25
"""How many findings a page has."""


class SyncPageQuery(pages.PageQuery):
    """The run whose report is on top, and where both lists begin."""

    run: UUID | None = None
    findings_before: Annotated[int, Field(ge=0, le=cursors.BIGGEST)] | None = None

    @property
    def mark(self) -> str:
        """The list of runs is the same whatever else the page shows."""
        return cursors.fingerprint(type(self).__name__, None)


@dataclass(frozen=True, slots=True)
class SyncPage:
    """All that the page shows. `versions` are those that findings name."""

    chosen: Run | None
    runs: Listing[Run]
    findings: Sequence[OpenFinding]
    more_findings: bool
    versions: Mapping[ImageTag, Version]


@router.page(ADDRESS)
def show_sync() -> Response[str]:
    """Show runs and findings; without the catalog, say that they are missing."""
    wanted = query(SyncPageQuery)
    page = None
    with suppress(CatalogUnavailable), deps().catalog.transaction() as tx:
        page = _read(tx, wanted)
    return show("sync.html", query=wanted, page=page)


@router.action(ADDRESS)
def sync_now() -> Response[str]:
    """Run the sync, then show its report."""
    report = run_sync(
        catalog=deps().catalog,
        kv=deps().kv,
        cap=deps().settings.sync_max_new,
        trigger="api",
        seconds=RUN_SECONDS,
    )
    return redirect(ADDRESS, run=str(report.run_id))


def _read(tx: Transaction, wanted: SyncPageQuery) -> SyncPage:
    runs = tx.runs.page(pages.start(wanted, cursors.moment, cursors.uuid), wanted.limit + 1)
    findings = tx.runs.findings(wanted.findings_before, SHOWN_FINDINGS + 1)
    shown = findings[:SHOWN_FINDINGS]
    return SyncPage(
        chosen=tx.runs.find(wanted.run) if wanted.run else None,
        runs=list_page(wanted, runs, lambda run: (rfc3339(run.started_at), run.id)),
        findings=shown,
        more_findings=len(findings) > len(shown),
        versions=tx.versions.find_all({finding.image_tag for finding in shown}),
    )
