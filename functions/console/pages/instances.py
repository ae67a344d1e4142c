"""Instances: who runs what, and what a restart or an upgrade would change."""

from contextlib import suppress
from datetime import datetime
from typing import Literal

from aws_lambda_powertools.event_handler import Response
from pydantic import Field

from functions.console.application import ConsoleRouter
from functions.console.current import deps, query, show
from functions.console.lists import Listing, list_page, options
from shared.catalog.fleet import InstanceFilter, InstanceSort
from shared.domain.errors import CatalogUnavailable
from shared.domain.model import Source
from shared.domain.values import USER_ID, ImageTag, Variant
from shared.http import cursors, pages
from shared.usecases.instances import InstanceQuery, InstanceState, list_instances

router = ConsoleRouter()

Ticked = Literal["true"]
LONGEST_SEARCH = 255


class InstanceListQuery(pages.PageQuery):
    """The filters of the page, and its order."""

    q: str | None = Field(None, max_length=LONGEST_SEARCH)
    image_tag: ImageTag | None = None
    variant: Variant | None = None
    source: Source | None = None
    drift: Ticked | None = None
    outdated: Ticked | None = None
    sort: InstanceSort = "user_id"


@router.page("/console/instances")
def show_instances() -> Response[str]:
    """List instances; without the catalog, say that the list is missing."""
    wanted = query(InstanceListQuery)
    variants: list[Variant] = []
    listing, as_of = None, None
    with suppress(CatalogUnavailable):
        with deps().catalog.transaction() as tx:
            variants = tx.fleet.variants()
        listing, as_of = _read(wanted)
    return show(
        "instances.html",
        query=wanted,
        variants=options("Any variant", [*variants, wanted.variant]),
        listing=listing,
        as_of=as_of,
    )


def _read(wanted: InstanceListQuery) -> tuple[Listing[InstanceState], datetime | None]:
    after = pages.start(wanted, cursors.moment, USER_ID.parse)
    found = list_instances(
        _use_case_query(wanted), after, wanted.limit + 1, catalog=deps().catalog, kv=deps().kv
    )
    listing = list_page(
        wanted, found.items, lambda row: (row.instance.resolved_at, row.instance.user_id)
    )
    return listing, found.as_of


def _use_case_query(wanted: InstanceListQuery) -> InstanceQuery:
    return InstanceQuery(
        InstanceFilter(wanted.image_tag, wanted.variant, wanted.source, wanted.q),
        drift=wanted.drift is not None,
        outdated=wanted.outdated is not None,
        sort=wanted.sort,
    )
