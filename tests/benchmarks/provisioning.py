"""The hot path: what one provisioning costs beyond the store calls it can't do without."""

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any, cast
from unittest.mock import patch

import psycopg

from functions.provisioning.handler import handler
from shared.catalog.facts import FACTS
from shared.domain.model import Image, Initiator, Instance
from shared.domain.pointer import Brake
from shared.kv.instances import put_parameters
from shared.kv.table import key
from shared.runtime.dependencies import Dependencies, wire
from shared.runtime.settings import Settings
from shared.usecases.pins import put_pin
from shared.usecases.publish import Publication, publish
from shared.usecases.rollout import WantedRollout, roll_out
from tests.benchmarks.measuring import Measurement, at_most, ratio_of_medians
from tests.support.stores import PASSWORD, Stores

ROUNDS = 400
STARTS = 15
BY = Initiator("bench")
PINNED, UNPINNED = {"user_id": "pinned"}, {"user_id": "unpinned"}
EVENTS = {"pinned provisioning": PINNED, "unpinned provisioning": UNPINNED}
ROLLED_OUT = "provisioning, a rollout with a brake"

FIRST_ANSWER = """
import time; began = time.perf_counter()
from functions.provisioning.handler import handler
handler({"user_id": "pinned"}, None)
"""
PLAIN_SCRIPT = """
import time; began = time.perf_counter()
import os
import boto3, psycopg, pydantic
from aws_lambda_powertools import Logger
class Answer(pydantic.BaseModel):
    user_id: str
    image_tag: str
logger = Logger()
client = boto3.client("dynamodb")
connection = psycopg.connect(os.environ["DATABASE_CONNINFO"], autocommit=True)
wanted = {"user": "pinned", "variant": "default"}
row = connection.execute(os.environ["FACTS"], wanted).fetchone()
client.put_item(TableName=os.environ["TABLE_NAME"], Item={
    "pk": {"S": "INSTANCE#plain"}, "sk": {"S": "IMAGE"}, "user_id": {"S": "plain"},
    "running_tag": {"S": row[1]}})
logger.info("answered", **Answer(user_id="pinned", image_tag=row[1]).model_dump())
"""
TELL = "print('\\nSECONDS', time.perf_counter() - began)"


def measure(stores: Stores) -> Iterator[Measurement]:
    """Warm against the floor, the calls that are made, and the first answer of a sandbox."""
    _publish_and_pin(stores)
    os.environ |= _environment(stores)
    deps = wire(Settings.stores(os.environ))
    with (
        patch("functions.provisioning.handler.dependencies", lambda: deps),
        Path(os.devnull).open("w", encoding="utf-8") as nowhere,
        patch("sys.stdout", nowhere),
    ):
        ratios = {name: _ratio(stores, deps, event) for name, event in EVENTS.items()}
        counts = {name: _count(deps, event) for name, event in EVENTS.items()}
        _roll_out(stores)
        ratios[ROLLED_OUT] = _ratio(stores, deps, UNPINNED)
        counts[ROLLED_OUT] = _count(deps, UNPINNED)
    deps.database.close()
    for name, ratio in ratios.items():
        yield at_most(f"{name}, warm, against its store calls alone, p50", ratio, 1.2)
    for name, (counted, expected) in counts.items():
        same = "SQL, KV reads, KV writes: " + ", ".join(map(str, expected))
        text = ", ".join(map(str, counted))
        yield Measurement(
            f"{name}: calls made ({text})", sum(counted), "calls", same, counted == expected
        )
    yield at_most("a new environment to its first pinned answer", _start_ratio(), 0.9)


def _ratio(stores: Stores, deps: Dependencies, event: dict[str, str]) -> float:
    start = partial(handler, event, None)
    return ratio_of_medians(start, _floor(stores, deps, event), ROUNDS)


def _roll_out(stores: Stores) -> None:
    catalog, kv = stores.catalog(), stores.kv()
    publish(Publication("candidate", "2026.11.2"), by=BY, catalog=catalog, kv=kv)
    wanted = WantedRollout("candidate", 50, Brake(5, 20))
    roll_out("default", wanted, by=BY, catalog=catalog, kv=kv)
    catalog.database.close()


def _publish_and_pin(stores: Stores) -> None:
    catalog, kv = stores.catalog(), stores.kv()
    for tag, latest in (("stable", True), ("pinned", False)):
        publication = Publication(tag, "2026.11.1", set_latest=latest)
        publish(publication, by=BY, catalog=catalog, kv=kv)
    put_pin("pinned", "pinned", by=BY, catalog=catalog)
    catalog.database.close()


def _environment(stores: Stores) -> dict[str, str]:
    return {
        "DATABASE_CONNINFO": stores.conninfo("provisioning"),
        "PGPASSWORD": PASSWORD,
        "TABLE_NAME": stores.table,
        "FACTS": FACTS,
        "POWERTOOLS_SERVICE_NAME": "provisioning",
        "POWERTOOLS_METRICS_NAMESPACE": "KiloClaw",
    }


def _floor(stores: Stores, deps: Dependencies, event: dict[str, str]) -> Callable[[], object]:
    """The calls that a start cannot do without, on the very connections of the handler."""
    image = Image("pinned", None, "2026.11.1", "default")
    instance = Instance(
        "floor", image.image_tag, None, "2026.11.1", "default", "pin", is_pinned=True,
        resolved_at="2026-11-01T00:00:00.000000Z", decided_at="2026-11-01T00:00:00.000000Z",
    )  # fmt: skip
    keys = [key("INSTANCE#floor", "IMAGE"), key("POINTER", "default")]
    client = deps.kv.table.client

    def calls() -> None:
        connection = cast("psycopg.Connection[Any]", deps.database._connected())
        connection.execute(FACTS, {"user": "pinned", "variant": "default"}).fetchall()
        if event is not PINNED:
            wanted = {stores.table: {"Keys": keys, "ConsistentRead": True}}
            client.batch_get_item(RequestItems=wanted)
        client.put_item(TableName=stores.table, **put_parameters(instance))

    return calls


def _count(
    deps: Dependencies, event: dict[str, str]
) -> tuple[tuple[int, int, int], tuple[int, int, int]]:
    """Statements, KV reads and KV writes of one event, and how many there should be."""
    calls: Counter[str] = Counter()

    def note(model: Any, **_: object) -> None:
        calls["read" if model.name in {"BatchGetItem", "GetItem"} else "write"] += 1

    execute = psycopg.Cursor.execute

    def counted(*arguments: Any, **options: Any) -> Any:
        calls["sql"] += 1
        return execute(*arguments, **options)

    events = deps.kv.table.client.meta.events
    events.register("before-call.dynamodb", note)
    with patch.object(psycopg.Cursor, "execute", counted):
        handler(event, None)
    events.unregister("before-call.dynamodb", note)
    expected = (1, 0, 1) if event is PINNED else (1, 1, 1)
    return (calls["sql"], calls["read"], calls["write"]), expected


def _start_ratio() -> float:
    """Side by side, pair for pair: whatever else the machine does meets both of a pair."""
    return median(
        _first_answer(FIRST_ANSWER) / _first_answer(PLAIN_SCRIPT) for _ in range(STARTS)
    )


def _first_answer(script: str) -> float:
    environment = {
        name: os.environ[name] for name in os.environ if name != "PYTHONDONTWRITEBYTECODE"
    }
    done = subprocess.run(
        [sys.executable, "-c", script + TELL],
        env=environment,
        check=True,
        capture_output=True,
        text=True,
    )
    return float(done.stdout.rsplit("SECONDS", 1)[1])
