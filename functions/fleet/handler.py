"""Copies what instances run from the KV's stream into the catalog.

A batch is applied whole or not at all, so no answer about a part of it is needed: Lambda splits
a batch that fails, and retries while the catalog is down.
"""

from datetime import UTC, datetime
from functools import cache
from os import environ
from typing import Any

from shared.kv.stream import read_changes
from shared.runtime.dependencies import CatalogDependencies, wire_catalog
from shared.runtime.settings import CatalogSettings
from shared.runtime.telemetry import request_id
from shared.usecases.fleet import apply_changes

EVENT_SECONDS = 25.0
"""A batch may wait for the one before it, and for a large upsert."""


@cache
def dependencies() -> CatalogDependencies:
    return wire_catalog(CatalogSettings.read(environ))


def handler(event: dict[str, Any], context: object) -> None:
    """Apply a batch of stream records. Raises CatalogUnavailable."""
    deps = dependencies()
    with deps.event(request_id(context), EVENT_SECONDS):
        deps.database.deadline.extend_catalog(EVENT_SECONDS)
        changes = read_changes(event["Records"])
        applied = apply_changes(changes, catalog=deps.catalog)
        deps.telemetry.count("FleetRecordsApplied", applied.written + applied.removed)
        deps.telemetry.count("FleetRecordsSkipped", changes.skipped)
        if changes.newest is not None:
            age = (datetime.now(UTC) - changes.newest).total_seconds()
            deps.telemetry.seconds("FleetCopyAge", max(age, 0.0))
