"""The runs of the sync, and what they found until it is mended."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest

from shared.catalog import runs
from shared.catalog.runs import OpenFinding, Run, Trigger
from shared.catalog.transaction import Catalog
from shared.domain.sync import PastRun
from shared.domain.sync_report import Finding, Outcome, SyncReport
from shared.domain.values import rfc3339
from tests.support.catalog_fixture import LIMITS, sort_by_hand, walk
from tests.support.stores import CatalogStore

EPOCH = datetime(2026, 11, 1, tzinfo=UTC)
LOST = Finding("one", "missing", "the KV lost it")
USED = Finding("two", "digest_in_use", "the digest belongs to one")
ODD = Finding("default", "invalid_pointer", "revision must be an integer")
LATE = Finding("beta", "pointer_pending", "its entry is not there yet")


@pytest.fixture
def catalog(store: CatalogStore) -> Iterator[Catalog]:
    """The catalog with the rights of `sync`."""
    catalog = store.catalog("sync")
    yield catalog
    catalog.database.close()


def _run(
    catalog: Catalog,
    outcome: Outcome,
    seen: int | None,
    minutes: int = 0,
    trigger: Trigger = "schedule",
) -> UUID:
    """Store a run that started so many minutes after the first; unfinished if None was seen."""
    run_id = uuid4()
    with catalog.transaction() as tx:
        tx.runs.record(run_id, EPOCH + timedelta(minutes=minutes), outcome, trigger)
        if seen is not None:
            counts = {"seen": seen} if outcome != "skipped_locked" else {}
            tx.runs.finish(run_id, counts, changed=False)
    return run_id


def _pages(catalog: Catalog, limit: int) -> list[Run]:
    with catalog.transaction() as tx:
        sort_by_hand(tx.connection)
        return walk(tx.runs.page, lambda run: (rfc3339(run.started_at), run.id), limit)


def test_one_run_has_the_lock(catalog: Catalog, store: CatalogStore) -> None:
    """The lock is held until the transaction ends, and a second run learns of it at once."""
    other = store.catalog("admin_api")
    with catalog.transaction() as tx, other.transaction() as rival:
        assert tx.runs.try_lock()
        assert not rival.runs.try_lock()
    with other.transaction() as rival:
        assert rival.runs.try_lock()
    other.database.close()


def test_the_clock_goes_on_in_a_transaction(catalog: Catalog) -> None:
    """It is the time of the call, not of the transaction's start."""
    with catalog.transaction() as tx:
        assert tx.runs.now() < tx.runs.now()


