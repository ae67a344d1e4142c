"""Sync takes over what the KV says of versions, and no more than that."""

from collections.abc import Callable
from datetime import UTC, datetime
from itertools import count
from typing import Any

import pytest
from psycopg import sql

from shared.domain.errors import CatalogUnavailable, KVUnavailable
from shared.domain.sync_report import SyncReport
from shared.kv import KV, bulk
from shared.usecases.sync import entries, pointers, run_sync, time_limit
from tests.support.concurrent_actors import Sandbox, digest
from tests.support.failing_clients import (
    Following,
    Interposing,
    Refusing,
    closed_catalog,
    refusal,
    unreachable,
)
from tests.support.invariants import faults
from tests.support.store_dump import changed, dump
from tests.support.stores import Stores

DOWN = refusal("InternalServerError", status=500)


def _counts(report: SyncReport) -> dict[str, object]:
    """The counts that are not zero."""
    names = ("inserted", "filled", "updated", "unchanged", "deferred", "missing")
    return {name: getattr(report, name) for name in names if getattr(report, name)}


def _rejected(report: SyncReport) -> set[tuple[str, str]]:
    return {(finding.image_tag, finding.code) for finding in report.rejected}


def _tags(stores: Stores) -> list[str]:
    rows = stores.sql("SELECT image_tag FROM kiloclaw_available_versions ORDER BY image_tag")
    return [tag for (tag,) in rows]


def test_every_outcome_in_one_run(sandbox: Sandbox, runner: Sandbox, stores: Stores) -> None:
    """Valid entries enter the catalog, the others are findings, and statuses and notes stay."""
    for tag, image_digest in (("same", 1), ("empty", None), ("older", 2), ("fixed", 3)):
        sandbox.publish(tag, digest(image_digest) if image_digest else None, notes="ours")
    sandbox.publish("gone")
    sandbox.retire("gone")
    sandbox.disable("older")
    stores.put_entry("empty", image_digest=digest("filled"))
    stores.put_entry("older", openclaw_version="2026.12.1")
    stores.put_entry("fixed", image_digest=digest("other"))
    stores.put_entry("same", variant="beta", image_digest=digest(1))
    stores.put_entry("thief", image_digest=digest(2))
    stores.put_entry("new", image_digest=digest("new"), published_at="2026-01-02T03:04:05Z")
    stores.put_entry("broken", openclaw_version="1.2.3")
    stores.put("IMAGE", "No Tag! ü")
    report = runner.sync()
    assert _counts(report) == {"inserted": 1, "filled": 1, "updated": 1}
    assert (report.outcome, report.seen, report.rejected_total) == ("ok", 9, 5)
    assert _rejected(report) == {
        ("fixed", "digest_changed"),
        ("same", "variant_changed"),
        ("thief", "digest_in_use"),
        ("broken", "invalid_entry"),
        ("No Tag! \\xfc", "invalid_entry"),
    }
    assert _tags(stores) == ["empty", "fixed", "gone", "new", "older", "same"]
    rows = stores.sql(
        "SELECT image_tag, image_digest, openclaw_version, status, notes, published_by"
        "  FROM kiloclaw_available_versions WHERE image_tag IN ('new', 'older', 'empty')"
        " ORDER BY image_tag"
    )
    assert rows == [
        ("empty", digest("filled"), "2026.11.1", "active", "ours", "ada@example.com"),
        ("new", digest("new"), "2026.11.1", "active", None, None),
        ("older", digest(2), "2026.12.1", "disabled", "ours", "ada@example.com"),
    ]
    assert stores.sql(
        "SELECT published_at FROM kiloclaw_available_versions WHERE image_tag = 'new'"
    ) == [(datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),)]
    assert stores.item("DIGEST", digest("new"))
    assert stores.item("DIGEST", digest("filled"))
    assert stores.item("DIGEST", digest("other")) is None


