"""Lists, counts and the distribution of two million instances with a million pins."""

from collections.abc import Callable, Iterator
from statistics import median

from shared.catalog.fleet import InstanceFilter, InstanceSort
from shared.catalog.transaction import Catalog
from shared.kv import KV
from shared.usecases.instances import InstanceQuery, count_instances, list_instances
from tests.benchmarks.measuring import Measurement, at_most, seconds
from tests.support.stores import Stores

MANY, LIMIT = 2_000_000, 26
DISTRIBUTION_MS, PAGE_MS, SEARCH_MS, CLASSES_MS = 300, 20, 700, 4_000
SORTS: tuple[InstanceSort, ...] = ("user_id", "resolved_at")
FILTERS = {
    "all": InstanceFilter(),
    "an old version": InstanceFilter(image_tag="tag-5"),
    "variant": InstanceFilter(variant="gpu"),
    "source": InstanceFilter(source="rollout"),
}


def measure(stores: Stores) -> Iterator[Measurement]:
    """All of it by the use cases, as the admin API's role."""
    fill(stores, MANY)
    catalog = stores.catalog(seconds=1e6)
    yield from measure_filled(catalog, stores.kv())
    catalog.database.close()


def measure_filled(catalog: Catalog, kv: KV) -> Iterator[Measurement]:
    def page(query: InstanceQuery) -> Callable[[], object]:
        return lambda: list_instances(query, None, LIMIT, catalog=catalog, kv=kv)

    def distribution() -> None:
        with catalog.transaction() as tx:
            tx.fleet.distribution(None)

    def counts() -> None:
        with catalog.transaction() as tx:
            count_instances(tx, kv)

    name = f"of {MANY:,} instances"
    yield at_most(f"distribution {name}", _ms(distribution, 5), DISTRIBUTION_MS, "ms")
    for sort in SORTS:
        for which, wanted in FILTERS.items():
            taken = _ms(page(InstanceQuery(wanted, sort=sort)), 20)
            yield at_most(f"a page {name}, {which}, by {sort}", taken, PAGE_MS, "ms")
    nobody = InstanceQuery(InstanceFilter(q="nobody"))
    yield at_most(f"a page {name}, q that is in none", _ms(page(nobody), 3), SEARCH_MS, "ms")
    yield at_most(f"drift and outdated {name}, counted", _ms(counts, 3), CLASSES_MS, "ms")
    drift = page(InstanceQuery(InstanceFilter(), drift=True))
    yield at_most(f"first page of drift=true {name}", _ms(drift, 3), CLASSES_MS, "ms")


def fill(stores: Stores, instances: int) -> None:
    """Every other user is pinned, one pin in a thousand to another version than runs.

    Older versions run where nobody started lately; a rollout of 30 % is in force.
    """
    with stores.server_connection() as connection:
        connection.execute(
            "INSERT INTO kiloclaw_available_versions"
            "       (image_tag, openclaw_version, variant, published_at)"
            " SELECT 'tag-' || n, '2026.11.1',"
            "        CASE WHEN n % 20 = 0 THEN 'gpu' ELSE 'default' END, now()"
            "   FROM generate_series(1, 40) AS n"
        )
        connection.execute(
            "INSERT INTO kiloclaw_variants (variant, latest_tag, candidate_tag,"
            "                               rollout_percent, rollout_salt, revision)"
            " VALUES ('default', 'tag-2', 'tag-1', 30, '0123456789abcdef', 7),"
            "        ('gpu', 'tag-20', NULL, NULL, NULL, 3)"
        )
        connection.execute(
            "INSERT INTO kiloclaw_instances"
            "       (user_id, image_tag, openclaw_version, variant, source, is_pinned,"
            "        resolved_at, decided_at)"
            " SELECT 'user-' || md5(n::text), tag, '2026.11.1',"
            "        CASE WHEN tag IN ('tag-20', 'tag-40') THEN 'gpu' ELSE 'default' END,"
            "        CASE WHEN n %% 2 = 0 THEN 'pin' WHEN tag = 'tag-1' THEN 'rollout'"
            "             ELSE 'latest' END,"
            "        n %% 2 = 0, at, at"
            "   FROM generate_series(1, %(instances)s) AS n,"
            "        LATERAL (SELECT now() - (%(instances)s - n) * interval '1 second',"
            "                        'tag-' || CASE WHEN n %% 20 = 1 THEN 20"
            "                             WHEN n < %(instances)s / 4 THEN 3 + n %% 38"
            "                             WHEN n %% 10 < 3 THEN 1 ELSE 2 END) AS t (at, tag)",
            {"instances": instances},
        )
        connection.execute(
            "INSERT INTO kiloclaw_version_pins (user_id, image_tag, pinned_by, expires_at)"
            " SELECT user_id,"
            "        CASE WHEN n % 1000 = 0 THEN 'tag-' || 3 + n / 1000 % 38"
            "             ELSE image_tag END,"
            "        'bench', CASE WHEN n % 100 = 2 THEN now() END"
            "   FROM (SELECT user_id, image_tag, row_number() OVER () AS n"
            "           FROM kiloclaw_instances WHERE is_pinned) AS pinned"
        )
        connection.execute("VACUUM ANALYZE")


def _ms(action: Callable[[], object], rounds: int) -> float:
    action()
    return median(seconds(action) for _ in range(rounds)) * 1000
