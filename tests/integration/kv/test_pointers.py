"""Pointers: written only over what was read, and read whatever is there."""

from dataclasses import replace

import pytest

from shared.domain.pointer import Pointer, Rollout, StoredPointer
from shared.kv import KV
from shared.kv.pointers import Pointers
from tests.integration.kv.test_entries import AT
from tests.support.failing_clients import lose_reply
from tests.support.stores import Stores

FIRST = Pointer(1, "one", cause="request-1")
SECOND = Pointer(2, "one", Rollout("two", 25, "salt"), cause="request-2")


@pytest.fixture
def pointers(stores: Stores) -> Pointers:
    """The pointers of an empty table."""
    return KV(stores.client, stores.table).pointers


def _put(pointers: Pointers, pointer: Pointer, over: StoredPointer) -> bool:
    return pointers.put("default", pointer, over=over, by="ada@example.com", at=AT)


def test_a_pointer_is_written_as_contracted(stores: Stores, pointers: Pointers) -> None:
    """Numbers are written as N, and what is absent is left out."""
    assert _put(pointers, FIRST, StoredPointer())
    item = {
        "pk": {"S": "POINTER"},
        "sk": {"S": "default"},
        "revision": {"N": "1"},
        "latest_tag": {"S": "one"},
        "updated_at": {"S": "2026-11-01T00:00:00.000000Z"},
        "moved_by": {"S": "ada@example.com"},
        "cause": {"S": "request-1"},
    }
    assert stores.item("POINTER", "default") == item
    assert _put(pointers, SECOND, pointers.read("default", Pointer()))
    assert stores.item("POINTER", "default") == item | {
        "revision": {"N": "2"},
        "candidate_tag": {"S": "two"},
        "percent": {"N": "25"},
        "salt": {"S": "salt"},
        "held": {"BOOL": False},
        "cause": {"S": "request-2"},
    }


def test_what_was_written_is_read(pointers: Pointers) -> None:
    """A pointer is read with the revision on which the next write depends."""
    assert pointers.read("default", Pointer()) == StoredPointer()
    _put(pointers, SECOND, StoredPointer())
    found = pointers.read("default", Pointer())
    assert found == StoredPointer(
        SECOND, revision=2, token={"N": "2"}, moved_by="ada@example.com"
    )


def test_a_pointer_that_moved_is_not_overwritten(pointers: Pointers) -> None:
    """A write demands that the pointer is absent, or still at the revision that was read."""
    _put(pointers, FIRST, StoredPointer())
    found = pointers.read("default", Pointer())
    assert not _put(pointers, SECOND, StoredPointer())
    assert _put(pointers, SECOND, found)
    assert not _put(pointers, replace(SECOND, latest_tag="three"), found)
    assert pointers.read("default", Pointer()).pointer == SECOND


def test_a_lost_reply_of_our_own_write(kv: KV) -> None:
    """The second attempt meets what the first has written, and that is success."""
    lose_reply(kv.table.client)
    assert _put(kv.pointers, FIRST, StoredPointer())
    lose_reply(kv.table.client)
    assert not _put(kv.pointers, replace(FIRST, cause="another"), StoredPointer())


@pytest.mark.parametrize(
    ("attributes", "revision"),
    [
        ({}, 0),
        ({"revision": "1", "latest_tag": "one"}, 0),
        ({"revision": 0, "latest_tag": "one"}, 0),
        ({"revision": 1_000_006, "latest_tag": "one"}, 0),
        ({"revision": {"N": "1.5"}, "latest_tag": "one"}, 0),
        ({"revision": {"L": []}, "latest_tag": "one"}, 0),
        ({"revision": 7, "latest_tag": "latest"}, 7),
        ({"revision": 7, "latest_tag": "one", "candidate_tag": "two", "percent": 101}, 7),
    ],
)
def test_a_malformed_pointer_is_told_and_can_be_replaced(
    stores: Stores, pointers: Pointers, attributes: dict[str, object], revision: int
) -> None:
    """Whatever stands where the revision should be is what the next write depends on."""
    stores.put("POINTER", "default", **attributes)
    found = pointers.read("default", Pointer(5, "one"))
    assert found.pointer is None
    assert found.fault
    assert found.revision == revision
    assert _put(pointers, Pointer(8, "one"), found)
    assert not _put(pointers, Pointer(9, "one"), found)


def test_all_variants_are_listed(stores: Stores, pointers: Pointers) -> None:
    """Every variant is listed past the end of a page, even one with an illegal name."""
    assert pointers.variants() == []
    names = ["No Variant", *[f"variant-{number}" for number in range(4)]]
    for name in names:
        stores.put("POINTER", name, note="x" * 380_000)
    assert pointers.variants() == names
