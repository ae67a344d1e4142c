"""Variants: where each points."""

from collections.abc import Iterable

from functions.admin_api import models, paging
from functions.admin_api.answers import Answer
from functions.admin_api.endpoints import Request, endpoint
from functions.admin_api.requests import ListQuery, NoQuery
from shared.catalog.transaction import Transaction
from shared.catalog.variants import Mirror
from shared.domain.errors import VariantNotFound
from shared.domain.values import VARIANT, ImageTag


@endpoint("GET", "/v1/variants", query=ListQuery, answers={200: models.VariantPage})
def list_variants(request: Request[ListQuery, None]) -> Answer:
    """List variants by name, each from its first published version on."""
    (after,) = paging.start(request, VARIANT.parse) or (None,)
    limit = request.query.limit
    with request.deps.catalog.transaction() as tx:
        mirrors = tx.variants.page(after, limit + 1)
        items = describe(tx, mirrors[:limit])
    following = (items[-1].variant,) if len(mirrors) > limit else None
    return paging.whole_page(request, models.VariantPage, items, following)


@endpoint(
    "GET",
    "/v1/variants/{variant}",
    answers={200: models.VariantDetail},
    refusals=(VariantNotFound,),
)
def get_variant(request: Request[NoQuery, None]) -> Answer:
    """One variant, and the latest hundred moves of its latest."""
    name = request.values["variant"]
    with request.deps.catalog.transaction() as tx:
        [variant] = describe(tx, [tx.variants.get(name)])
        promotions = tx.variants.promotions(name)
    shape = models.VariantDetail
    return Answer(200, shape.model_validate({**dict(variant), "promotions": promotions}))


def describe(tx: Transaction, mirrors: Iterable[Mirror]) -> list[models.Variant]:
    """The mirrors with the versions that they name."""
    return [
        models.Variant(
            variant=mirror.variant,
            latest=_version(tx, mirror.latest_tag),
            candidate=_version(tx, mirror.candidate_tag),
            rollout=_rollout(mirror),
            revision=mirror.revision,
            updated_at=mirror.updated_at,
        )
        for mirror in mirrors
    ]


def _version(tx: Transaction, tag: ImageTag | None) -> models.Version | None:
    return models.Version.model_validate(tx.versions.find(tag)) if tag else None


def _rollout(mirror: Mirror) -> models.Rollout | None:
    percent = mirror.rollout_percent
    return None if percent is None else models.Rollout(percent=percent, held=False, brake=None)
