"""Sync and what is not there: lost entries, partial reads, tombstones, pointers of nobody."""

from typing import Any

from tests.support.concurrent_actors import Sandbox, digest
from tests.support.invariants import faults, mirrors, pointers
from tests.support.store_dump import dump
from tests.support.stores import Stores


def _lose(stores: Stores, pk: str, *names: str) -> None:
    for name in names:
        key = {"pk": {"S": pk}, "sk": {"S": name}}
        stores.client.delete_item(TableName=stores.table, Key=key)


def _missing(stores: Stores) -> list[str]:
    rows = stores.sql(
        "SELECT image_tag FROM kiloclaw_available_versions"
        " WHERE missing_since IS NOT NULL ORDER BY image_tag"
    )
    return [tag for (tag,) in rows]


def _findings(stores: Stores, *, is_open: bool = True) -> list[tuple[Any, ...]]:
    return stores.sql(
        "SELECT image_tag, code FROM kiloclaw_sync_findings"
        " WHERE (resolved_at IS NULL) = %(is_open)s ORDER BY image_tag, code",
        is_open=is_open,
    )


def _fill(stores: Stores, number: int) -> list[str]:
    tags = [f"tag-{index}" for index in range(number)]
    for tag in tags:
        stores.put_entry(tag, published_at="2026-10-01T00:00:00Z")
    return tags


def test_what_the_kv_lost_is_marked_and_never_deleted(
    world: Sandbox, runner: Sandbox, stores: Stores
) -> None:
    """A lost version that is pinned or latest is a finding, which closes when it is back."""
    _fill(stores, 15)
    runner.sync()
    _lose(stores, "IMAGE", "v1", "v3", "v4")
    report = runner.sync()
    assert (report.outcome, report.missing) == ("ok", 3)
    assert _missing(stores) == ["v1", "v3", "v4"]
    assert _findings(stores) == [("v1", "missing"), ("v3", "missing")]
    assert world.provision("ana").resolution.image.image_tag == "v3"
    after = dump(stores)["kiloclaw_available_versions"]
    assert runner.sync().missing == 3
    assert dump(stores)["kiloclaw_available_versions"] == after
    for tag in ("v1", "v3", "v4"):
        stores.put_entry(tag, **({"image_digest": digest(1)} if tag == "v1" else {}))
    report = runner.sync()
    assert (report.missing, _missing(stores)) == (0, [])
    assert _findings(stores) == []
    assert _findings(stores, is_open=False) == [("v1", "missing"), ("v3", "missing")]
    events = stores.sql(
        "SELECT count(*) FROM kiloclaw_audit_log WHERE action = 'sync.finished'"
    )
    assert events == [(4,)]


def test_an_invalid_entry_is_not_missing(runner: Sandbox, stores: Stores) -> None:
    """It is a finding until somebody mends it."""
    stores.put_entry("tag")
    runner.sync()
    stores.put_entry("tag", published_at="soon")
    assert runner.sync().missing == 0
    assert _findings(stores) == [("tag", "invalid_entry")]
    stores.put_entry("tag")
    assert runner.sync().rejected == ()
    assert _findings(stores) == []
    stores.put_entry("tag", published_at="soon")
    assert runner.sync().rejected_total == 1
    assert _findings(stores) == [("tag", "invalid_entry")]


def test_too_few_entries_are_not_believed_at_first(runner: Sandbox, stores: Stores) -> None:
    """Below 80 % of the last good run nothing is marked missing until the third such run."""
    tags = _fill(stores, 10)
    runner.sync()
    _lose(stores, "IMAGE", *tags[:2])
    assert runner.sync().outcome == "ok"
    assert _missing(stores) == tags[:2]
    _lose(stores, "IMAGE", *tags[2:4])
    for _ in range(2):
        report = runner.sync()
        assert (report.outcome, report.seen, report.missing) == ("suspect_partial", 6, 2)
        assert _missing(stores) == tags[:2]
    report = runner.sync()
    assert (report.outcome, report.missing) == ("ok", 4)
    assert _missing(stores) == tags[:4]


