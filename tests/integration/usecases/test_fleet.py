"""The fleet's copy follows the table's stream, whatever is repeated, late or malformed."""

import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from botocore.exceptions import ClientError

from infra.local.aws.stream import StreamReader
from shared.catalog.fleet import InstanceFilter
from shared.catalog.transaction import Catalog
from shared.domain.errors import CatalogUnavailable
from shared.domain.model import Instance
from shared.kv import KV
from shared.kv.stream import read_changes
from shared.usecases.fleet import Applied, apply_changes
from tests.support.concurrent_actors import Sandbox
from tests.support.failing_clients import Interposing, closed_catalog, refusal
from tests.support.stores import Stores, stream_client
from tests.support.stream_records import instance_item

USERS = ("ana", "bob", "oauth/google:114000741928328149731", "o'brien@example.com")


@pytest.fixture
def fleet(stores: Stores) -> Iterator[Catalog]:
    """The catalog as the function `fleet` sees it."""
    catalog = stores.catalog("fleet")
    yield catalog
    catalog.database.close()


@pytest.fixture
def reader(stores: Stores) -> StreamReader:
    """A poller of the table's stream."""
    return reader_of(stores)


def reader_of(stores: Stores) -> StreamReader:
    client = stream_client(stores)
    return StreamReader(client, stores.table)


def apply(records: list[dict[str, Any]], catalog: Catalog) -> Applied:
    return apply_changes(read_changes(records), catalog=catalog)


def rows(catalog: Catalog) -> dict[str, str]:
    """What the copy says that each user runs."""
    with catalog.transaction() as tx:
        found = tx.fleet.page(InstanceFilter(), "user_id", None, 1000)
    return {row.user_id: row.image_tag for row in found}


def in_kv(stores: Stores) -> dict[str, str]:
    """What the KV says that each user runs."""
    return {
        item["user_id"]["S"]: item["running_tag"]["S"]
        for item in stores.items()
        if item["pk"]["S"].startswith("INSTANCE#")
    }


def test_starts_and_destroys_are_copied(
    world: Sandbox, stores: Stores, reader: StreamReader, fleet: Catalog
) -> None:
    """Every start is a row, and the row of a destroyed instance goes."""
    for user in USERS:
        world.provision(user)
    assert apply(reader.read(), fleet) == Applied(4, 0)
    assert rows(fleet) == in_kv(stores)
    world.kv.instances.forget("bob")
    world.promote("v4")
    world.provision("ana")
    assert apply(reader.read(), fleet) == Applied(1, 1)
    assert rows(fleet) == in_kv(stores)
    assert reader.read() == []


def test_a_batch_counts_only_the_last_record_of_a_user(
    world: Sandbox, stores: Stores, reader: StreamReader, fleet: Catalog
) -> None:
    """A user who starts, is destroyed and starts again in one batch is one row."""
    world.provision("ana")
    world.kv.instances.forget("ana")
    world.promote("v4")
    world.provision("ana")
    world.provision("bob")
    world.kv.instances.forget("bob")
    assert apply(reader.read(), fleet) == Applied(1, 0)
    assert rows(fleet) == in_kv(stores)


def test_other_items_are_passed_over_and_malformed_ones_skipped(
    world: Sandbox, stores: Stores, reader: StreamReader, fleet: Catalog
) -> None:
    """Entries and pointers are no instances; a malformed record is counted, never fatal."""
    world.provision("ana")
    stores.put("INSTANCE#bob", "IMAGE", user_id="bob")
    stores.put("INSTANCE#eve", "IMAGE", **instance_item("mallory"))
    stores.put("INSTANCE#tim", "IMAGE", **instance_item("tim") | {"decided_at": "yesterday"})
    stores.put("INSTANCE#a b", "IMAGE", **instance_item("a b"))
    stores.put("INSTANCE#fay", "NOTE", **instance_item("fay"))
    changes = read_changes(reader.read())
    assert (set(changes.put), changes.skipped) == ({"ana"}, 4)
    assert apply_changes(changes, catalog=fleet) == Applied(1, 0)