def test_pages_of_any_size_give_every_finished_run_once(catalog: Catalog) -> None:
    """The newest come first, runs of one moment by id, and unfinished ones are left out."""
    for number in range(9):
        _run(catalog, "ok", number, minutes=number // 3)
    _run(catalog, "ok", None, minutes=5)
    everything = _pages(catalog, 100)
    assert len(everything) == 9
    assert everything == sorted(everything, key=lambda run: (run.started_at, run.id))[::-1]
    for limit in LIMITS:
        assert _pages(catalog, limit) == everything


def test_a_run_is_kept_with_its_report(catalog: Catalog) -> None:
    """A stored run has its times, its outcome, its trigger and its report."""
    run_id = _run(catalog, "suspect_partial", 7, trigger="api")
    [run] = _pages(catalog, 5)
    assert run.finished_at is not None
    assert run == Run(run_id, EPOCH, run.finished_at, "suspect_partial", {"seen": 7}, "api")
    assert run.report == SyncReport(run_id, "suspect_partial", seen=7)


@pytest.mark.parametrize(
    ("runs", "past"),
    [
        ([], []),
        ([("ok", 10)], [("ok", 10)]),
        ([("ok", 10), ("ok", 11), ("ok", 12)], [("ok", 12), ("ok", 11)]),
        ([("ok", 10), ("ok", None)], [("ok", 10)]),
        ([("ok", 10), ("skipped_locked", 0), ("skipped_locked", 0)], [("ok", 10)]),
        ([("ok", 10), ("suspect_partial", 3)], [("suspect_partial", 3), ("ok", 10)]),
        (
            [("ok", 9), ("ok", 10), ("suspect_partial", 3), ("suspect_partial", 3)],
            [("suspect_partial", 3), ("suspect_partial", 3), ("ok", 10)],
        ),
    ],
)
def test_the_past_is_the_last_two_and_the_last_good_run(
    catalog: Catalog, runs: list[tuple[Outcome, int | None]], past: list[tuple[Outcome, int]]
) -> None:
    """Only runs that read the KV to the end count, the newest first."""
    for minutes, (outcome, seen) in enumerate(runs):
        _run(catalog, outcome, seen, minutes)
    with catalog.transaction() as tx:
        assert tx.runs.past() == [PastRun(*run) for run in past]


def test_the_age_is_that_of_the_last_good_run(catalog: Catalog) -> None:
    """It is in seconds since the end of that run; no other run changes it."""
    with catalog.transaction() as tx:
        assert tx.runs.age() is None
    _run(catalog, "ok", 3)
    with catalog.transaction() as tx:
        first = tx.runs.age()
    _run(catalog, "suspect_partial", 1, minutes=1)
    _run(catalog, "skipped_locked", 0, minutes=2)
    _run(catalog, "ok", None, minutes=3)
    with catalog.transaction() as tx:
        second = tx.runs.age()
    assert first is not None
    assert second is not None
    assert 0 < first < second < 3600


def _open(catalog: Catalog, limit: int = 100) -> list[OpenFinding]:
    with catalog.transaction() as tx:
        return walk(tx.runs.findings, lambda finding: finding.id, limit)


def _report(catalog: Catalog, minutes: int, *findings: Finding) -> None:
    with catalog.transaction() as tx:
        tx.runs.report(findings, EPOCH + timedelta(minutes=minutes))


def _resolve(catalog: Catalog, minutes: int, *keep: str, pointers: bool = False) -> None:
    with catalog.transaction() as tx:
        tx.runs.resolve(EPOCH + timedelta(minutes=minutes), pointers=pointers, keep=keep)


def _count_open(catalog: Catalog) -> int:
    with catalog.transaction() as tx:
        return tx.runs.count_open()


def test_a_finding_is_open_until_it_is_not_found_any_more(catalog: Catalog) -> None:
    """It keeps when it was first seen and learns when it was last seen."""
    _report(catalog, 0, LOST, USED)
    assert _count_open(catalog) == 2
    _report(catalog, 1, USED)
    _resolve(catalog, 1)
    assert _count_open(catalog) == 1
    [left] = _open(catalog)
    assert Finding(left.image_tag, "digest_in_use", left.detail) == USED
    assert (left.first_seen, left.last_seen) == (EPOCH, EPOCH + timedelta(minutes=1))
    _report(catalog, 2, LOST)
    assert len(_open(catalog)) == _count_open(catalog) == 2


def test_what_is_found_twice_in_a_run_is_one_finding(catalog: Catalog) -> None:
    """Two entries can look the same once their long keys are cut."""
    _report(catalog, 0, LOST, USED, LOST)
    _report(catalog, 1, LOST, LOST)
    assert len(_open(catalog)) == 2


def test_nothing_found_is_nothing_written(catalog: Catalog) -> None:
    """A run without findings opens none."""
    _report(catalog, 0)
    assert _open(catalog) == []


def test_findings_in_entries_and_in_pointers_are_resolved_apart(catalog: Catalog) -> None:
    """The findings about entries are closed before pointers are looked at."""
    _report(catalog, 0, LOST, ODD, LATE)
    _resolve(catalog, 1)
    codes = {finding.code for finding in _open(catalog)}
    assert codes == {"invalid_pointer", "pointer_pending"}
    _resolve(catalog, 2, pointers=True)
    assert _open(catalog) == []


def test_a_finding_about_a_variant_that_nobody_looked_at_stays_open(catalog: Catalog) -> None:
    """The run that could not reconcile the variant does not know whether it was mended."""
    _report(catalog, 0, ODD, LATE)
    _resolve(catalog, 1, "default", pointers=True)
    assert [finding.image_tag for finding in _open(catalog)] == ["default"]
    _resolve(catalog, 1, "default")
    assert [finding.image_tag for finding in _open(catalog)] == ["default"]


def test_an_older_run_takes_nothing_back(catalog: Catalog) -> None:
    """A slow run changes no finding that a later run has seen."""
    _report(catalog, 5, LOST)
    _report(catalog, 4, LOST)
    _resolve(catalog, 5)
    [left] = _open(catalog)
    assert left.last_seen == EPOCH + timedelta(minutes=5)


def test_pages_of_any_size_give_every_finding_once(catalog: Catalog) -> None:
    """The newest come first, and resolved findings are left out."""
    _report(catalog, 0, LOST)
    _resolve(catalog, 1)
    for number in range(9):
        _report(catalog, 2, Finding(f"tag-{number}", "invalid_entry", "odd"))
    everything = _open(catalog)
    assert [finding.image_tag for finding in everything] == [
        f"tag-{number}" for number in reversed(range(9))
    ]
    for limit in LIMITS:
        assert _open(catalog, limit) == everything


def _old_run(
    store: CatalogStore, days: float, outcome: Outcome = "ok", *, changed: bool = False
) -> None:
    store.sql(
        "INSERT INTO kiloclaw_sync_runs (started_at, outcome, counts, trigger, changed)"
        " VALUES (now() - %(days)s * interval '1 day', %(outcome)s, %(counts)s, 'schedule',"
        "         %(changed)s)",
        days=days,
        outcome=outcome,
        counts='{"seen": 1}' if outcome == "ok" else "{}",
        changed=changed,
    )


def _prune(catalog: Catalog) -> int:
    with catalog.transaction() as tx:
        return tx.runs.prune()


def _ages(store: CatalogStore) -> list[tuple[int, bool]]:
    """The days and the effect of the runs that are left, the newest first."""
    return store.sql(
        "SELECT extract(day FROM now() - started_at)::integer, changed"
        "  FROM kiloclaw_sync_runs ORDER BY started_at DESC"
    )


def test_old_runs_are_pruned(catalog: Catalog, store: CatalogStore) -> None:
    """A run without effect is kept for 7 days, any other for 400."""
    for days in (6, 8, 399, 401):
        for changed in (True, False):
            _old_run(store, days, changed=changed)
    _old_run(store, 8, "skipped_locked")
    assert _prune(catalog) == 5
    assert sorted(_ages(store)) == [(6, False), (6, True), (8, True), (399, True)]
    assert _prune(catalog) == 0


def test_the_last_good_run_is_never_pruned(catalog: Catalog, store: CatalogStore) -> None:
    """However old it is, the next run compares its counts with it."""
    for days in (500, 600):
        _old_run(store, days)
    for days in (8, 9):
        _old_run(store, days, "suspect_partial")
    assert _prune(catalog) == 3
    assert _ages(store) == [(500, False)]
    with catalog.transaction() as tx:
        assert tx.runs.past() == [PastRun("ok", 1)]


def test_pruning_takes_a_bounded_number_of_rows(
    catalog: Catalog, store: CatalogStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The oldest go first, the next run goes on, and two runs at once do not wait."""
    for days in (1, 8, 9, 10):
        _old_run(store, days)
    monkeypatch.setattr(runs, "PRUNED_AT_ONCE", 2)
    other = store.catalog("sync")
    with catalog.transaction() as tx, other.transaction() as rival:
        assert tx.runs.prune() == 2
        assert rival.runs.prune() == 0
    other.database.close()
    assert _ages(store) == [(1, False), (8, False)]
    assert _prune(catalog) == 1


def test_resolved_findings_are_pruned(catalog: Catalog, store: CatalogStore) -> None:
    """They are kept for 400 days after they were resolved; open ones are kept for good."""
    _report(catalog, 0, LOST, USED, ODD)
    for code, days in (("missing", 399), ("digest_in_use", 401)):
        store.sql(
            "UPDATE kiloclaw_sync_findings"
            "   SET resolved_at = now() - %(days)s * interval '1 day',"
            "       first_seen = now() - interval '999 days' WHERE code = %(code)s",
            days=days,
            code=code,
        )
    assert _prune(catalog) == 1
    left = store.sql("SELECT code FROM kiloclaw_sync_findings ORDER BY code")
    assert left == [("invalid_pointer",), ("missing",)]