def test_a_publish_that_is_newer_than_what_was_read_stands(
    sandbox: Sandbox, runner: Sandbox, stores: Stores
) -> None:
    """The run read the older version before the publish; the next run has nothing to do."""
    sandbox.publish("v1")
    stores.put_entry("v1", openclaw_version="2026.11.5", published_at=_published_at(stores))

    def publish() -> None:
        sandbox.publish("v1", digest(1), openclaw_version="2026.11.9")

    client = Following(stores.client, "query", lambda: None, publish)
    report = run_sync(
        catalog=runner.catalog, kv=KV(client, stores.table), cap=0, trigger="direct"
    )
    assert _counts(report) == {}
    rows = stores.sql("SELECT openclaw_version, image_digest FROM kiloclaw_available_versions")
    assert rows == [("2026.11.9", digest(1))]
    assert _counts(runner.sync()) == {"unchanged": 1}
    assert faults(stores) == []


def _published_at(stores: Stores) -> str:
    item = stores.item("IMAGE", "v1")
    assert item is not None
    return str(item["published_at"]["S"])


def test_the_report_is_stored_as_a_run(runner: Sandbox, stores: Stores) -> None:
    """The report names the first hundred rejections and counts all."""
    for number in range(105):
        stores.put("IMAGE", f"bad-{number}")
    report = runner.sync()
    assert (len(report.rejected), report.rejected_total) == (100, 105)
    [(run_id, outcome, counts, trigger)] = stores.sql(
        "SELECT id, outcome, counts, trigger FROM kiloclaw_sync_runs"
        " WHERE finished_at >= started_at"
    )
    assert (run_id, outcome, trigger) == (report.run_id, "ok", "direct")
    assert counts == report.as_json()
    assert SyncReport.parse(run_id, outcome, counts) == report


@pytest.mark.parametrize("cap", [0, 2])
def test_the_cap_limits_what_is_new_oldest_first(
    sandbox: Sandbox, runner: Sandbox, stores: Stores, cap: int
) -> None:
    """The cap holds back no update, 0 is no cap, and the next run takes the rest."""
    sandbox.publish("known")
    stores.put_entry("known", openclaw_version="2026.12.1", image_digest=digest("known"))
    for number in range(5):
        stores.put_entry(f"new-{number}", published_at=f"2026-10-{28 - number}T00:00:00Z")
    report = runner.sync(cap)
    taken = cap or 5
    expected = {"inserted": taken, "filled": 1, "deferred": 5 - taken}
    assert _counts(report) == {name: value for name, value in expected.items() if value}
    assert _tags(stores) == ["known", *sorted(f"new-{4 - number}" for number in range(taken))]
    assert runner.sync(cap).inserted == min(cap, 5 - taken)
    runner.sync(cap)
    assert len(_tags(stores)) == 6
    assert faults(stores) == []


