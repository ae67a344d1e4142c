"""What seals cost: whoever writes an event nothing, `sync` and verifying little."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, LiteralString

import psycopg

from shared.catalog.audit import EventFilter
from shared.catalog.transaction import Catalog
from shared.usecases.seal import seal_events
from shared.usecases.verify_audit import verify_audit
from tests.benchmarks.measuring import Measurement, at_most, ratio_of_medians, seconds
from tests.support.stores import Stores

EVENTS, MANY, ROUNDS = 10_000, 1_000_000, 3_000
INSERT_RATIO, SEAL_MS, NEWEST_MS, ALL_SECONDS = 1.05, 500, 2_000, 60
PAGE_MS = 50
AS_BEFORE: LiteralString = """
CREATE TABLE log_as_before (LIKE kiloclaw_audit_log INCLUDING CONSTRAINTS INCLUDING INDEXES
                            INCLUDING IDENTITY INCLUDING DEFAULTS);
ALTER TABLE log_as_before DROP COLUMN transaction_id;
DROP INDEX log_as_before_at_id_idx
"""
EVENT: LiteralString = """
       (actor, action, subject_kind, subject_id, before, after, reason, request_id)
VALUES ('ada@example.com', 'pin.set', 'user', gen_random_uuid()::text,
        '{"image_tag": "kiloclaw-2026.11.1", "expires_at": null}',
        '{"image_tag": "kiloclaw-2026.11.2", "expires_at": null, "revision": 7}',
        'Needs the fix of build 7', gen_random_uuid()::text)
"""
FILL: LiteralString = """
INSERT INTO kiloclaw_audit_log
       (at, actor, action, subject_kind, subject_id, before, after, reason, request_id)
SELECT now() - (%(rest)s - n) * interval '1 second', 'actor-' || n %% 50,
       'action-' || n %% 20, 'version', 'kiloclaw-' || n %% 5000,
       jsonb_build_object('image_tag', 'kiloclaw-' || n, 'expires_at', NULL),
       jsonb_build_object('image_tag', 'kiloclaw-' || n + 1, 'revision', n),
       'Needs the fix of build ' || n, gen_random_uuid()::text
  FROM generate_series(1, 10000) AS n
"""


def measure(stores: Stores) -> Iterator[Measurement]:
    """Writing, sealing and verifying, the last two as the roles of the functions."""
    yield _inserting(stores)
    sync, api = stores.catalog("sync", 1e6), stores.catalog(seconds=1e6)
    seal_events(sync, 1e6)
    sealing = min(_seconds_to_seal(stores, sync) for _ in range(3))
    yield at_most(f"sealing {EVENTS:,} events", 1000 * sealing, SEAL_MS, "ms")
    fill(stores, MANY)
    seal_events(sync, 1e6)
    newest = min(seconds(_verifying(api, EVENTS)) for _ in range(3))
    yield at_most(f"verifying {EVENTS:,} of {MANY:,} events", 1000 * newest, NEWEST_MS, "ms")
    yield from _listing(api)
    everything = seconds(_verifying(api, MANY))
    yield at_most(f"verifying {MANY:,} events", everything, ALL_SECONDS, "s")
    for catalog in (sync, api):
        catalog.database.close()


def fill(stores: Stores, events: int) -> None:
    """Write events, ten thousand a transaction, one a second."""
    with stores.server_connection() as connection:
        for written in range(0, events, 10_000):
            connection.execute(FILL, {"rest": events - written})
        connection.execute("VACUUM ANALYZE")


def _inserting(stores: Stores) -> Measurement:
    """An event in a transaction of its own, against a log without what seals need."""
    with stores.server_connection() as connection:
        connection.execute(AS_BEFORE)
        # What a disk takes would hide what an index takes.
        connection.execute("SET synchronous_commit = off")
        ratio = ratio_of_medians(
            _insert(connection, "INSERT INTO kiloclaw_audit_log" + EVENT),
            _insert(connection, "INSERT INTO log_as_before" + EVENT),
            ROUNDS,
        )
    return at_most("an event written, against a log without seals", ratio, INSERT_RATIO)


def _insert(
    connection: psycopg.Connection[Any], statement: LiteralString
) -> Callable[[], object]:
    return lambda: connection.execute(statement)


def _listing(catalog: Catalog) -> Iterator[Measurement]:
    """Pages of the log within a time in its midst."""
    start = datetime.now(UTC) - timedelta(seconds=MANY / 2)
    day = EventFilter(since=start, until=start + timedelta(days=1))
    filters = {
        "since": EventFilter(since=start),
        "until": EventFilter(until=start),
        "a day of one actor": replace(day, actor="actor-7"),
        "a day of nobody": replace(day, actor="nobody"),
        "a day of nothing": replace(day, action="action-7", kind="variant"),
    }

    def page(wanted: EventFilter) -> Callable[[], object]:
        def read() -> object:
            with catalog.transaction() as tx:
                return tx.audit.page(wanted, None, 26)

        return read

    for name, wanted in filters.items():
        taken = 1000 * min(seconds(page(wanted)) for _ in range(10))
        yield at_most(f"a page of {MANY:,} events, {name}", taken, PAGE_MS, "ms")


def _seconds_to_seal(stores: Stores, catalog: Catalog) -> float:
    def seal() -> None:
        assert seal_events(catalog, 1e6).sealed == EVENTS

    fill(stores, EVENTS)
    return seconds(seal)


def _verifying(catalog: Catalog, events: int) -> Callable[[], None]:
    def verify() -> None:
        found = verify_audit(catalog, events=events)
        assert found.ok
        assert found.events >= events

    return verify
