"""Instance records: the newest decision stays, and who runs what can be asked."""

from dataclasses import replace

import pytest

from shared.deadline import Deadline
from shared.domain.model import Instance
from shared.domain.pointer import Pointer, StoredPointer
from shared.kv import KV
from shared.kv.instances import Count, Instances, Readings, Recorded
from tests.support.concurrent_actors import digest
from tests.support.failing_clients import Interposing, lose_reply
from tests.support.stores import Stores

EARLIER, LATER = "2026-11-01T10:00:00.000001Z", "2026-11-01T10:00:00.000002Z"
ANA = Instance(
    user_id="ana",
    image_tag="one",
    image_digest=None,
    openclaw_version="2026.11.1",
    variant="default",
    source="latest",
    is_pinned=False,
    resolved_at=EARLIER,
    decided_at=EARLIER,
)


@pytest.fixture
def instances(stores: Stores) -> Instances:
    """The records of an empty table."""
    return KV(stores.client, stores.table).instances


@pytest.fixture
def fleet(instances: Instances) -> Instances:
    """Seven users run one, three run two."""
    for number in range(10):
        tag = "one" if number < 7 else "two"
        instances.record(replace(ANA, user_id=f"user-{number}", image_tag=tag))
    return instances


def test_a_record_is_written_as_contracted(stores: Stores, instances: Instances) -> None:
    """The record has the contracted attributes, without a digest that is not known."""
    assert instances.record(ANA) == Recorded(recorded=True, previous=None)
    assert stores.item("INSTANCE#ana", "IMAGE") == {
        "pk": {"S": "INSTANCE#ana"},
        "sk": {"S": "IMAGE"},
        "user_id": {"S": "ana"},
        "running_tag": {"S": "one"},
        "openclaw_version": {"S": "2026.11.1"},
        "variant": {"S": "default"},
        "source": {"S": "latest"},
        "is_pinned": {"BOOL": False},
        "resolved_at": {"S": EARLIER},
        "decided_at": {"S": EARLIER},
    }
    assert instances.find("ana") == ANA
    assert instances.find("bob") is None


def test_a_later_decision_replaces_an_earlier_one(instances: Instances) -> None:
    """The later decision is told what was there before."""
    later = replace(ANA, image_tag="two", image_digest=digest("two"), decided_at=LATER)
    instances.record(ANA)
    assert instances.record(later) == Recorded(recorded=True, previous=ANA)
    assert instances.find("ana") == later


def test_an_earlier_decision_comes_too_late(instances: Instances) -> None:
    """An earlier decision is not recorded, and is told what is there."""
    later = replace(ANA, image_tag="two", decided_at=LATER)
    instances.record(later)
    assert instances.record(ANA) == Recorded(recorded=False, previous=later)
    assert instances.find("ana") == later


@pytest.mark.parametrize("before", [None, replace(ANA, image_tag="zero")], ids=str)
def test_a_lost_reply_hides_what_was_recorded_before(kv: KV, before: Instance | None) -> None:
    """The second attempt meets what the first one wrote, which is no previous decision."""
    if before:
        kv.instances.record(before)
    after = replace(ANA, decided_at=LATER)
    lose_reply(kv.table.client)
    assert kv.instances.record(after) == Recorded(
        recorded=True, previous=None, previous_known=False
    )
    assert kv.instances.find("ana") == after


def test_another_decision_of_the_same_moment_is_a_previous_one(instances: Instances) -> None:
    """Only the very same record counts as our own."""
    other = replace(ANA, image_tag="other")
    instances.record(other)
    assert instances.record(ANA) == Recorded(recorded=True, previous=other)


def test_a_record_that_is_not_whole_is_none(stores: Stores, instances: Instances) -> None:
    """A damaged record is as good as none and is written over."""
    instances.record(ANA)
    whole = stores.item("INSTANCE#ana", "IMAGE") or {}
    del whole["pk"], whole["sk"]
    damaged = [
        whole | {name: {"S": value}}
        for name, value in (
            ("running_tag", "a\0"), ("variant", "UP"), ("source", "?"), ("is_pinned", "no")
        )
    ]  # fmt: skip
    for attributes in ({}, {"running_tag": "one"}, *damaged):
        stores.put("INSTANCE#ana", "IMAGE", **attributes)
        assert instances.find("ana") is None
        assert instances.record(ANA) == Recorded(recorded=True, previous=None)


