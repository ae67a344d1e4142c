"""Pages of lists: the query, where a page starts, and the cursor of the next one."""

import re
from collections.abc import Callable, Sequence
from typing import Annotated, Any, Generic, TypeVar

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PlainValidator,
    WithJsonSchema,
)
from pydantic_core import PydanticCustomError

from shared.http import cursors

Item = TypeVar("Item")
Row = TypeVar("Row")
PageT = TypeVar("PageT", bound="Page[Any]")

DEFAULT_LIMIT, MOST = 25, 100
CURSOR, LONGEST_CURSOR = "[A-Za-z0-9_-]+", 1024


def _limit(value: object) -> int:
    if isinstance(value, str) and re.fullmatch("[1-9][0-9]{0,2}", value):
        limit = int(value)
        if limit <= MOST:
            return limit
    raise PydanticCustomError("invalid_limit", f"must be a whole number from 1 to {MOST}")


def _cursor(value: object) -> str:
    if isinstance(value, str) and len(value) <= LONGEST_CURSOR and re.fullmatch(CURSOR, value):
        return value
    raise PydanticCustomError("invalid_cursor", "is not a cursor of this query")


Limit = Annotated[
    int,
    PlainValidator(_limit),
    WithJsonSchema({"type": "integer", "minimum": 1, "maximum": MOST}),
]
Cursor = Annotated[
    str,
    PlainValidator(_cursor),
    WithJsonSchema({"type": "string", "pattern": f"^{CURSOR}$", "maxLength": LONGEST_CURSOR}),
]


class PageQuery(BaseModel):
    """The query of a page. Each list has its own class, for a cursor belongs to one list."""

    model_config = ConfigDict(frozen=True)

    limit: Limit = Field(DEFAULT_LIMIT, description="How many items to answer at most.")
    cursor: Cursor | None = Field(
        None, description="Where to go on: the `next_cursor` of the page before."
    )

    @property
    def mark(self) -> str:
        """The hash of the list, its filters and its order."""
        wanted = self.model_dump(exclude={"limit", "cursor"})
        return cursors.fingerprint(type(self).__name__, wanted)


class Page(BaseModel, Generic[Item]):
    """A page of a list."""

    model_config = ConfigDict(from_attributes=True, extra="forbid", frozen=True)

    items: list[Item] = Field(description="The items of this page, in the list's order.")
    next_cursor: str | None = Field(
        description="The `cursor` of the next page; null on the last one."
    )


def start(query: PageQuery, *shape: cursors.Parse) -> Any:
    """The key to start after, parsed by its shape; None for the first page."""
    return cursors.decode(query.cursor, query.mark, shape)


def page(
    query: PageQuery,
    shape: type[PageT],
    rows: Sequence[Row],
    key: Callable[[Row], tuple[object, ...]],
    **more: object,
) -> PageT:
    """A page of rows, of which one more than the limit was asked for; `more` goes beside."""
    shown = rows[: query.limit]
    after = key(shown[-1]) if len(rows) > len(shown) else None
    return whole_page(query, shape, shown, after, **more)


def whole_page(
    query: PageQuery,
    shape: type[PageT],
    items: Sequence[object],
    after: tuple[object, ...] | None,
    **more: object,
) -> PageT:
    """A page of items, where `after` is known already."""
    following = cursors.encode(query.mark, *after) if after else None
    return shape.model_validate({"items": items, "next_cursor": following, **more})
