"""Statements about one version: found, added, republished, changed, retired."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from shared.catalog.connection import Database
from shared.catalog.transaction import Catalog, Transaction
from shared.domain.errors import DigestInUse, VersionNotFound
from shared.domain.model import ImageEntry, Version
from tests.support.concurrent_actors import digest
from tests.support.stores import CatalogStore

AT = datetime(2026, 11, 1, tzinfo=UTC)
ONE = ImageEntry("one", "2026.11.1", "default", AT, digest(1))
TWO = ImageEntry("two", "2026.11.2", "gpu", AT)


@pytest.fixture
def catalog(database: Database) -> Catalog:
    """As the admin API has it."""
    return Catalog(database)


@pytest.fixture
def tx(catalog: Catalog) -> Iterator[Transaction]:
    """A transaction in which one version with a digest and one without were published."""
    with catalog.transaction() as transaction:
        assert transaction.versions.insert(ONE, "ci@example.com", "first notes")
        assert transaction.versions.insert(TWO, "ci@example.com", None)
        yield transaction


def _entry(version: Version) -> ImageEntry:
    return ImageEntry(
        version.image_tag,
        version.openclaw_version,
        version.variant,
        version.published_at,
        version.image_digest,
    )


def test_a_published_version_is_as_it_was_published(tx: Transaction) -> None:
    """It is active at revision 1, with the publisher's time and not the catalog's."""
    version = tx.versions.get("one")
    assert _entry(version) == ONE
    assert (version.status, version.revision) == ("active", 1)
    assert (version.published_by, version.notes) == ("ci@example.com", "first notes")
    assert version.missing_since is version.retired_at is None
    assert version.rollout_percent is None
    assert version.created_at == version.updated_at > AT
    assert not version.is_latest


@pytest.mark.parametrize(
    "entry",
    [
        replace(ONE, image_digest=digest("another")),
        replace(ONE, image_tag="three"),
        replace(TWO, image_digest=digest(2)),
    ],
    ids=["tag is there", "digest is there", "tag is there without digest"],
)
@pytest.mark.parametrize("found_in_kv", [False, True])
def test_what_is_there_is_not_added_again(
    tx: Transaction, entry: ImageEntry, *, found_in_kv: bool
) -> None:
    """A tag or digest that is there is neither added nor replaced, and is no error."""
    before = tx.versions.find("one"), tx.versions.find("two"), tx.versions.find("three")
    if found_in_kv:
        assert not tx.versions.insert_found(entry)
    else:
        assert not tx.versions.insert(entry, "eve@example.com", "other notes")
    after = tx.versions.find("one"), tx.versions.find("two"), tx.versions.find("three")
    assert after == before


def test_a_version_found_in_the_kv_was_published_by_nobody_we_know(tx: Transaction) -> None:
    """Its own publish time stands, however late it was found."""
    found = ImageEntry("three", "2026.11.3", "gpu", AT - timedelta(days=900), digest(3))
    assert tx.versions.insert_found(found)
    version = tx.versions.get("three")
    assert _entry(version) == found
    assert version.published_by is version.notes is None


@pytest.mark.parametrize(
    ("entry", "notes", "changed"),
    [
        (replace(ONE, openclaw_version="2026.11.9"), None, {"openclaw_version": "2026.11.9"}),
        (ONE, "new notes", {"notes": "new notes"}),
        (ONE, "", {"notes": ""}),
        (replace(TWO, image_digest=digest(2)), None, {"image_digest": digest(2)}),
        (replace(TWO, image_digest=digest(2)), "n", {"image_digest": digest(2), "notes": "n"}),
    ],
)
def test_a_version_published_again_takes_over_what_is_said(
    tx: Transaction, entry: ImageEntry, notes: str | None, changed: dict[str, Any]
) -> None:
    """What is given changes, at one revision more, and nothing else does."""
    before = tx.versions.get(entry.image_tag)
    assert tx.versions.republish(entry, notes)
    after = tx.versions.get(entry.image_tag)
    assert after == replace(before, **changed, revision=2, updated_at=after.updated_at)


@pytest.mark.parametrize(
    ("entry", "notes"),
    [
        (ONE, None),
        (ONE, "first notes"),
        (replace(ONE, image_digest=None), None),
        (replace(ONE, image_digest=digest("another")), None),
        (TWO, None),
        (replace(ONE, image_tag="nothing"), None),
    ],
)
def test_a_version_published_again_the_same_is_no_change(
    tx: Transaction, entry: ImageEntry, notes: str | None
) -> None:
    """What is omitted stays, and a known digest is neither erased nor replaced."""
    before = tx.versions.find(entry.image_tag)
    assert not tx.versions.republish(entry, notes)
    assert tx.versions.find(entry.image_tag) == before


def test_a_version_published_again_is_no_longer_missing(
    catalog: Catalog, store: CatalogStore
) -> None:
    """Its entry is in the KV again, for it was put there first."""
    with catalog.transaction() as tx:
        tx.versions.insert(ONE, "ci@example.com", None)
    store.sql("UPDATE kiloclaw_available_versions SET missing_since = now()")
    with catalog.transaction() as tx:
        assert tx.versions.republish(ONE, None)
        assert tx.versions.get("one").missing_since is None


def test_a_digest_that_another_tag_has_is_refused_with_its_owner(catalog: Catalog) -> None:
    """The unique index refuses the digest even if the claim in the KV fails."""
    with catalog.transaction() as tx:
        tx.versions.insert(ONE, "ci@example.com", None)
        tx.versions.insert(TWO, "ci@example.com", None)
    again = replace(TWO, image_digest=ONE.image_digest)
    with pytest.raises(DigestInUse) as refused, catalog.transaction() as tx:
        tx.versions.republish(again, "notes")
    assert refused.value.facts == {"owner": "one"}
    with catalog.transaction() as tx:
        assert _entry(tx.versions.get("two")) == TWO


def test_statuses_are_what_a_pointer_may_make_of_them(tx: Transaction) -> None:
    """A version retired or of another variant is disabled; an unknown tag is absent."""
    tx.versions.set_status("two", "deprecated")
    tags = ["one", "two", "three"]
    assert tx.versions.statuses(tags, "default") == {"one": "active", "two": "disabled"}
    assert tx.versions.statuses(tags, "gpu") == {"one": "disabled", "two": "deprecated"}
    tx.versions.retire("one")
    assert tx.versions.statuses(tags, "default") == {"one": "disabled", "two": "disabled"}
    assert tx.versions.statuses([], "default") == {}


def test_a_digest_has_an_owner_for_good(tx: Transaction) -> None:
    """A digest stays its owner's after that was retired."""
    assert tx.versions.owner(digest(1)) == "one"
    assert tx.versions.owner(digest(2)) is None
    tx.versions.retire("one")
    assert tx.versions.owner(digest(1)) == "one"


