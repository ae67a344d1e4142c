"""The set-based statements of the sync: many rows at once, each with its event."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from shared.catalog.batches import Missing
from shared.catalog.transaction import Catalog
from shared.domain.model import ImageEntry
from shared.domain.pointer import Pointer
from shared.domain.sync import Known
from tests.support.concurrent_actors import digest
from tests.support.stores import CatalogStore

AT = datetime(2026, 11, 1, tzinfo=UTC)
ONE = ImageEntry("one", "2026.11.1", "default", AT, digest(1))
TWO = ImageEntry("two", "2026.11.2", "default", AT - timedelta(days=400))
BIG = ImageEntry("big", "2026.11.1", "gpu", AT, digest(3))


@pytest.fixture
def catalog(store: CatalogStore) -> Iterator[Catalog]:
    """The catalog with the rights of `sync`."""
    catalog = store.catalog("sync")
    yield catalog
    catalog.database.close()


def _insert(catalog: Catalog, *entries: ImageEntry) -> int:
    with catalog.transaction() as tx:
        return tx.batches.insert(entries)


def _update(catalog: Catalog, *entries: ImageEntry) -> int:
    with catalog.transaction() as tx:
        return tx.batches.update(entries, tx.runs.now())


def _known(catalog: Catalog) -> dict[str, Known]:
    with catalog.transaction() as tx:
        return tx.batches.known()


def _events(store: CatalogStore, action: str) -> list[tuple[Any, ...]]:
    return store.sql(
        "SELECT subject_id, before, after FROM kiloclaw_audit_log"
        " WHERE actor = 'kv' AND subject_kind = 'version' AND action = %(action)s"
        " ORDER BY subject_id",
        action=action,
    )


def _as_json(entry: ImageEntry) -> dict[str, object]:
    return {
        "image_digest": entry.image_digest,
        "openclaw_version": entry.openclaw_version,
        "variant": entry.variant,
    }


def test_entries_become_versions_each_with_its_event(
    catalog: Catalog, store: CatalogStore
) -> None:
    """They have the KV's publish times, and each variant has a row to lock."""
    assert _insert(catalog, ONE, TWO, BIG) == 3
    assert _known(catalog) == {
        entry.image_tag: Known(
            entry.image_tag, entry.image_digest, entry.openclaw_version, entry.variant
        )
        for entry in (ONE, TWO, BIG)
    }
    assert _events(store, "version.published") == [
        (entry.image_tag, None, _as_json(entry)) for entry in (BIG, ONE, TWO)
    ]
    with catalog.transaction() as tx:
        assert tx.versions.get("two").published_at == TWO.published_at
        assert tx.versions.get("one").published_by is None
        assert tx.variants.all() == {"default": Pointer(), "gpu": Pointer()}


def test_what_is_there_by_now_is_left_alone(catalog: Catalog, store: CatalogStore) -> None:
    """A tag or digest that is in the catalog already is neither an error nor an event."""
    _insert(catalog, ONE)
    same_digest = replace(TWO, image_tag="thief", image_digest=ONE.image_digest)
    assert _insert(catalog, replace(ONE, image_digest=None), same_digest, BIG) == 1
    assert set(_known(catalog)) == {"one", "big"}
    assert [tag for tag, *_ in _events(store, "version.published")] == ["big", "one"]


def test_a_variant_that_is_pointed_at_stays_so(catalog: Catalog) -> None:
    """New versions move no pointer."""
    _insert(catalog, ONE)
    with catalog.transaction() as tx:
        tx.variants.save("default", Pointer(3, "one"))
    _insert(catalog, TWO)
    with catalog.transaction() as tx:
        assert tx.variants.all() == {"default": Pointer(3, "one")}


def test_versions_and_digests_are_taken_over(catalog: Catalog, store: CatalogStore) -> None:
    """Each change raises the revision by one and logs what was before."""
    _insert(catalog, ONE, TWO, BIG)
    filled = replace(TWO, image_digest=digest(2))
    renamed = replace(ONE, openclaw_version="2026.11.9")
    assert _update(catalog, filled, renamed) == 2
    known = _known(catalog)
    assert known["two"].image_digest == digest(2)
    assert known["one"].openclaw_version == "2026.11.9"
    before = {"image_digest": digest(1), "openclaw_version": "2026.11.1"}
    assert _events(store, "version.updated") == [
        ("one", before, before | {"openclaw_version": "2026.11.9"}),
        (
            "two",
            {"image_digest": None, "openclaw_version": "2026.11.2"},
            {"image_digest": digest(2), "openclaw_version": "2026.11.2"},
        ),
    ]
    with catalog.transaction() as tx:
        revisions = {tag: tx.versions.get(tag).revision for tag in ("one", "two", "big")}
    assert revisions == {"one": 2, "two": 2, "big": 1}


def test_a_known_digest_is_neither_replaced_nor_erased(
    catalog: Catalog, store: CatalogStore
) -> None:
    """A row whose entry contradicts it changes in nothing, and null erases nothing."""
    _insert(catalog, ONE)
    other = replace(ONE, image_digest=digest("other"), openclaw_version="2026.11.8")
    none = replace(ONE, image_digest=None, openclaw_version="2026.11.9")
    assert _update(catalog, other) == 0
    assert _known(catalog)["one"].image_digest == digest(1)
    _update(catalog, none)
    assert _known(catalog)["one"] == Known("one", digest(1), "2026.11.9", "default")
    assert len(_events(store, "version.updated")) == 1


