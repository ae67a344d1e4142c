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


@pytest.mark.parametrize(
    "take_over",
    [
        lambda entries, _: register(entries, WHOLE, "another call"),
        lambda entries, _: entries.claim(digest("tag"), "tag", "sync"),
        lambda _, stores: stores.put_entry("tag", image_digest=digest("tag")),
        lambda entries, _: entries.bury(WHOLE, NOW),
    ],
    ids=["registered again", "claimed by sync", "written by the pipeline", "buried"],
)
def test_an_undo_leaves_what_others_have_taken_over(
    stores: Stores, entries: Entries, take_over: Callable[[Entries, Stores], object]
) -> None:
    """An undo deletes the entry and the claim, or neither."""
    registration = register(entries, WHOLE)
    take_over(entries, stores)
    before = stores.items()
    entries.undo(registration)
    assert stores.items() == before
