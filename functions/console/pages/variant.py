"""One variant: what everybody gets, what is rolled out, what runs, and how latest moved."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from aws_lambda_powertools.event_handler import Response
from pydantic import BaseModel

from functions.console.application import ConsoleRouter
from functions.console.current import deps, path_value, query, show
from functions.console.distribution import Distribution, join_versions, make_distribution
from functions.console.forms import FilledForm
from shared.catalog.runs import OpenFinding
from shared.catalog.transaction import Transaction
from shared.catalog.variants import Mirror, Promotion
from shared.catalog.version_pages import VersionFilter
from shared.domain.errors import CatalogUnavailable
from shared.domain.model import Version
from shared.domain.values import VARIANT, ImageTag, Variant
from shared.usecases.rollout import read_reports

router = ConsoleRouter()

SHOWN_MOVES = 20
MOST_CHOICES = 200


@dataclass(frozen=True, slots=True)
class VariantDetail:
    """All that the page shows. `active` are the versions that may become latest, newest first.

    `versions` has every version that the pointer names or an instance runs; `rollback_target`
    is what a rollback would make the latest.
    """

    mirror: Mirror
    versions: Mapping[ImageTag, Version]
    moves: Sequence[Promotion]
    rollback_target: ImageTag | None
    running: Distribution
    on_candidate: int
    as_of: datetime | None
    active: Sequence[Version]
    findings: Sequence[OpenFinding]

    @property
    def latest(self) -> Version | None:
        return self.versions.get(self.mirror.latest_tag or "")

    @property
    def candidate(self) -> Version | None:
        return self.versions.get(self.mirror.candidate_tag or "")

    @property
    def promotable(self) -> list[Version]:
        return [version for version in self.active if not version.is_latest]


class VariantPageQuery(BaseModel):
    """The version that the form of a new rollout offers first."""

    candidate: ImageTag | None = None


@router.page("/console/variants/<variant>")
def show_variant(variant: str) -> Response[str]:
    """Show a variant, from its first published version on."""
    candidate = query(VariantPageQuery).candidate
    filled = FilledForm({"image_tag": candidate}) if candidate else None
    return _show(path_value(VARIANT, variant), filled)


def show_variant_form(filled: FilledForm) -> Response[str]:
    """Show the page of a variant with its rollout's form, which has to be corrected."""
    return _show(path_value(VARIANT, str(filled.value("variant"))), filled)


def _show(variant: Variant, filled: FilledForm | None = None) -> Response[str]:
    detail, reports = None, None
    with suppress(CatalogUnavailable):
        with deps().catalog.transaction() as tx:
            detail = _read(tx, variant)
        reports = read_reports(detail.mirror.pointer, kv=deps().kv)
    return show("variant.html", filled=filled, variant=variant, detail=detail, reports=reports)


def _read(tx: Transaction, variant: Variant) -> VariantDetail:
    mirror = tx.variants.get(variant)
    shares = tx.fleet.distribution(variant)
    named = {mirror.latest_tag, mirror.candidate_tag, *(share.image_tag for share in shares)}
    versions = tx.versions.find_all(tag for tag in named if tag)
    wanted = VersionFilter("active", variant)
    return VariantDetail(
        mirror=mirror,
        versions=versions,
        moves=tx.variants.promotions(variant, SHOWN_MOVES),
        rollback_target=tx.variants.rollback_target(variant, mirror.latest_tag),
        running=make_distribution(variant, join_versions(shares, versions)),
        on_candidate=sum(
            share.instances for share in shares if share.image_tag == mirror.candidate_tag
        ),
        as_of=tx.fleet.as_of(),
        active=tx.versions.page(wanted, "published_at", "desc", None, MOST_CHOICES),
        findings=[one for one in tx.runs.findings_about(variant) if one.is_of_pointer],
    )
