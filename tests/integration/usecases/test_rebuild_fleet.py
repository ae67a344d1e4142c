"""A rebuild makes the fleet's copy equal to the KV, whatever happens meanwhile."""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import count
from threading import Lock
from typing import Any

import pytest

from infra.local.aws.stream import StreamReader
from shared.catalog.fleet import InstanceFilter
from shared.catalog.transaction import Catalog
from shared.domain.errors import InvalidValue, KVUnavailable
from shared.domain.fleet_position import FleetPosition
from shared.domain.model import Instance
from shared.kv import KV, bulk, instances
from shared.kv.stream import read_changes
from shared.usecases import rebuild_fleet as rebuilding
from shared.usecases.fleet import apply_changes
from shared.usecases.rebuild_fleet import FleetReport, rebuild_fleet
from tests.support.failing_clients import Refusing, refusal
from tests.support.stores import Stores, stream_client
from tests.support.stream_records import instance_item

USERS = [f"user-{number}" for number in range(7)]


@pytest.fixture
def catalog(stores: Stores) -> Iterator[Catalog]:
    """The catalog as `sync` sees it."""
    catalog = stores.catalog("sync")
    yield catalog
    catalog.database.close()


@pytest.fixture
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few enough for every rebuild to have several pages of each kind."""
    monkeypatch.setattr(instances, "ITEMS_A_PAGE", 2)
    monkeypatch.setattr(rebuilding, "CHECKED_AT_ONCE", 3)
    monkeypatch.setattr(rebuilding, "USERS_A_CALL", 2)


def instance(user: str, second: int, tag: str = "v1") -> Instance:
    moment = f"2026-11-01T00:{second // 60:02}:{second % 60:02}.000000Z"
    return Instance(
        user, tag, None, "2026.11.1", "default", "latest", is_pinned=False,
        resolved_at=moment, decided_at=moment,
    )  # fmt: skip


def rows(catalog: Catalog) -> list[Instance]:
    with catalog.transaction() as tx:
        return tx.fleet.page(InstanceFilter(), "user_id", None, 1000)


def records(stores: Stores) -> list[Instance]:
    """The KV's records, by user."""
    found = (instances.parse_instance(item) for item in stores.items())
    return sorted((each for each in found if each), key=lambda one: one.user_id)


def rebuild(catalog: Catalog, kv: KV, seconds: float = 60) -> FleetReport:
    return rebuild_fleet(FleetPosition.start(), catalog=catalog, kv=kv, seconds=seconds)


def rebuild_in_calls(catalog: Catalog, kv: KV) -> list[FleetReport]:
    """Rebuild by calls that have time for one step each."""
    reports = [rebuild(catalog, kv, 0)]
    while (position := reports[-1].next) is not None:
        assert len(reports) < 100
        parsed = FleetPosition.parse(position)
        reports.append(rebuild_fleet(parsed, catalog=catalog, kv=kv, seconds=0))
    return reports


def test_a_copy_that_was_lost_comes_back(stores: Stores, catalog: Catalog, kv: KV) -> None:
    """Every record becomes a row; other items and malformed records do not."""
    for number, user in enumerate(USERS):
        kv.instances.record(instance(user, number))
    stores.put_entry("v1")
    stores.put("INSTANCE#eve", "IMAGE", user_id="eve")
    stores.put("INSTANCE#tim", "IMAGE", **instance_item("mallory"))
    stores.put("INSTANCE#fay", "NOTE", **instance_item("fay"))
    assert rebuild(catalog, kv) == FleetReport(read=7, written=7, done=True)
    assert rows(catalog) == [instance(user, number) for number, user in enumerate(USERS)]
    assert rebuild(catalog, kv) == FleetReport(read=7, done=True)


def test_rows_that_the_kv_contradicts_are_replaced_or_removed(catalog: Catalog, kv: KV) -> None:
    """Older rows, rows without a record, and rows newer than a restored table's records."""
    wrong = [instance("newer", 9, "v2"), instance("older", 1, "v2"), instance("gone", 5)]
    right = [instance("newer", 5), instance("older", 5)]
    with catalog.transaction() as tx:
        tx.fleet.upsert(wrong)
    for each in right:
        kv.instances.record(each)
    assert rebuild(catalog, kv) == FleetReport(read=2, written=2, removed=1, done=True)
    assert rows(catalog) == right


