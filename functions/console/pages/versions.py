"""The versions: all of them in a table, sorted and filtered."""

from contextlib import suppress
from typing import Any

from aws_lambda_powertools.event_handler import Response
from pydantic import Field

from functions.console.application import ConsoleRouter
from functions.console.current import deps, query, show
from functions.console.lists import list_page, options
from shared.catalog.version_pages import Order, Sort, VersionFilter
from shared.domain.errors import CatalogUnavailable
from shared.domain.model import Status
from shared.domain.values import Variant
from shared.http import version_pages
from shared.http.pages import PageQuery

router = ConsoleRouter()

MOST_VARIANTS = 100
LONGEST_SEARCH = 255


class VersionListQuery(PageQuery):
    """Which versions, in which order."""

    q: str | None = Field(None, max_length=LONGEST_SEARCH)
    status: Status | None = None
    variant: Variant | None = None
    sort: Sort = "published_at"
    order: Order = "desc"


@router.page("/console/versions")
def show_versions() -> Response[str]:
    """Show what is not retired; without the catalog, say that the versions are missing."""
    wanted = query(VersionListQuery)
    after = version_pages.start(wanted, wanted.sort)
    content: dict[str, Any] = {"listing": None}
    with suppress(CatalogUnavailable):
        content = _read(wanted, after)
    return show("versions.html", **content)


def _read(wanted: VersionListQuery, after: Any) -> dict[str, Any]:
    """Read a page of versions, what is counted of each, and the variants to choose from."""
    chosen = VersionFilter(wanted.status, wanted.variant, wanted.q)
    with deps().catalog.transaction() as tx:
        rows = tx.versions.page(chosen, wanted.sort, wanted.order, after, wanted.limit + 1)
        shares = tx.fleet.shares([version.image_tag for version in rows[: wanted.limit]])
        variants = [mirror.variant for mirror in tx.variants.page(None, MOST_VARIANTS)]
    return {
        "listing": list_page(wanted, rows, lambda row: version_pages.key(row, wanted.sort)),
        "shares": shares,
        "variants": options("Any", [*variants, wanted.variant]),
    }
