"""Undoing a registration: only what this very call made, and only while it is still its own."""

from collections.abc import Callable

import pytest

from shared.kv.entries import Entries
from tests.integration.kv.test_entries import NOW, WHOLE, register
from tests.support.concurrent_actors import digest
from tests.support.stores import Stores


def test_an_undo_takes_back_what_the_call_made(stores: Stores, entries: Entries) -> None:
    """That is an entry with its claim, or the claim alone if the entry was there."""
    entries.undo(register(entries, WHOLE))
    assert stores.items() == []
    stores.put_entry("tag")
    entries.undo(register(entries, WHOLE))
    assert [item["pk"]["S"] for item in stores.items()] == ["IMAGE"]


def test_an_undo_of_an_entry_with_a_null(stores: Stores, entries: Entries) -> None:
    """A null `deleted_at` is an absent one, so nobody has retired the entry."""
    registration = register(entries, WHOLE)
    stores.put_entry(
        "tag", image_digest=digest("tag"), deleted_at={"NULL": True}, written_by="call"
    )
    entries.undo(registration)
    assert stores.items() == []


def test_an_undo_of_nothing(stores: Stores, entries: Entries) -> None:
    """A call that made nothing deletes nothing."""
    register(entries, WHOLE, "first")
    again = register(entries, WHOLE, "second")
    before = stores.items()
    entries.undo(again)
    assert stores.items() == before


def _registered_again(entries: Entries, _stores: Stores) -> None:
    register(entries, WHOLE, "another call")


def _claimed_by_sync(entries: Entries, _stores: Stores) -> None:
    entries.claim(digest("tag"), "tag", "sync")


def _written_by_the_pipeline(_entries: Entries, stores: Stores) -> None:
    stores.put_entry("tag", image_digest=digest("tag"))


def _buried(entries: Entries, _stores: Stores) -> None:
    entries.bury(WHOLE, NOW)


@pytest.mark.parametrize(
    "take_over", [_registered_again, _claimed_by_sync, _written_by_the_pipeline, _buried]
)
def test_an_undo_leaves_what_others_have_taken_over(
    stores: Stores, entries: Entries, take_over: Callable[[Entries, Stores], None]
) -> None:
    """An undo deletes the entry and the claim, or neither."""
    registration = register(entries, WHOLE)
    take_over(entries, stores)
    before = stores.items()
    entries.undo(registration)
    assert stores.items() == before
