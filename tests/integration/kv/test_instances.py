"""Instance records: the newest decision stays."""

from dataclasses import replace

import pytest

from shared.domain.model import Instance
from shared.domain.pointer import Pointer, StoredPointer
from shared.kv import KV
from shared.kv.instances import Instances, Readings, Recorded
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
