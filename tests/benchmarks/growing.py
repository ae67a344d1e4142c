"""What a million pins cost: nothing that anybody would feel."""

from collections.abc import Callable, Iterator
from statistics import median
from typing import Any

from shared.catalog.facts import FACTS
from shared.catalog.pin_pages import PinFilter, State
from shared.catalog.statistics import read_statistics
from shared.catalog.transaction import Catalog
from shared.domain.values import rfc3339
from tests.benchmarks.measuring import Measurement, at_most, ratio_of_medians, seconds
from tests.support.stores import Stores

FEW, MANY = 1_000, 1_000_000
PAGE, LIMIT, ROUNDS = 10_000, 25, 300
PAGE_MS, SEARCH_MS, STATISTICS_MS = 20, 500, 250
STATES: tuple[State, ...] = ("applied", "suspended", "expired")


def measure(few: Stores, many: Stores) -> Iterator[Measurement]:
    """The one statement of provisioning, lists of pins, and the statistics."""
    _fill(few, FEW)
    _fill(many, MANY)
    yield _statement(few, many)
    catalog = many.catalog(seconds=1e6)
    far = ratio_of_medians(_page(catalog, _key(many)), _page(catalog, None), ROUNDS)
    yield at_most(f"pins list, page {PAGE:,} against page 1", far, 1.5)
    for state in STATES:
        milliseconds = _milliseconds(_page(catalog, None, PinFilter(state=state)), 50)
        yield at_most(f"pins list, state={state}, {MANY:,} pins", milliseconds, PAGE_MS, "ms")
    milliseconds = _milliseconds(_page(catalog, None, PinFilter(stale=True)), 50)
    yield at_most(f"pins list, stale, {MANY:,} pins", milliseconds, PAGE_MS, "ms")
    nothing = PinFilter(q="nobody has this")
    milliseconds = _milliseconds(_page(catalog, None, nothing, found=0), 5)
    yield at_most(f"pins list, q that is in none of {MANY:,}", milliseconds, SEARCH_MS, "ms")
    milliseconds = _milliseconds(lambda: _count(catalog), 10)
    yield at_most(f"statistics, {MANY:,} pins", milliseconds, STATISTICS_MS, "ms")
    catalog.database.close()


def _statement(few: Stores, many: Stores) -> Measurement:
    small, large = few.database("provisioning", 1e6), many.database("provisioning", 1e6)
    ratio = ratio_of_medians(
        lambda: large.read(FACTS, {"user": f"user-{MANY // 2}", "variant": "default"}),
        lambda: small.read(FACTS, {"user": f"user-{FEW // 2}", "variant": "default"}),
        ROUNDS,
    )
    small.close()
    large.close()
    return at_most(f"provisioning's statement with {MANY:,} pins, against {FEW:,}", ratio, 1.2)


def _fill(stores: Stores, pins: int) -> None:
    """Pin users to a few versions; 1 % of the pins are suspended, the oldest 2 % expired."""
    with stores.server_connection() as connection:
        connection.execute(
            "INSERT INTO kiloclaw_available_versions"
            "       (image_tag, openclaw_version, published_at, status)"
            " SELECT 'tag-' || n, '2026.11.1', now(),"
            "        CASE WHEN n <= 1000 THEN 'disabled' ELSE 'active' END"
            "   FROM generate_series(1, 2000) AS n"
        )
        connection.execute(
            "INSERT INTO kiloclaw_version_pins"
            "       (user_id, image_tag, pinned_by, reason, created_at, expires_at)"
            " SELECT 'user-' || n,"
            "        'tag-' || CASE WHEN n %% 100 = 0 THEN 7 ELSE 1001 + n %% 5 END,"
            "        'bench', 'Needs the fix of build ' || n, now() - n * interval '10 s',"
            "        CASE WHEN n > 0.98 * %(pins)s THEN now()"
            "             WHEN n %% 3 = 0 THEN now() + n * interval '1 minute' END"
            "   FROM generate_series(1, %(pins)s) AS n",
            {"pins": pins},
        )
        connection.execute("VACUUM ANALYZE")


def _key(stores: Stores) -> tuple[str, str]:
    """Where the page begins: behind the last pin of the one before."""
    with stores.server_connection() as connection:
        [(created_at, user_id)] = connection.execute(
            "SELECT created_at, user_id FROM kiloclaw_version_pins"
            " ORDER BY created_at DESC, user_id DESC OFFSET %(rows)s LIMIT 1",
            {"rows": (PAGE - 1) * LIMIT - 1},
        ).fetchall()
    return rfc3339(created_at), user_id


def _page(
    catalog: Catalog,
    after: tuple[str, str] | None,
    wanted: PinFilter | None = None,
    *,
    found: int = LIMIT,
) -> Callable[[], object]:
    def read() -> Any:
        with catalog.transaction() as tx:
            pins = tx.pins.page(wanted or PinFilter(), after, LIMIT)
            assert len(pins) == found
            return pins

    return read


def _count(catalog: Catalog) -> None:
    with catalog.transaction() as tx:
        assert read_statistics(tx.connection).pins_total == MANY


def _milliseconds(action: Callable[[], object], rounds: int) -> float:
    action()
    return median(seconds(action) for _ in range(rounds)) * 1000