@pytest.mark.usefixtures("small_pages")
def test_a_rebuild_goes_on_where_it_ended(stores: Stores, catalog: Catalog, kv: KV) -> None:
    """Its `next` is handed to the following call; together they read everything once."""
    for number, user in enumerate(USERS):
        kv.instances.record(instance(user, number))
    with catalog.transaction() as tx:
        tx.fleet.upsert([instance(f"gone-{number}", 1) for number in range(7)])
    reports = rebuild_in_calls(catalog, kv)
    assert len(reports) > 5
    assert [report.done for report in reports] == [False] * (len(reports) - 1) + [True]
    totals = [
        sum(getattr(report, name) for report in reports)
        for name in ("read", "written", "removed")
    ]
    assert totals == [7, 7, 7]
    assert rows(catalog) == records(stores)


def test_an_empty_table_empties_the_copy(catalog: Catalog, kv: KV) -> None:
    """There is nothing to read, and every row is removed."""
    with catalog.transaction() as tx:
        tx.fleet.upsert([instance("gone", 1)])
    assert rebuild(catalog, kv) == FleetReport(removed=1, done=True)


@pytest.mark.parametrize("operation", ["scan", "batch_get_item"])
def test_a_busy_table_is_asked_again(
    stores: Stores, catalog: Catalog, kv: KV, monkeypatch: pytest.MonkeyPatch, operation: str
) -> None:
    """Throttled calls are repeated after a pause, and the copy is whole in the end."""
    monkeypatch.setattr(bulk, "FIRST_PAUSE_SECONDS", 0.001)
    kv.instances.record(instance("ana", 1))
    throttled = [refusal("ThrottlingException")] * 2
    busy = Refusing(kv.table.client, *throttled, operation=operation)
    assert rebuild(catalog, KV(busy, kv.table.name)).done
    assert rows(catalog) == records(stores)


