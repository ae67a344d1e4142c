"""`make bench`: ratios within one run, as a table and in `build/bench.json`."""

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import botocore.session

from infra.local.postgres import Postgres
from tests.benchmarks import (
    bulk,
    console,
    copying,
    deciding,
    fleet,
    growing,
    importing,
    previewing,
    provisioning,
    sealing,
    synchronising,
)
from tests.benchmarks.measuring import Measurement
from tests.support.dynamodb_local import DynamoDBLocal
from tests.support.stores import make_stores, prepare

REPORT = Path("build/bench.json")


def main() -> int:
    """Measure, print, write; 1 if a target is missed."""
    measurements = []
    for measurement in _measurements():
        measurements.append(measurement)
        print(_line(measurement), flush=True)
    REPORT.parent.mkdir(exist_ok=True)
    figures = [measurement.as_json() for measurement in measurements]
    REPORT.write_text(json.dumps(figures, indent=2, ensure_ascii=False) + "\n")
    return 0 if all(measurement.ok for measurement in measurements) else 1


def _measurements() -> Iterator[Measurement]:
    yield from deciding.measure()
    yield from importing.measure()
    server, dynamodb = Postgres.start(), DynamoDBLocal.start()
    try:
        os.environ |= dynamodb.environment()
        client = botocore.session.get_session().create_client("dynamodb")
        prepare(server)
        yield from provisioning.measure(make_stores(server, client))
        yield from synchronising.measure(
            make_stores(server, client), make_stores(server, client)
        )
        yield from copying.measure(make_stores(server, client), make_stores(server, client))
        yield from fleet.measure(make_stores(server, client))
        yield from growing.measure(make_stores(server, client), make_stores(server, client))
        yield from bulk.measure(make_stores(server, client))
        yield from sealing.measure(make_stores(server, client))
        yield from previewing.measure(make_stores(server, client), make_stores(server, client))
        yield from console.measure(make_stores(server, client), make_stores(server, client))
    finally:
        server.stop()
        dynamodb.stop()


def _line(measurement: Measurement) -> str:
    mark = "ok  " if measurement.ok else "MISS"
    figure = f"{measurement.value:g} {measurement.unit}"
    return f"{mark} {measurement.name:<72} {figure:>12}   {measurement.target}"


if __name__ == "__main__":
    sys.exit(main())
