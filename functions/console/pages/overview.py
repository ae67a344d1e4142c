"""The overview: what everybody gets, what is running, and what needs a look."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from aws_lambda_powertools.event_handler import Response
from pydantic import BaseModel

from functions.console.application import ConsoleRouter
from functions.console.current import deps, query, show
from functions.console.distribution import (
    Distribution,
    Running,
    join_versions,
    make_distribution,
)
from functions.console.figures import read_figures
from functions.console.rendering import redirect
from shared.catalog.audit import Event, EventFilter
from shared.catalog.fleet import Share
from shared.catalog.runs import OpenFinding, Run
from shared.catalog.statistics import Statistics, read_statistics
from shared.catalog.transaction import Transaction
from shared.catalog.variants import Mirror, Promotion
from shared.domain.errors import CatalogUnavailable
from shared.domain.model import Version
from shared.domain.pointer import Reports
from shared.domain.values import DEFAULT_VARIANT, ImageTag, Variant
from shared.usecases.instances import FleetCounts
from shared.usecases.rollout import read_reports

router = ConsoleRouter()

SHOWN = 5
"""So many findings, and latest changes."""
MOST_VARIANTS = 20
LATEST_RUNS = 5
QUIET = timedelta(hours=1)


class OverviewQuery(BaseModel):
    """The variant whose running images are shown."""

    variant: Variant | None = None


@dataclass(frozen=True, slots=True)
class Everybody:
    """What everybody of a variant gets who has no pin, and since when.

    `reports` are read for a held rollout alone.
    """

    mirror: Mirror
    latest: Version | None
    candidate: Version | None
    moved: Promotion | None
    instances: int
    reports: Reports | None


@dataclass(frozen=True, slots=True)
class Overview:
    """All that the page shows. `as_of` is the age of what is counted about instances.

    `on_disabled` is how many instances run a disabled version.
    """

    statistics: Statistics
    counts: FleetCounts
    as_of: datetime | None
    on_disabled: int
    everybody: Sequence[Everybody]
    distribution: Distribution
    last_run: Run | None
    findings: Sequence[OpenFinding]
    events: Sequence[Event]
    now: datetime

    @property
    def is_quiet(self) -> bool:
        """Whether no start was recorded for so long that the fleet's copy may lag."""
        return self.as_of is not None and self.now - self.as_of > QUIET


@router.public("/")
@router.public("/console/")
def lead_to_console() -> Response[str]:
    return redirect("/console")


@router.page("/console")
def show_overview() -> Response[str]:
    """Show the overview; without the catalog, say that its figures are missing."""
    wanted = query(OverviewQuery)
    try:
        with deps().catalog.transaction() as tx:
            overview = _read(tx, wanted.variant)
    except CatalogUnavailable:
        return show("overview.html", overview=None)
    return show("overview.html", overview=overview)


def _read(tx: Transaction, variant: Variant | None) -> Overview:
    mirrors = tx.variants.page(None, MOST_VARIANTS)
    events = tx.audit.page(EventFilter(), None, SHOWN)
    newest = events[0].id if events else None
    figures = read_figures(tx, deps().kv, deps().database, newest)
    versions = tx.versions.find_all(_tags(mirrors, figures.shares))
    running = join_versions(figures.shares, versions)
    unknown = tx.fleet.variants_of([one.image_tag for one in running if one.version is None])
    chosen = variant or (mirrors[0].variant if mirrors else DEFAULT_VARIANT)
    names = {chosen, *(mirror.variant for mirror in mirrors)}
    shares = {name: _of(name, running, unknown) for name in names}
    return Overview(
        statistics=read_statistics(tx.connection),
        counts=figures.counts,
        as_of=figures.as_of,
        on_disabled=sum(
            one.instances
            for one in running
            if one.version is not None and one.version.status == "disabled"
        ),
        everybody=_everybody(
            mirrors, versions, tx.variants.newest_promotions(), shares, _read_held(mirrors)
        ),
        distribution=make_distribution(chosen, shares[chosen]),
        last_run=_find_last_run(tx),
        findings=tx.runs.findings(None, SHOWN),
        events=events,
        now=tx.now(),
    )


def _find_last_run(tx: Transaction) -> Run | None:
    """Find the newest run, if possible one that did not make way for another."""
    runs = tx.runs.page(None, LATEST_RUNS)
    done = (run for run in runs if run.report.outcome != "skipped_locked")
    return next(done, runs[0] if runs else None)


def _tags(mirrors: Iterable[Mirror], shares: Iterable[Share]) -> set[ImageTag]:
    named = (tag for one in mirrors for tag in (one.latest_tag, one.candidate_tag) if tag)
    return {*named, *(share.image_tag for share in shares)}


def _everybody(
    mirrors: Iterable[Mirror],
    versions: Mapping[ImageTag, Version],
    moves: Mapping[Variant, Promotion],
    shares: Mapping[Variant, Sequence[Running]],
    reports: Mapping[Variant, Reports],
) -> list[Everybody]:
    return [
        Everybody(
            mirror,
            versions.get(mirror.latest_tag or ""),
            versions.get(mirror.candidate_tag or ""),
            moves.get(mirror.variant),
            sum(one.instances for one in shares[mirror.variant]),
            reports.get(mirror.variant),
        )
        for mirror in mirrors
    ]


def _read_held(mirrors: Iterable[Mirror]) -> dict[Variant, Reports]:
    """Read the reports of held rollouts, as far as the KV answers."""
    found: dict[Variant, Reports] = {}
    for mirror in mirrors:
        if mirror.held:
            reports = read_reports(mirror.pointer, kv=deps().kv)
            if reports is None:
                break
            found[mirror.variant] = reports
    return found


def _of(
    variant: Variant, running: Iterable[Running], unknown: Mapping[ImageTag, Variant]
) -> list[Running]:
    """Choose what a variant runs. `unknown` has the variants of tags not in the catalog."""
    return [
        one
        for one in running
        if variant
        == (one.version.variant if one.version is not None else unknown.get(one.image_tag))
    ]
