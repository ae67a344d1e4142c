"""What a preview costs at two million instances and a million pins."""

from collections.abc import Callable, Iterator
from statistics import median

from shared.catalog.fleet import InForce
from shared.catalog.transaction import Catalog
from shared.domain.pointer import Rollout
from shared.kv import KV
from shared.usecases.preview_rollout import preview_rollout
from shared.usecases.preview_versions import preview_promotion
from shared.usecases.rollout import WantedRollout
from tests.benchmarks.measuring import Measurement, at_most, ratio_of_medians, seconds
from tests.support.stores import Stores

FEW, MANY = 10_000, 2_000_000
VERSIONS = 200
FEW_MS, MANY_MS, ROLLOUT_MS = 100, 5_000, 6_000
ROUNDS, FEW_ROUNDS = 3, 20
ROLLOUT = Rollout("tag-2", 25, "salt")
IN_FORCE = InForce("default", ROLLOUT, ROLLOUT)


def measure(few: Stores, many: Stores) -> Iterator[Measurement]:
    """A promotion previewed while a rollout runs, against the grouping statement alone."""
    for stores, instances, limit, rounds in (
        (few, FEW, FEW_MS, FEW_ROUNDS),
        (many, MANY, MANY_MS, ROUNDS),
    ):
        _fill(stores, instances)
        catalog, kv = stores.catalog(seconds=1e6), stores.kv()
        preview = _preview(catalog, kv)
        preview()
        milliseconds = median(seconds(preview) for _ in range(rounds)) * 1000
        name = f"preview of a promotion, {instances:,} instances"
        yield at_most(name, milliseconds, limit, "ms")
        if stores is many:
            ratio = ratio_of_medians(preview, _grouping(catalog), ROUNDS)
            yield at_most(f"{name}, against the grouping alone", ratio, 1.5)
            raising = _raising(catalog, kv)
            milliseconds = median(seconds(raising) for _ in range(rounds)) * 1000
            name = f"preview of a raised percent, {instances:,} instances"
            yield at_most(name, milliseconds, ROLLOUT_MS, "ms")
        catalog.database.close()


def _preview(catalog: Catalog, kv: KV) -> Callable[[], object]:
    def preview() -> object:
        previewed = preview_promotion("tag-3", catalog=catalog, kv=kv)
        assert previewed.users > 0
        assert len(previewed.sample) > 0
        return previewed

    return preview


def _raising(catalog: Catalog, kv: KV) -> Callable[[], object]:
    """Each user's bucket is compared with the percent before and after."""
    wanted = WantedRollout("tag-2", 50)

    def preview() -> object:
        previewed = preview_rollout("default", wanted, catalog=catalog, kv=kv)
        assert previewed.users > 0
        assert not previewed.estimate
        return previewed

    return preview


def _grouping(catalog: Catalog) -> Callable[[], object]:
    def group() -> object:
        with catalog.transaction() as tx:
            return tx.fleet.classes([IN_FORCE])

    return group


def _fill(stores: Stores, instances: int) -> None:
    """Every second user is pinned; most of the others run the latest."""
    pointer = {"latest_tag": "tag-1", "candidate_tag": "tag-2", "percent": 25, "salt": "salt"}
    stores.put("POINTER", "default", revision=1, **pointer)
    with stores.server_connection() as connection:
        connection.execute(
            "INSERT INTO kiloclaw_available_versions"
            "       (image_tag, openclaw_version, published_at)"
            " SELECT 'tag-' || n, '2026.11.1', now() FROM generate_series(1, %(n)s) AS n",
            {"n": VERSIONS},
        )
        connection.execute(
            "INSERT INTO kiloclaw_variants"
            "       (variant, latest_tag, candidate_tag, rollout_percent, rollout_salt,"
            "        revision)"
            " VALUES ('default', 'tag-1', 'tag-2', 25, 'salt', 1)"
        )
        connection.execute(
            "INSERT INTO kiloclaw_instances"
            " SELECT 'user-' || n,"
            "        'tag-' || CASE WHEN n %% 10 = 0 THEN n / 10 %% %(tags)s + 1 ELSE 1 END,"
            "        NULL, '2026.11.1', 'default', 'latest', false, now(), now()"
            "   FROM generate_series(1, %(n)s) AS n",
            {"n": instances, "tags": VERSIONS},
        )
        connection.execute(
            "INSERT INTO kiloclaw_version_pins (user_id, image_tag, pinned_by, expires_at)"
            " SELECT 'user-' || n, 'tag-' || n %% 50 + 1, 'bench',"
            "        CASE WHEN n %% 20 = 0 THEN now() END"
            "   FROM generate_series(2, %(n)s, 2) AS n",
            {"n": instances},
        )
        connection.execute("VACUUM ANALYZE")
