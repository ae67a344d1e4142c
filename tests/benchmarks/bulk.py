"""What many pins at once cost, and what they cost others meanwhile."""

from collections.abc import Iterator
from functools import partial
from statistics import median

from shared.catalog.transaction import Catalog
from shared.domain.model import Initiator, PinContent
from shared.usecases.bulk_pins import MOST_ITEMS, BulkItem, change_pins
from tests.benchmarks.measuring import Measurement, at_most, seconds
from tests.support.stores import Stores

PINS = 1_000_000
ROUNDS = 7
BULK_MS = 300
BY = Initiator("bench")


def measure(stores: Stores) -> Iterator[Measurement]:
    """A bulk that makes pins and one that replaces them, beside a million others."""
    _fill(stores)
    catalog = stores.catalog(seconds=1e6)
    for name, first in (("new", PINS), ("replaced", 0)):
        rounds = [first + MOST_ITEMS * number for number in range(ROUNDS)]
        milliseconds = median(seconds(partial(_bulk, catalog, n)) for n in rounds) * 1000
        yield at_most(f"bulk of {MOST_ITEMS:,} pins, {name}", milliseconds, BULK_MS, "ms")
    catalog.database.close()


def _bulk(catalog: Catalog, first: int) -> None:
    content = PinContent("tag-2", "benchmark", None)
    items = [BulkItem(f"user-{first + n}", content, "benchmark") for n in range(MOST_ITEMS)]
    results = change_pins(items, "atomic", by=BY, catalog=catalog)
    assert {result.status for result in results} == {"pinned"}


def _fill(stores: Stores) -> None:
    with stores.server_connection() as connection:
        connection.execute(
            "INSERT INTO kiloclaw_available_versions"
            "       (image_tag, openclaw_version, published_at)"
            " SELECT 'tag-' || n, '2026.11.1', now() FROM generate_series(1, 50) AS n"
        )
        connection.execute(
            "INSERT INTO kiloclaw_version_pins (user_id, image_tag, pinned_by)"
            " SELECT 'user-' || n, 'tag-' || 3 + n %% 10, 'bench'"
            "   FROM generate_series(0, %(last)s) AS n",
            {"last": PINS - 1},
        )
        connection.execute(
            "INSERT INTO kiloclaw_user_aliases (user_id)"
            " SELECT user_id FROM kiloclaw_version_pins"
        )
        connection.execute("VACUUM ANALYZE")
