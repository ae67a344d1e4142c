"""The search box: users, versions and variants from anywhere."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from aws_lambda_powertools.event_handler import Response
from pydantic import BaseModel, Field

from functions.console.application import ConsoleRouter
from functions.console.current import deps, query, show
from functions.console.rendering import quote_path, redirect
from shared.catalog.search import ExactMatch, FoundUser, find_exactly, find_users, find_variants
from shared.catalog.transaction import Transaction
from shared.catalog.version_pages import VersionFilter
from shared.domain.errors import CatalogUnavailable, InvalidValue
from shared.domain.model import Version
from shared.domain.values import USER_ID, UserId, Variant

router = ConsoleRouter()

SHOWN = 10
"""So many of each kind."""
LONGEST = 255
SEARCH_SECONDS = 5.0
"""How long looking through the ids of millions may take."""


class SearchQuery(BaseModel):
    """What a person is looking for."""

    q: str = Field("", max_length=LONGEST)


@dataclass(frozen=True, slots=True)
class Found:
    """What there is, of each kind one more than is shown. `unknown_user`: a possible id."""

    users: Sequence[FoundUser]
    versions: Sequence[Version]
    variants: Sequence[Variant]
    unknown_user: UserId | None

    @property
    def is_empty(self) -> bool:
        return not (self.users or self.versions or self.variants)


@router.page("/console/search")
def search() -> Response[str]:
    """Lead straight to what has exactly this name, else show what is like it."""
    text = query(SearchQuery).q.strip()
    found = None
    with suppress(CatalogUnavailable), deps().catalog.transaction() as tx:
        exact = find_exactly(tx.connection, text)
        if exact.tag_of_digest:
            return redirect(f"/console/versions/{exact.tag_of_digest}")
        if exact.is_tag != exact.is_user:
            return redirect(_address(text, exact))
        found = _find(text, exact, tx) if text else None
    return show("search.html", text=text, found=found, shown=SHOWN)


def _address(text: str, exact: ExactMatch) -> str:
    section = "versions" if exact.is_tag else "users"
    return f"/console/{section}/{quote_path(text)}"


def _find(text: str, exact: ExactMatch, tx: Transaction) -> Found:
    tx.extend_deadline(SEARCH_SECONDS)
    return Found(
        find_users(tx.connection, text, SHOWN + 1),
        tx.versions.page(VersionFilter(q=text), "published_at", "desc", None, SHOWN + 1),
        find_variants(tx.connection, text, SHOWN + 1),
        None if exact.is_user else _as_user_id(text),
    )


def _as_user_id(text: str) -> UserId | None:
    try:
        return USER_ID.parse(text)
    except InvalidValue:
        return None
