"""A batch of the table's stream, applied to a copy of two million instances."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from statistics import median

from infra.functions import STREAM_BATCH
from shared.catalog.transaction import Catalog
from shared.domain.fleet import Changes
from shared.domain.model import Instance
from shared.domain.values import rfc3339
from shared.usecases.fleet import Applied, apply_changes
from tests.benchmarks.measuring import Measurement, at_most, seconds
from tests.support.stores import Stores

FEW, MANY, ROUNDS = 2_000, 2_000_000, 40
BATCH_MS = 40
EPOCH = datetime(2026, 11, 1, tzinfo=UTC)


def measure(few: Stores, many: Stores) -> Iterator[Measurement]:
    """The same batches on a small and on a large copy, in turns."""
    for stores, instances in ((few, FEW), (many, MANY)):
        _fill(stores, instances)
    small, large = _Batches(few.catalog("fleet"), FEW), _Batches(many.catalog("fleet"), MANY)
    for _ in range(5):
        small.apply()
        large.apply()
    pairs = [(seconds(large.apply), seconds(small.apply)) for _ in range(ROUNDS)]
    many_ms, few_ms = (median(side) * 1000 for side in zip(*pairs, strict=True))
    name = f"a batch of {STREAM_BATCH} records, {MANY:,} instances"
    yield at_most(name, many_ms, BATCH_MS, "ms")
    yield at_most(f"{name}, against {FEW:,}", many_ms / few_ms, 1.3)
    small.catalog.database.close()
    large.catalog.database.close()


@dataclass
class _Batches:
    """Starts of users spread over the whole copy; every one changes the row."""

    catalog: Catalog
    instances: int
    turns: Iterator[int] = field(default_factory=count)

    def apply(self) -> None:
        turn = next(self.turns)
        now = EPOCH + timedelta(days=1, seconds=turn)
        changes = Changes()
        step = self.instances // STREAM_BATCH
        for number in range(STREAM_BATCH):
            user = f"user-{1 + number * step + turn * 7 % step}"
            changes.add(_instance(user, f"tag-{turn % 5}", now), now)
        assert apply_changes(changes, catalog=self.catalog) == Applied(STREAM_BATCH, 0)


def _instance(user: str, tag: str, now: datetime) -> Instance:
    return Instance(
        user, tag, None, "2026.11.1", "default", "latest", is_pinned=False,
        resolved_at=rfc3339(now), decided_at=rfc3339(now),
    )  # fmt: skip


def _fill(stores: Stores, instances: int) -> None:
    """Nine of ten run one image; starts are spread over a day."""
    with stores.server_connection() as connection:
        connection.execute(
            "INSERT INTO kiloclaw_instances"
            "       (user_id, image_tag, openclaw_version, variant, source, is_pinned,"
            "        resolved_at, decided_at)"
            " SELECT 'user-' || n, 'tag-' || CASE WHEN n %% 10 = 0 THEN n %% 50 ELSE 1 END,"
            "        '2026.11.1', CASE WHEN n %% 20 = 0 THEN 'gpu' ELSE 'default' END,"
            "        'latest', false, at, at"
            "   FROM generate_series(1, %(instances)s) AS n,"
            "        LATERAL (SELECT %(epoch)s::timestamptz"
            "                        + n::bigint * 7919 %% 86400 * interval '1 s') AS t (at)",
            {"instances": instances, "epoch": EPOCH},
        )
        connection.execute("VACUUM ANALYZE kiloclaw_instances")
