"""Pages of lists: the key to start after, and the cursor to go on with."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from functions.admin_api import cursor
from functions.admin_api.answers import Answer
from functions.admin_api.endpoints import Request
from functions.admin_api.models import Page
from functions.admin_api.requests import ListQuery

Row = TypeVar("Row")
Listing = TypeVar("Listing", bound=ListQuery)


def start(request: Request[Listing, None], *shape: cursor.Parse) -> Any:
    """The key to start after, parsed by its shape; None for the first page."""
    return cursor.decode(request.query.cursor, _mark(request), shape)


def page(
    request: Request[Listing, None],
    shape: type[Page[Any]],
    rows: Sequence[Row],
    key: Callable[[Row], tuple[object, ...]],
) -> Answer:
    """A page of rows, of which one more than the limit was asked for."""
    shown = rows[: request.query.limit]
    after = key(shown[-1]) if len(rows) > len(shown) else None
    return whole_page(request, shape, shown, after)


def whole_page(
    request: Request[Listing, None],
    shape: type[Page[Any]],
    items: Sequence[object],
    after: tuple[object, ...] | None,
) -> Answer:
    """A page of items, where `after` is known already."""
    following = cursor.encode(_mark(request), *after) if after else None
    return Answer(200, shape.model_validate({"items": items, "next_cursor": following}))


def _mark(request: Request[Listing, None]) -> str:
    wanted = request.query.model_dump(exclude={"limit", "cursor"})
    return cursor.fingerprint(request.path, wanted)
