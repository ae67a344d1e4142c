"""Lists: the rows of one page, and what the addresses of the others hold."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from shared.http import cursors
from shared.http.pages import PageQuery

Row = TypeVar("Row")


@dataclass(frozen=True, slots=True)
class Listing(Generic[Row]):
    """A page of a list. `next_cursor` is where the next one begins, None on the last."""

    query: PageQuery
    rows: Sequence[Row]
    next_cursor: str | None

    @property
    def parameters(self) -> dict[str, object]:
        """What the address of every page of this list holds: filters, order and length."""
        return self.query.model_dump(mode="json", exclude={"cursor"}, exclude_defaults=True)

    @property
    def is_first(self) -> bool:
        return self.query.cursor is None

    @property
    def is_filtered(self) -> bool:
        """Whether rows may be missing because of a filter."""
        return not self.parameters.keys() <= {"limit", "sort", "order"}


def list_page(
    query: PageQuery, rows: Sequence[Row], key: Callable[[Row], tuple[object, ...]]
) -> Listing[Row]:
    """A page of rows, of which one more than the limit was asked for; `key` places a row."""
    shown = rows[: query.limit]
    is_last = len(rows) <= len(shown)
    return Listing(
        query, shown, None if is_last else cursors.encode(query.mark, *key(shown[-1]))
    )


def options(nothing: str, names: Iterable[str | None]) -> list[tuple[str, str]]:
    """What a filter's select offers: `nothing` for no filter, then each name once, in order."""
    return [("", nothing), *((name, name) for name in sorted({*filter(None, names)}))]