def test_a_time_in_any_form_is_copied(
    stores: Stores, reader: StreamReader, fleet: Catalog
) -> None:
    """One record that Postgres refused would hold up all behind it for a day."""
    forms = [
        "2026-11-01t00:00:00.1234567z",
        "2026-11-01T00:00:00+23:59",
        "0001-01-02T00:00:00Z",
    ]
    for number, moment in enumerate(forms):
        item = instance_item(f"user-{number}", resolved_at=moment, decided_at=moment)
        stores.put(f"INSTANCE#user-{number}", "IMAGE", **item)
    assert apply(reader.read(), fleet) == Applied(3, 0)
    assert rows(fleet) == in_kv(stores)


def test_a_removal_of_a_malformed_record_takes_the_row(
    stores: Stores, reader: StreamReader, fleet: Catalog
) -> None:
    """The row is of the record before, whenever the malformed one says it was decided."""
    before = {"decided_at": "2025-12-31T00:00:00Z"}
    for user, spoilt in (("ana", instance_item("bob") | before), ("bob", {"user_id": "bob"})):
        stores.put(f"INSTANCE#{user}", "IMAGE", **instance_item(user))
        stores.put(f"INSTANCE#{user}", "IMAGE", **spoilt)
    assert apply(reader.read(), fleet) == Applied(2, 0)
    for user in ("ana", "bob"):
        stores.kv().instances.forget(user)
    assert apply(reader.read(), fleet) == Applied(0, 2)


def test_any_batches_in_order_give_the_kvs_state(
    world: Sandbox, stores: Stores, reader: StreamReader, fleet: Catalog
) -> None:
    """Whole, split, repeated or read by two pollers: the copy ends up as the KV."""
    chance = random.Random(7)
    for _ in range(40):
        user = chance.choice(USERS)
        if chance.random() < 0.3:
            world.kv.instances.forget(user)
        else:
            world.promote(chance.choice(("v1", "v4")))
            world.provision(user)
    records = reader.read()
    for size in (1, 3, 7, len(records)):
        for start in range(0, len(records), size):
            batch = records[start : start + size]
            apply(batch, fleet)
            if chance.random() < 0.5:
                apply(batch, fleet)
        assert rows(fleet) == in_kv(stores)


def test_a_late_record_brings_nobody_back_for_good(
    world: Sandbox, stores: Stores, reader: StreamReader, fleet: Catalog
) -> None:
    """A slower poller that repeats an old start also repeats its removal."""
    world.provision("ana")
    world.kv.instances.forget("ana")
    put, removal = [one for one in reader.read() if "INSTANCE" in str(one["dynamodb"]["Keys"])]
    apply([put, removal], fleet)
    apply([put], fleet)
    assert set(rows(fleet)) == {"ana"}
    apply([removal], fleet)
    assert rows(fleet) == in_kv(stores) == {}


def test_an_old_removal_does_not_delete_a_newer_start(
    world: Sandbox, stores: Stores, reader: StreamReader, fleet: Catalog
) -> None:
    """A removal that is repeated later leaves the row of the next instance alone."""
    world.provision("ana")
    world.kv.instances.forget("ana")
    old = reader.read()
    world.provision("ana")
    apply(reader.read(), fleet)
    apply(old, fleet)
    assert rows(fleet) == in_kv(stores)
    assert set(rows(fleet)) == {"ana"}


