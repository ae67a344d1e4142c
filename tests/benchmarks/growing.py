"""What a million pins cost: nothing that anybody would feel."""

from collections.abc import Callable, Iterator
from typing import Any

from shared.catalog.facts import FACTS
from shared.catalog.pins import PinFilter
from shared.catalog.transaction import Catalog
from shared.domain.values import rfc3339
from tests.benchmarks.measuring import Measurement, at_most, ratio_of_medians
from tests.support.stores import Stores

FEW, MANY = 1_000, 1_000_000
PAGE, LIMIT, ROUNDS = 10_000, 25, 300


def measure(few: Stores, many: Stores) -> Iterator[Measurement]:
    """The one statement of provisioning, and a page far down the list of pins."""
    _fill(few, FEW)
    _fill(many, MANY)
    small, large = few.database("provisioning", 1e6), many.database("provisioning", 1e6)
    statement = ratio_of_medians(
        lambda: large.read(FACTS, {"user": f"user-{MANY // 2}", "variant": "default"}),
        lambda: small.read(FACTS, {"user": f"user-{FEW // 2}", "variant": "default"}),
        ROUNDS,
    )
    catalog = many.catalog(seconds=1e6)
    far = ratio_of_medians(_page(catalog, _key(many)), _page(catalog, None), ROUNDS)
    for database in (small, large, catalog.database):
        database.close()
    yield at_most(
        f"provisioning's statement with {MANY:,} pins, against {FEW:,}", statement, 1.2
    )
    yield at_most(f"pins list, page {PAGE:,} against page 1", far, 1.5)


def _fill(stores: Stores, pins: int) -> None:
    with stores.server_connection() as connection:
        connection.execute(
            "INSERT INTO kiloclaw_available_versions"
            " (image_tag, openclaw_version, published_at) VALUES ('stable', '2026.11.1', now())"
        )
        connection.execute(
            "INSERT INTO kiloclaw_version_pins (user_id, image_tag, pinned_by, created_at)"
            " SELECT 'user-' || n, 'stable', 'bench', now() - n * interval '1 second'"
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


def _page(catalog: Catalog, after: tuple[str, str] | None) -> Callable[[], object]:
    def read() -> Any:
        with catalog.transaction() as tx:
            pins = tx.pins.page(PinFilter(), after, LIMIT)
            assert len(pins) == LIMIT
            return pins

    return read
