"""Variants: where each points."""

from collections.abc import Sequence

from functions.admin_api.current import deps
from functions.admin_api.fields import VariantPath
from functions.admin_api.inputs import VariantsQuery
from functions.admin_api.outputs.variants import (
    PromotionOutput,
    VariantDetailOutput,
    VariantOutput,
    VariantPage,
)
from shared.catalog.transaction import Transaction
from shared.catalog.variants import Mirror
from shared.domain.errors import VariantNotFound
from shared.domain.values import VARIANT
from shared.http import pages
from shared.http.router import Roles, Router

router = Router("variants")
READERS: Roles = ("viewer", "publisher")


@router.get("/v1/variants", requires=READERS)
def list_variants(query: VariantsQuery) -> VariantPage:
    """List variants by name, each from its first published version on."""
    (after,) = pages.start(query, VARIANT.parse) or (None,)
    with deps().catalog.transaction() as tx:
        mirrors = tx.variants.page(after, query.limit + 1)
        items = described(tx, mirrors[: query.limit])
    following = (items[-1].variant,) if len(mirrors) > query.limit else None
    return pages.whole_page(query, VariantPage, items, following)


@router.get("/v1/variants/<variant>", requires=READERS, refuses=(VariantNotFound,))
def get_variant(variant: VariantPath) -> VariantDetailOutput:
    """Show a variant, and the latest hundred moves of its latest."""
    with deps().catalog.transaction() as tx:
        [shown] = described(tx, [tx.variants.get(variant)])
        promotions = tx.variants.promotions(variant)
    moves = [PromotionOutput.model_validate(promotion) for promotion in promotions]
    return VariantDetailOutput(**dict(shown), promotions=moves).with_etag(shown.etag)


router.planned("POST", "/v1/variants/<variant>/rollback")
router.planned("PUT", "/v1/variants/<variant>/rollout")
router.planned("DELETE", "/v1/variants/<variant>/rollout")
router.planned("POST", "/v1/variants/<variant>/rollout/resume")


def described(tx: Transaction, mirrors: Sequence[Mirror]) -> list[VariantOutput]:
    """The variants with all versions that they name, which one statement reads."""
    tags = [
        tag for mirror in mirrors for tag in (mirror.latest_tag, mirror.candidate_tag) if tag
    ]
    versions = tx.versions.find_all(tags)
    return [VariantOutput.of(mirror, versions) for mirror in mirrors]