def test_a_slow_start_that_was_decided_before_the_destroyed_one(
    stores: Stores, kv: KV, reader: StreamReader, fleet: Catalog
) -> None:
    """Its record is what the KV has, though the row of the destroyed instance is newer."""
    slow, fast = (
        Instance(
            "ana", tag, None, "2026.11.1", "default", "latest", is_pinned=False,
            resolved_at=moment, decided_at=moment,
        )
        for tag, moment in (
            ("v1", "2026-11-01T00:00:01.000000Z"), ("v4", "2026-11-01T00:00:02.000000Z"),
        )
    )  # fmt: skip
    kv.instances.record(fast)
    apply(reader.read(), fleet)
    kv.instances.forget("ana")
    kv.instances.record(slow)
    kv.instances.forget("ana")
    kv.instances.record(slow)
    assert apply(reader.read(), fleet) == Applied(1, 1)
    assert rows(fleet) == in_kv(stores) == {"ana": "v1"}


def test_a_poller_that_starts_anew_repeats_everything(
    world: Sandbox, stores: Stores, reader: StreamReader, fleet: Catalog
) -> None:
    """Stopped in the middle, it reads from the oldest record on; the copy ends up the same."""
    for user in USERS:
        world.provision(user)
    records = reader.read()
    apply(records[: len(records) // 2], fleet)
    world.kv.instances.forget("bob")
    again = reader_of(stores).read()
    assert len(again) == len(records) + 1
    for record in again:
        apply([record], fleet)
    assert rows(fleet) == in_kv(stores)


def test_two_pollers_at_once(
    world: Sandbox, stores: Stores, reader: StreamReader, fleet: Catalog
) -> None:
    """Two that hand over the same records, in other batches, end up with the KV's state."""
    chance = random.Random(3)
    for _ in range(30):
        user = chance.choice(USERS)
        if chance.random() < 0.3:
            world.kv.instances.forget(user)
        else:
            world.provision(user)
    records = reader.read()
    second = stores.catalog("fleet")

    def deliver(catalog: Catalog, size: int) -> None:
        for start in range(0, len(records), size):
            apply(records[start : start + size], catalog)

    with ThreadPoolExecutor(2) as threads:
        for done in [threads.submit(deliver, *each) for each in ((fleet, 2), (second, 5))]:
            done.result()
    second.database.close()
    assert rows(fleet) == in_kv(stores)


def test_a_reader_that_fails_half_way_reads_the_same_again(
    world: Sandbox, stores: Stores, reader: StreamReader
) -> None:
    """What it had read already is in no batch yet, so it must not be passed over."""
    world.provision("ana")
    client: Any = Interposing(reader._client, "get_records", int, _fail)
    failing = StreamReader(client, stores.table)
    with pytest.raises(ClientError):
        failing.read()
    assert failing.read() == reader.read() != []


def _fail() -> None:
    raise refusal("InternalServerError", status=500)


def test_an_erasure_between_two_batches(
    world: Sandbox, stores: Stores, reader: StreamReader, fleet: Catalog
) -> None:
    """A start that is applied after the erasure goes with the record's removal behind it."""
    world.provision("ana")
    world.provision("bob")
    late = reader.read()
    world.erase("ana")
    apply(late, fleet)
    assert set(rows(fleet)) == {"ana", "bob"}
    apply(reader.read(), fleet)
    assert rows(fleet) == in_kv(stores)
    assert set(rows(fleet)) == {"bob"}


def test_nothing_is_lost_while_the_catalog_is_down(
    world: Sandbox, stores: Stores, reader: StreamReader, fleet: Catalog
) -> None:
    """A batch that fails changes nothing and is applied when it is repeated."""
    world.provision("ana")
    records = reader.read()
    with pytest.raises(CatalogUnavailable):
        apply(records, closed_catalog())
    apply(records, fleet)
    assert rows(fleet) == in_kv(stores)


def test_an_erasure_takes_the_row(
    world: Sandbox, stores: Stores, reader: StreamReader, fleet: Catalog
) -> None:
    """An erased user is gone from the copy at once, and the stream brings nobody back."""
    world.provision("ana")
    records = reader.read()
    apply(records, fleet)
    world.erase("ana")
    assert rows(fleet) == {}
    apply(records, fleet)
    apply(reader.read(), fleet)
    assert rows(fleet) == in_kv(stores) == {}