def test_a_record_is_forgotten_once(instances: Instances) -> None:
    """The second call says that there was none."""
    instances.record(ANA)
    assert instances.forget("ana")
    assert not instances.forget("ana")
    assert instances.find("ana") is None


@pytest.mark.parametrize("operation", ["BatchGetItem", "DeleteItem"])
def test_a_lost_reply_does_not_hide_what_was_forgotten(kv: KV, operation: str) -> None:
    """The answer says that there was a record; the next one says that there is none."""
    kv.instances.record(ANA)
    lose_reply(kv.table.client, operation)
    assert kv.instances.forget("ana") is True
    lose_reply(kv.table.client)
    assert kv.instances.forget("ana") is False


def test_of_two_who_forget_at_once_one_is_told(stores: Stores, instances: Instances) -> None:
    """The second delete finds nothing, though both had read the record."""
    instances.record(ANA)
    late = Interposing(stores.client, "delete_item", lambda: instances.forget("ana"))
    assert KV(late, stores.table).instances.forget("ana") is False


def test_the_record_comes_with_the_pointer(stores: Stores, instances: Instances) -> None:
    """Record and pointer are read together, and either may be missing."""
    nothing = Readings(None, record_read=True, stored=StoredPointer())
    assert instances.read_with_pointer("ana", "default", Pointer()) == nothing
    instances.record(ANA)
    stores.put("POINTER", "default", revision=1, latest_tag="one")
    read = instances.read_with_pointer("ana", "default", Pointer())
    assert (read.instance, read.record_read) == (ANA, True)
    assert read.stored is not None
    assert read.stored.pointer == Pointer(1, "one")


def test_many_at_once(fleet: Instances) -> None:
    """Users without a record are left out."""
    found = fleet.find_all(["user-1", "nobody", "user-8"])
    assert {user: record.image_tag for user, record in found.items()} == {
        "user-1": "one",
        "user-8": "two",
    }


@pytest.mark.parametrize(
    ("tag", "expected"), [("one", 7), ("two", 3), (None, 10), ("three", 0)]
)
def test_pages_of_who_runs_what(fleet: Instances, tag: str | None, expected: int) -> None:
    """Every user comes once, however small the pages are."""
    users: list[str] = []
    after = None
    while True:
        page = fleet.page(tag, after, 2)
        assert len(page.users) <= 2
        users += page.users
        if page.next is None:
            break
        after = page.next
    assert len(users) == len(set(users)) == expected


def test_only_instances_are_in_the_index(stores: Stores, fleet: Instances) -> None:
    """Entries and pointers are not in the index, because they have no running tag."""
    stores.put_entry("one")
    stores.put("POINTER", "default", revision=1, latest_tag="one")
    assert len(fleet.page(None, None, 100).users) == 10


def test_counting(fleet: Instances) -> None:
    """A count says whether there was time to complete it."""
    assert fleet.count("one") == Count(7, complete=True)
    assert fleet.count("three") == Count(0, complete=True)
    assert fleet.count("one", seconds=0) == Count(0, complete=False)


def test_counting_ends_with_the_event(fleet: Instances) -> None:
    """A count takes no more time than the event has left."""
    fleet.table.deadline = Deadline(0)
    assert fleet.count("one") == Count(0, complete=False)


def test_counting_page_by_page(stores: Stores, instances: Instances) -> None:
    """A count goes on past the megabyte that a page holds."""
    tag, suffix = "t" * 128, "u" * 850
    puts = [
        {
            "PutRequest": {
                "Item": {
                    "pk": {"S": f"INSTANCE#{number}"},
                    "sk": {"S": "IMAGE"},
                    "running_tag": {"S": tag},
                    "user_id": {"S": f"{number}-{suffix}"},
                }
            }
        }
        for number in range(1100)
    ]
    for start in range(0, len(puts), 25):
        stores.client.batch_write_item(RequestItems={stores.table: puts[start : start + 25]})
    assert instances.count(tag) == Count(1100, complete=True)