def test_claims_stop_when_time_is_up(
    sandbox: Sandbox,
    runner: Sandbox,
    stores: Stores,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The run writes what it has claimed and defers the rest, new or filled in."""
    for number in range(3):
        sandbox.publish(f"known-{number}")
        stores.put_entry(f"known-{number}", image_digest=digest(number))
    for number in range(7):
        stores.put_entry(f"new-{number}", published_at=f"2026-10-0{number + 1}T00:00:00Z")
    stores.put("POINTER", "default", revision=1, latest_tag="new-6")
    with monkeypatch.context() as patch:
        patch.setattr(entries, "CLAIMS_A_ROUND", 1)
        patch.setattr(entries, "monotonic", count().__next__)
        for module in (time_limit, bulk, pointers):
            patch.setattr(module, "monotonic", lambda: 0.0)
        report = runner.sync(seconds=1.5)
    assert _counts(report) == {"inserted": 2, "filled": 2, "deferred": 6}
    assert _tags(stores)[3:] == ["new-0", "new-6"]
    assert faults(stores) != []
    assert _counts(runner.sync()) == {"inserted": 5, "filled": 1, "unchanged": 4}
    assert faults(stores) == []


def test_of_two_entries_with_one_digest_the_earlier_wins(
    runner: Sandbox, stores: Stores
) -> None:
    """The entry that was published first gets the claim."""
    stores.put_entry("later", image_digest=digest(1), published_at="2026-10-02T00:00:00Z")
    stores.put_entry("first", image_digest=digest(1), published_at="2026-10-01T00:00:00Z")
    assert _rejected(runner.sync()) == {("later", "digest_in_use")}
    assert _tags(stores) == ["first"]
    assert faults(stores) == []


def test_whoever_holds_the_claim_wins_against_an_earlier_one(
    runner: Sandbox, stores: Stores
) -> None:
    """An entry whose claim is refused does not count against the cap."""
    stores.put("DIGEST", digest("lost"), image_tag="elsewhere")
    stores.put("DIGEST", digest(1), image_tag="holder")
    stores.put_entry("first", image_digest=digest(1), published_at="2026-10-01T00:00:00Z")
    stores.put_entry("nobody", image_digest=digest("lost"), published_at="2026-10-02T00:00:00Z")
    stores.put_entry("holder", image_digest=digest(1), published_at="2026-10-03T00:00:00Z")
    stores.put_entry("plain", published_at="2026-10-04T00:00:00Z")
    report = runner.sync(cap=1)
    assert _counts(report) == {"inserted": 1, "deferred": 1}
    assert _rejected(report) == {("first", "digest_in_use"), ("nobody", "digest_in_use")}
    assert _tags(stores) == ["holder"]
    assert runner.sync(cap=1).inserted == 1
    assert _tags(stores) == ["holder", "plain"]


def test_a_refused_claim_fills_nothing(
    sandbox: Sandbox, runner: Sandbox, stores: Stores
) -> None:
    """A row whose entry is refused the claim changes in nothing."""
    sandbox.publish("tag")
    stores.put("DIGEST", digest(1), image_tag="elsewhere")
    stores.put_entry("tag", image_digest=digest(1), openclaw_version="2026.12.1")
    report = runner.sync()
    assert (_counts(report), _rejected(report)) == ({}, {("tag", "digest_in_use")})


def test_a_second_run_has_nothing_to_write(
    world: Sandbox, runner: Sandbox, stores: Stores
) -> None:
    """It writes only its own record and when open findings were last seen."""
    world.retire("v4")
    stores.put_entry("new")
    stores.put_entry("thief", image_digest=digest(1))
    stores.put("POINTER", "beta", revision=1, latest_tag="ghost")
    runner.sync()
    before = dump(stores)
    report = runner.sync()
    after = dump(stores)
    assert changed(before, after) == {"kiloclaw_sync_runs", "kiloclaw_sync_findings"}
    assert len(after["kiloclaw_sync_runs"]) == len(before["kiloclaw_sync_runs"]) + 1
    assert _counts(report) == {"unchanged": 5}
    assert _rejected(report) == {("thief", "digest_in_use"), ("beta", "pointer_pending")}
    findings = stores.sql(
        "SELECT image_tag, first_seen < last_seen, resolved_at"
        "  FROM kiloclaw_sync_findings ORDER BY image_tag"
    )
    assert findings == [("beta", True, None), ("thief", True, None)]


def test_only_a_run_that_changed_something_is_in_the_log(
    runner: Sandbox, stores: Stores
) -> None:
    """Such a run has one event, with its counts."""
    stores.put_entry("new")
    reports = [runner.sync() for _ in range(3)]
    events = stores.sql(
        "SELECT actor, subject_id, after ->> 'inserted', request_id FROM kiloclaw_audit_log"
        " WHERE action = 'sync.finished'"
    )
    run_id = str(reports[0].run_id)
    assert events == [("kv", run_id, "1", run_id)]


def test_another_run_is_at_work(runner: Sandbox, stores: Stores) -> None:
    """The second run ends at once and writes only its own record."""
    stores.put_entry("new")
    before = dump(stores)
    with stores.server_connection() as connection:
        connection.execute("SELECT pg_advisory_lock(hashtext('kiloclaw_sync'))")
        report = runner.sync()
    assert (report.outcome, report.seen) == ("skipped_locked", 0)
    assert changed(before, dump(stores)) == {"kiloclaw_sync_runs"}
    assert runner.sync().inserted == 1


@pytest.mark.parametrize(
    ("broken", "error"),
    [
        (lambda stores: {"kv": KV(unreachable(), stores.table)}, KVUnavailable),
        (lambda _stores: {"catalog": closed_catalog()}, CatalogUnavailable),
    ],
)
def test_a_store_that_is_down_ends_a_run(
    runner: Sandbox,
    stores: Stores,
    broken: Callable[[Stores], dict[str, Any]],
    error: type[Exception],
) -> None:
    """The run raises and writes nothing, not even its own record."""
    stores.put_entry("new")
    before = dump(stores)
    whole: dict[str, Any] = {"catalog": runner.catalog, "kv": runner.kv}
    with pytest.raises(error):
        run_sync(**(whole | broken(stores)), cap=0, trigger="schedule")
    assert dump(stores) == before


def test_a_kv_that_is_lost_halfway_leaves_the_first_half(
    runner: Sandbox, stores: Stores
) -> None:
    """The entries are in, and variants that could not be reconciled wait for the next run."""
    stores.put_entry("new")
    stores.put("POINTER", "default", revision=1, latest_tag="new")
    client = Refusing(stores.client, *[DOWN] * 9, operation="batch_get_item")
    kv = KV(client, stores.table)
    report = run_sync(catalog=runner.catalog, kv=kv, cap=0, trigger="schedule")
    assert (report.inserted, report.failed_variants) == (1, ("default",))
    assert "failed_variants" not in report.as_json()
    assert runner.sync().pointers_copied == 1
    assert faults(stores) == []


def test_a_pointer_that_never_rests_waits_for_the_next_run(
    world: Sandbox, runner: Sandbox, stores: Stores
) -> None:
    """Its variant counts as failed, and a finding about its pointer stays open."""
    world.disable("v4")
    stores.put("POINTER", "default", revision="x")
    runner.sync()
    revisions = iter(range(8, 20))

    def pipeline() -> None:
        stores.put("POINTER", "default", revision=next(revisions), latest_tag="v4")

    pipeline()
    kv = KV(Interposing(stores.client, "put_item", *[pipeline] * 3), stores.table)
    report = run_sync(catalog=runner.catalog, kv=kv, cap=0, trigger="schedule")
    assert report.failed_variants == ("default",)
    assert stores.sql(
        "SELECT image_tag FROM kiloclaw_sync_findings WHERE resolved_at IS NULL"
    ) == [("default",)]


def test_a_locked_variant_does_not_keep_the_others_waiting(
    world: Sandbox, runner: Sandbox, stores: Stores
) -> None:
    """It is left for the next run, and a finding about its pointer stays open."""
    world.promote("b1")
    stores.put("POINTER", "beta", revision="x")
    stores.put("POINTER", "default", revision=7, latest_tag="v1")
    stores.put("POINTER", "gamma", revision="x")
    runner.sync()
    stores.put("POINTER", "beta", revision="y")
    stores.put("POINTER", "default", revision=8, latest_tag="v4")
    stores.client.delete_item(
        TableName=stores.table, Key={"pk": {"S": "POINTER"}, "sk": {"S": "gamma"}}
    )
    impatient = Sandbox(stores, stores.client, "sync")
    with stores.server_connection() as connection:
        short = sql.SQL("ALTER ROLE kiloclaw_sync IN DATABASE {} SET lock_timeout = '100ms'")
        connection.execute(short.format(sql.Identifier(stores.dbname)))
        with connection.transaction():
            connection.execute(
                "SELECT FROM kiloclaw_variants WHERE variant = 'beta' FOR UPDATE"
            )
            report = impatient.sync()
    impatient.close()
    assert (report.outcome, report.failed_variants) == ("ok", ("beta",))
    assert report.pointers_copied == 1
    assert stores.sql(
        "SELECT image_tag FROM kiloclaw_sync_findings WHERE resolved_at IS NULL"
    ) == [("beta",)]
    assert runner.sync().failed_variants == ()
