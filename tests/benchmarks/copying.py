"""A batch of the table's stream, applied to a copy of two million instances.

What is measured is the whole of the function's work on an event: it reads the records, brings
them into the copy, commits, and writes its metrics.
"""

import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from statistics import median
from typing import Any
from unittest.mock import patch

from functions.fleet.handler import handler
from infra.functions import STREAM_BATCH
from shared.domain.values import rfc3339
from shared.runtime.dependencies import CatalogDependencies
from shared.runtime.telemetry import Telemetry
from tests.benchmarks.measuring import Measurement, at_most, seconds
from tests.support.stores import Stores
from tests.support.stream_records import stream_record

FEW, MANY, WARM_UP, ROUNDS = 2_000, 2_000_000, 5, 40
BATCH_MS = 40
EPOCH = datetime(2026, 11, 1, tzinfo=UTC)


def measure(few: Stores, many: Stores) -> Iterator[Measurement]:
    """The same batches on a small and on a large copy, in turns."""
    os.environ |= {
        "POWERTOOLS_SERVICE_NAME": "fleet",
        "POWERTOOLS_METRICS_NAMESPACE": "KiloClaw",
    }
    for stores, instances in ((few, FEW), (many, MANY)):
        _fill(stores, instances)
    small, large = _Starts(few, FEW), _Starts(many, MANY)
    with Path(os.devnull).open("w", encoding="utf-8") as nowhere, patch("sys.stdout", nowhere):
        pairs = [(large.apply(), small.apply()) for _ in range(WARM_UP + ROUNDS)][WARM_UP:]
    many_ms, few_ms = (median(side) * 1000 for side in zip(*pairs, strict=True))
    name = f"a batch of {STREAM_BATCH} records, {MANY:,} instances"
    yield at_most(name, many_ms, BATCH_MS, "ms")
    yield at_most(f"{name}, against {FEW:,}", many_ms / few_ms, 1.3)
    small.close()
    large.close()


class _Starts:
    """Starts of users spread over the whole copy; every one changes the row."""

    def __init__(self, stores: Stores, instances: int) -> None:
        self._stores = stores
        self._instances = instances
        self._deps = CatalogDependencies(
            database=stores.database("fleet"), telemetry=Telemetry()
        )
        self._turns = count()

    def apply(self) -> float:
        """Hand over the next batch, and return how many seconds it took."""
        records, at = self._records(next(self._turns))
        with patch("functions.fleet.handler.dependencies", lambda: self._deps):
            taken = seconds(lambda: handler({"Records": records}, None))
        [(changed,)] = self._stores.sql(
            "SELECT count(*) FROM kiloclaw_instances WHERE resolved_at = %(at)s", at=at
        )
        assert changed == STREAM_BATCH
        return taken

    def close(self) -> None:
        self._deps.database.close()

    def _records(self, turn: int) -> tuple[list[dict[str, Any]], str]:
        now = rfc3339(EPOCH + timedelta(days=1, seconds=turn))
        started = {"running_tag": f"tag-{turn % 5}", "resolved_at": now, "decided_at": now}
        step = self._instances // STREAM_BATCH
        first = 1 + turn * 7 % step
        users = [f"user-{first + number * step}" for number in range(STREAM_BATCH)]
        return [stream_record(user, **started) for user in users], now


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
        # What is written behind must not meet the batches of one side.
        connection.execute("CHECKPOINT")
