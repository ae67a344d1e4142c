"""One variant: what everybody gets, what is rolled out, what runs, and how latest moved."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from aws_lambda_powertools.event_handler import Response

from functions.console.application import ConsoleRouter
from functions.console.current import deps, path_value, show
from functions.console.distribution import Distribution, join_versions, make_distribution
from shared.catalog.transaction import Transaction
from shared.catalog.variants import Mirror, Promotion
from shared.catalog.versions import VersionFilter
from shared.domain.errors import CatalogUnavailable
from shared.domain.model import Version
from shared.domain.values import VARIANT, ImageTag, Variant

router = ConsoleRouter()

SHOWN_MOVES = 20
MOST_CHOICES = 200


@dataclass(frozen=True, slots=True)
class VariantDetail:
    """All that the page shows. `active` are the versions that may become latest, newest first.

    `versions` has every version that the pointer and its history name.
    """

    mirror: Mirror
    versions: Mapping[ImageTag, Version]
    moves: Sequence[Promotion]
    running: Distribution
    as_of: datetime | None
    active: Sequence[Version]

    @property
    def latest(self) -> Version | None:
        return self.versions.get(self.mirror.latest_tag or "")

    @property
    def candidate(self) -> Version | None:
        return self.versions.get(self.mirror.candidate_tag or "")

    @property
    def promotable(self) -> list[Version]:
        return [version for version in self.active if not version.is_latest]


@router.page("/console/variants/<variant>")
def show_variant(variant: str) -> Response[str]:
    """Show a variant, from its first published version on."""
    name = path_value(VARIANT, variant)
    try:
        with deps().catalog.transaction() as tx:
            detail = _read(tx, name)
    except CatalogUnavailable:
        detail = None
    return show("variant.html", variant=name, detail=detail)


def _read(tx: Transaction, variant: Variant) -> VariantDetail:
    mirror = tx.variants.get(variant)
    moves, shares = tx.variants.promotions(variant, SHOWN_MOVES), tx.fleet.distribution(variant)
    named = {mirror.latest_tag, mirror.candidate_tag, *(share.image_tag for share in shares)}
    versions = tx.versions.find_all(tag for tag in named if tag)
    wanted = VersionFilter("active", variant)
    return VariantDetail(
        mirror=mirror,
        versions=versions,
        moves=moves,
        running=make_distribution(variant, join_versions(shares, versions)),
        as_of=tx.fleet.as_of(),
        active=tx.versions.page(wanted, "published_at", "desc", None, MOST_CHOICES),
    )