def test_a_table_that_stays_busy(
    catalog: Catalog, kv: KV, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answer says how far it came; if that is nowhere, the KV counts as down."""
    monkeypatch.setattr(bulk, "FIRST_PAUSE_SECONDS", 0.001)
    kv.instances.record(instance("ana", 1))
    throttled = [refusal("ThrottlingException")] * 99
    client = Refusing(kv.table.client, *throttled, operation="batch_get_item")
    busy = KV(client, kv.table.name)
    report = rebuild(catalog, busy)
    assert (report.read, report.written, report.done) == (1, 1, False)
    assert report.next is not None
    position = FleetPosition.parse(report.next)
    assert not position.unread
    with pytest.raises(KVUnavailable):
        rebuild_fleet(position, catalog=catalog, kv=busy, seconds=60)
    assert rebuild_fleet(position, catalog=catalog, kv=kv, seconds=60).done


@dataclass
class Fleet:
    """Starts, destroys and the stream's batches, one after the other in any order."""

    kv: KV
    catalog: Catalog
    reader: StreamReader
    chance: random.Random
    stream_is_read: bool
    clock: int = 100
    pending: list[dict[str, Any]] = field(default_factory=list)
    applied: list[dict[str, Any]] = field(default_factory=list)
    lock: Any = field(default_factory=Lock)

    def act(self) -> None:
        """Do a few things, as if they came between two steps of a rebuild."""
        with self.lock:
            for _ in range(self.chance.randrange(4)):
                self.chance.choice((self.start, self.start, self.destroy, self.deliver))()

    def start(self) -> None:
        """A start, now and then decided long before its record arrives."""
        self.clock += 1
        decided = self.clock - self.chance.choice((0, 0, 0, 7))
        tag = self.chance.choice(("v1", "v2"))
        self.kv.instances.record(instance(self.chance.choice(USERS), decided, tag))

    def destroy(self) -> None:
        self.kv.instances.forget(self.chance.choice(USERS))

    def deliver(self) -> None:
        """Hand some records over, perhaps once more those of the last batch."""
        if self.stream_is_read:
            self.pending += self.reader.read()
            size = self.chance.randrange(6)
            repeated = self.applied[-2:] if self.chance.random() < 0.3 else []
            batch = [*repeated, *self.pending[:size]]
            apply_changes(read_changes(batch), catalog=self.catalog)
            self.applied += self.pending[:size]
            del self.pending[:size]

    def deliver_all(self) -> None:
        self.pending += self.reader.read()
        for start in range(0, len(self.pending), 3):
            changes = read_changes(self.pending[start : start + 3])
            apply_changes(changes, catalog=self.catalog)
        self.pending.clear()


class Between:
    """A client whose reads have things happen before and after them."""

    def __init__(self, client: Any, act: Callable[[], None]) -> None:
        self._client = client
        self._act = act

    def __getattr__(self, operation: str) -> Callable[..., Any]:
        def call(**parameters: Any) -> Any:
            self._act()
            answer = getattr(self._client, operation)(**parameters)
            self._act()
            return answer

        return call


@pytest.mark.usefixtures("small_pages")
@pytest.mark.parametrize("stream_is_read", [True, False], ids=["stream", "no-stream"])
@pytest.mark.parametrize("seed", range(6))
def test_a_rebuild_against_running_starts(
    stores: Stores, catalog: Catalog, kv: KV, seed: int, *, stream_is_read: bool
) -> None:
    """Once the stream's remaining records are applied the copy equals the KV; without them, a
    rebuild with nothing running beside makes it so.
    """
    poller = stream_client(stores)
    other = stores.catalog("fleet")
    reader = StreamReader(poller, stores.table)
    chance = random.Random(seed)
    fleet = Fleet(kv, other, reader, chance, stream_is_read)
    for _ in range(12):
        fleet.start()
    with other.transaction() as tx:
        tx.fleet.upsert([instance(user, 99, "lost") for user in USERS[::2]])
    rebuild_in_calls(catalog, KV(Between(kv.table.client, fleet.act), stores.table))
    if stream_is_read or seed % 2:
        fleet.deliver_all()
    else:
        rebuild_in_calls(catalog, kv)
    other.database.close()
    assert rows(catalog) == records(stores)


def test_a_record_destroyed_while_its_row_is_mended(
    stores: Stores, catalog: Catalog, kv: KV
) -> None:
    """The removal came too early to take the row away, so the record is read once more."""
    client = stream_client(stores)
    reader = StreamReader(client, stores.table)
    kv.instances.record(instance("ana", 5))
    apply_changes(read_changes(reader.read()), catalog=catalog)
    with catalog.transaction() as tx:
        tx.fleet.upsert([instance("ana", 9, "v2")])

    def destroy() -> None:
        """Let the record go when it has just been read, and the stream say so."""
        if kv.instances.forget("ana"):
            apply_changes(read_changes(reader.read()), catalog=catalog)

    calls = count()

    def act() -> None:
        """Do it once, behind the first read."""
        if next(calls) == 1:
            destroy()

    last = FleetPosition({})
    racing = KV(Between(kv.table.client, act), stores.table)
    report = rebuild_fleet(last, catalog=catalog, kv=racing, seconds=60)
    assert report == FleetReport(written=1, removed=1, done=True)
    assert rows(catalog) == records(stores) == []


@pytest.mark.parametrize(
    "text",
    ["", "x", "é", None, 1, [], "e30=", "W10=", "WzEsIDJd", "W3siOSI6IG51bGx9LCAiIl0="],
    ids=repr,
)
def test_a_position_that_no_rebuild_answered(text: object) -> None:
    """It is refused, whatever it is."""
    with pytest.raises(InvalidValue):
        FleetPosition.parse(text)


@pytest.mark.parametrize(
    "position",
    [
        FleetPosition.start(),
        FleetPosition({1: ("INSTANCE#oauth/google:1", "IMAGE"), 3: None}),
        FleetPosition({}, "o'brien@example.com"),
    ],
)
def test_a_position_comes_back_as_it_was(position: FleetPosition) -> None:
    """The text is a position's own, whichever it is."""
    assert FleetPosition.parse(position.to_text()) == position