def test_a_row_that_somebody_else_has_locked_is_left_for_the_next_run(
    catalog: Catalog, store: CatalogStore
) -> None:
    """No statement waits for a row, so `sync` is part of no deadlock; the other rows follow."""
    gone, back = replace(TWO, image_tag="gone"), replace(TWO, image_tag="back")
    _insert(catalog, ONE, TWO, BIG, gone, back)
    _mark(catalog, "back")
    rival = store.catalog("admin_api")
    with rival.transaction() as tx:
        for tag in ("two", "gone", "back"):
            tx.versions.lock_for_change(tag)
        renamed = [replace(entry, openclaw_version="2026.11.9") for entry in (ONE, TWO, BIG)]
        assert _update(catalog, *renamed) == 2
        assert _mark(catalog, "gone") == 0
        assert _mark_found(catalog, "back") == 0
    assert [tag for tag, *_ in _events(store, "version.updated")] == ["big", "one"]
    assert _update(catalog, *renamed) == 3
    assert _mark(catalog, "gone") == 1
    assert _mark_found(catalog, "back") == 1
    rival.database.close()


def test_a_row_that_is_newer_than_the_entry_is_not_overwritten(
    catalog: Catalog, store: CatalogStore
) -> None:
    """It changed after the KV was read, so the entry may be older than the row."""
    _insert(catalog, ONE)
    rival = store.catalog("admin_api")
    with catalog.transaction() as tx:
        read_at = tx.runs.now()
    with rival.transaction() as tx:
        tx.versions.republish(replace(ONE, openclaw_version="2026.11.9"), None)
    rival.database.close()
    with catalog.transaction() as tx:
        assert tx.batches.update([replace(ONE, openclaw_version="2026.11.2")], read_at) == 0
    assert _known(catalog)["one"].openclaw_version == "2026.11.9"
    assert _events(store, "version.updated") == []


def test_what_is_retired_or_unknown_is_not_updated(
    catalog: Catalog, store: CatalogStore
) -> None:
    """A retired version never changes, and an update adds no version."""
    _insert(catalog, ONE)
    store.sql("UPDATE kiloclaw_available_versions SET status = 'disabled', retired_at = now()")
    assert _update(catalog, replace(ONE, openclaw_version="2026.11.9"), TWO) == 0
    assert _known(catalog) == {
        "one": Known("one", digest(1), "2026.11.1", "default", retired=True)
    }
    assert _events(store, "version.updated") == []


def test_a_lost_row_is_marked_until_it_is_found_again(catalog: Catalog) -> None:
    """Each change of the mark raises the revision by one."""
    _insert(catalog, ONE, TWO)
    for _ in range(2):
        _mark(catalog, "one")
    assert [row.image_tag for row in _known(catalog).values() if row.missing] == ["one"]
    with catalog.transaction() as tx:
        assert tx.versions.get("one").revision == 2
        assert tx.batches.missing() == [Missing("one", None)]
    for _ in range(2):
        _mark_found(catalog, "one", "two")
    with catalog.transaction() as tx:
        assert tx.batches.missing() == []
        assert (tx.versions.get("one").revision, tx.versions.get("two").revision) == (3, 1)


def _mark(catalog: Catalog, *tags: str, ago: float = 0) -> int:
    with catalog.transaction() as tx:
        return tx.batches.mark_missing(tags, tx.runs.now() - timedelta(seconds=ago))


def _mark_found(catalog: Catalog, *tags: str) -> int:
    with catalog.transaction() as tx:
        return tx.batches.mark_found(tags)


def test_a_row_that_changed_since_the_kv_was_read_is_not_lost(catalog: Catalog) -> None:
    """Somebody may have published it after the KV was read."""
    _insert(catalog, ONE)
    _mark(catalog, "one", ago=60)
    assert not _known(catalog)["one"].missing


def test_what_is_missing_says_whether_it_matters(catalog: Catalog, store: CatalogStore) -> None:
    """It says whether the version is latest or pinned; retired versions are not missed."""
    gone = replace(TWO, image_tag="gone")
    _insert(catalog, ONE, TWO, BIG, gone)
    store.sql(
        "INSERT INTO kiloclaw_version_pins (user_id, image_tag, pinned_by)"
        " VALUES ('ada', 'two', 'eve'), ('bob', 'two', 'eve')"
    )
    store.sql(
        "UPDATE kiloclaw_available_versions SET status = 'disabled', retired_at = now()"
        " WHERE image_tag = 'gone'"
    )
    with catalog.transaction() as tx:
        tx.variants.save("gpu", Pointer(1, "big"))
    _mark(catalog, "one", "two", "big", "gone")
    with catalog.transaction() as tx:
        assert tx.batches.missing() == [
            Missing("big", "latest"),
            Missing("one", None),
            Missing("two", "pinned"),
        ]
    assert not _known(catalog)["gone"].missing
