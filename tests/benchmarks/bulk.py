"""What many pins at once cost, and what they cost others meanwhile."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from statistics import median

from shared.catalog.transaction import Catalog
from shared.domain.model import Initiator, PinContent
from shared.kv import KV
from shared.usecases.bulk_pins import MOST_ITEMS, BulkItem, change_pins
from shared.usecases.disable import MAX_MOVED_PINS, VersionChange
from shared.usecases.pins import put_pin
from shared.usecases.provision import Start, provision
from shared.usecases.versions import change
from tests.benchmarks.measuring import Measurement, at_most, seconds
from tests.support.stores import Stores

PINS = 300_000
ROUNDS = 7
BULK_MS, KILL_S, OTHERS_S = 300, 3, 1
BY = Initiator("bench")


def measure(stores: Stores) -> Iterator[Measurement]:
    """A bulk that makes pins and one that replaces them, and a kill switch beside starts."""
    _fill(stores)
    catalog = stores.catalog(seconds=1e6)
    for name, first in (("new", PINS), ("replaced", 0)):
        rounds = [first + MOST_ITEMS * number for number in range(ROUNDS)]
        milliseconds = median(seconds(partial(_bulk, catalog, n)) for n in rounds) * 1000
        yield at_most(f"bulk of {MOST_ITEMS:,} pins, {name}", milliseconds, BULK_MS, "ms")
    yield from _kill(stores, catalog)
    catalog.database.close()


def _bulk(catalog: Catalog, first: int) -> None:
    content = PinContent("tag-2", "benchmark", None)
    items = [BulkItem(f"user-{first + n}", content, "benchmark") for n in range(MOST_ITEMS)]
    results = change_pins(items, "atomic", by=BY, catalog=catalog)
    assert {result.status for result in results} == {"pinned"}


def _kill(stores: Stores, catalog: Catalog) -> Iterator[Measurement]:
    """Others go on all the while: users start whose pins move, or not, and some are pinned."""
    database, kv = stores.database("provisioning", 1e6), stores.kv()
    api = stores.catalog(seconds=1e6)
    starts: list[float] = []
    pins: list[float] = []
    with ThreadPoolExecutor(1) as threads:
        killed = threads.submit(seconds, partial(_disable, catalog, stores.kv()))
        while not killed.done():
            number = len(starts)
            user = f"user-{PINS - 1 - number % 50}" if number % 2 else f"nobody-{number}"
            start = partial(provision, Start(user), database=database, kv=kv)
            starts.append(seconds(start))
            pin = partial(put_pin, f"nobody-{number}", "spare", by=BY, catalog=api)
            pins.append(seconds(pin))
    for opened in (database, api.database):
        opened.close()
    assert len(starts) > 1
    moved = f"{MAX_MOVED_PINS:,} pins moved by a kill switch"
    yield at_most(moved, killed.result(), KILL_S, "s")
    yield at_most(
        f"a start meanwhile, the slowest of {len(starts)}", max(starts), OTHERS_S, "s"
    )
    yield at_most(f"a pin meanwhile, the slowest of {len(pins)}", max(pins), OTHERS_S, "s")
    assert stores.sql(
        "SELECT count(*) FROM kiloclaw_version_pins WHERE image_tag = 'spare'"
    ) == [(MAX_MOVED_PINS + len(pins),)]


def _disable(catalog: Catalog, kv: KV) -> None:
    change(
        "bad",
        VersionChange("disabled", replacement="spare"),
        by=BY,
        catalog=catalog,
        kv=kv,
    )


def _fill(stores: Stores) -> None:
    """Pin users to ten versions, and the last hundred thousand to one that is killed.

    They were pinned in a random order, one a second.
    """
    stores.put("POINTER", "default", revision=1, latest_tag="bad")
    with stores.server_connection() as connection:
        connection.execute(
            "INSERT INTO kiloclaw_available_versions"
            "       (image_tag, openclaw_version, published_at)"
            " SELECT CASE n WHEN 51 THEN 'bad' WHEN 52 THEN 'spare' ELSE 'tag-' || n END,"
            "        '2026.11.1', now() FROM generate_series(1, 52) AS n"
        )
        connection.execute(
            "INSERT INTO kiloclaw_variants (variant, latest_tag, revision)"
            " VALUES ('default', 'bad', 1)"
        )
        connection.execute(
            "INSERT INTO kiloclaw_version_pins (user_id, image_tag, pinned_by, created_at)"
            " SELECT 'user-' || n,"
            "        CASE WHEN n < %(bad)s THEN 'tag-' || 3 + n %% 10 ELSE 'bad' END, 'bench',"
            "        now() - row_number() OVER (ORDER BY hashtext(n::text)) * interval '1 s'"
            "   FROM generate_series(0, %(last)s) AS n ORDER BY 4",
            {"last": PINS - 1, "bad": PINS - MAX_MOVED_PINS},
        )
        connection.execute(
            "INSERT INTO kiloclaw_user_aliases (user_id)"
            " SELECT user_id FROM kiloclaw_version_pins"
        )
        connection.execute("VACUUM ANALYZE")