def test_counts_that_differ_are_not_believed(runner: Sandbox, stores: Stores) -> None:
    """Only the same count three times running is believed; an entry that is back is."""
    tags = _fill(stores, 10)
    runner.sync()
    _lose(stores, "IMAGE", *tags[:4])
    runner.sync()
    _lose(stores, "IMAGE", tags[4])
    for _ in range(2):
        assert runner.sync().outcome == "suspect_partial"
    stores.put_entry(tags[0])
    stores.put_entry("new")
    report = runner.sync()
    assert (report.outcome, report.inserted) == ("suspect_partial", 1)
    assert _missing(stores) == []


def test_a_suspect_run_still_sees_what_is_back(runner: Sandbox, stores: Stores) -> None:
    """An entry that arrived is marked as found, however many did not arrive."""
    tags = _fill(stores, 10)
    runner.sync()
    _lose(stores, "IMAGE", tags[0])
    runner.sync()
    _lose(stores, "IMAGE", *tags[1:5])
    stores.put_entry(tags[0])
    assert runner.sync().outcome == "suspect_partial"
    assert _missing(stores) == []


def test_tombstones_are_left_where_they_are_missing(
    sandbox: Sandbox, runner: Sandbox, stores: Stores
) -> None:
    """A retired tag stays retired if its tombstone was deleted or overwritten."""
    for tag in ("one", "two", "three"):
        sandbox.publish(tag, digest(tag))
        sandbox.retire(tag)
    _lose(stores, "IMAGE", "one")
    stores.put_entry("two", image_digest=digest("two"))
    stores.put_entry("three", published_at="soon")
    report = runner.sync()
    assert (report.inserted, report.updated, report.missing) == (0, 0, 0)
    assert faults(stores) == []
    assert len(stores.items("DIGEST")) == 3
    before = stores.items()
    runner.sync()
    assert stores.items() == before
    events = stores.sql(
        "SELECT count(*) FROM kiloclaw_audit_log WHERE action = 'sync.finished'"
    )
    assert events == [(1,)]


def test_pointers_of_every_variant_are_reconciled(
    world: Sandbox, runner: Sandbox, stores: Stores
) -> None:
    """That includes variants that one store alone knows; illegal names are findings."""
    world.promote("b1")
    _lose(stores, "POINTER", "beta")
    stores.put("POINTER", "default", revision=7, latest_tag="v4")
    stores.put_entry("g1", variant="gamma")
    stores.put("POINTER", "gamma", revision=3, latest_tag="g1")
    stores.put("POINTER", "No Variant", revision=1, latest_tag="v1")
    stores.put("POINTER", "delta", revision=1, latest_tag="latest")
    report = runner.sync()
    assert report.pointers_copied == 3
    assert report.rejected_total == 2
    assert {(finding.image_tag, finding.code) for finding in report.rejected} == {
        ("No Variant", "invalid_pointer"),
        ("delta", "invalid_pointer"),
    }
    assert mirrors(stores) == {
        pointer for pointer in pointers(stores) if pointer[0] in {"default", "beta", "gamma"}
    }
    _lose(stores, "POINTER", "No Variant", "delta")
    report = runner.sync()
    assert (report.rejected, report.pointers_copied) == ((), 0)
    assert _findings(stores) == []


def test_an_entry_that_a_pointer_names_does_not_wait_for_its_turn(
    runner: Sandbox, stores: Stores
) -> None:
    """Everybody gets it, so it must be in the catalog; the cap is for the others."""
    for number in range(5):
        stores.put_entry(f"tag-{number}", published_at=f"2026-10-0{number + 1}T00:00:00Z")
    stores.put(
        "POINTER", "default", revision=1, latest_tag="tag-4", candidate_tag="tag-3",
        percent=5, salt="s",
    )  # fmt: skip
    report = runner.sync(cap=1)
    assert (report.inserted, report.deferred, report.pointers_copied) == (3, 2, 1)
    assert mirrors(stores) == pointers(stores)
    assert stores.sql("SELECT image_tag FROM kiloclaw_available_versions ORDER BY 1") == [
        ("tag-0",), ("tag-3",), ("tag-4",),
    ]  # fmt: skip
    report = runner.sync(cap=1)
    assert (report.inserted, report.deferred) == (1, 1)