@pytest.mark.parametrize(
    ("change", "name", "value"),
    [
        (lambda tx: tx.versions.set_status("one", "deprecated"), "status", "deprecated"),
        (lambda tx: tx.versions.set_notes("one", "other"), "notes", "other"),
        (lambda tx: tx.versions.set_notes("one", None), "notes", None),
    ],
)
def test_a_change_raises_the_revision_once(
    tx: Transaction, change: Callable[[Transaction], None], name: str, value: str | None
) -> None:
    """The same change again changes nothing, and other versions are not touched."""
    other = tx.versions.get("two")
    change(tx)
    change(tx)
    version = tx.versions.get("one")
    assert (getattr(version, name), version.revision) == (value, 2)
    assert tx.versions.get("two") == other


def test_a_retired_version_is_hidden_and_stays_taken(tx: Transaction) -> None:
    """A retired version is not found by `get`, and is an entry to bury for `sync`."""
    tx.versions.retire("one")
    with pytest.raises(VersionNotFound):
        tx.versions.get("one")
    version = tx.versions.find("one")
    assert version is not None
    assert (version.status, version.revision) == ("disabled", 2)
    assert version.retired_at is not None
    assert tx.versions.retired() == [ONE]
    assert tx.versions.deployable() == [TWO]
    assert not tx.versions.insert(ONE, "ci@example.com", None)


def test_a_version_that_is_not_there_is_not_found(tx: Transaction) -> None:
    """For an unknown tag `get` raises and `find` returns None."""
    assert tx.versions.find("three") is None
    with pytest.raises(VersionNotFound):
        tx.versions.get("three")
