"""A lost store comes back from the other one."""

from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from time import monotonic
from typing import Any

import pytest

from shared.kv import KV, bulk
from shared.kv.bulk import AT_ONCE
from shared.kv.table import connect
from shared.usecases.rebuild import rebuild_kv
from shared.usecases.sync import run_sync
from tests.support.concurrent_actors import Sandbox, digest
from tests.support.failing_clients import Refusing, refusal
from tests.support.invariants import faults, pointers
from tests.support.stores import Stores, make_stores

MakeSandbox = Callable[[Stores, str], Sandbox]
Items = set[tuple[str, str, str | None, str | None]]


@pytest.fixture
def sandbox_of(dynamodb: Any) -> Iterator[MakeSandbox]:
    """Makes environments of functions."""
    client, made = connect(), []

    def make(stores: Stores, role: str) -> Sandbox:
        made.append(Sandbox(stores, client, role))
        return made[-1]

    yield make
    client.close()
    for sandbox in made:
        sandbox.database.close()


@pytest.fixture
def stores(stores: Stores, sandbox_of: MakeSandbox) -> Stores:
    """Five versions, of which one is latest, one pinned, one retired, one without a digest."""
    sandbox = sandbox_of(stores, "admin_api")
    for tag in ("latest", "old", "pinned", "gone"):
        sandbox.publish(f"the-{tag}", digest(tag))
    sandbox.publish("the-plain")
    sandbox.promote("the-latest")
    sandbox.pin("ana", "the-pinned")
    sandbox.retire("the-gone")
    return stores


def _facts(stores: Stores) -> Items:
    """What the KV says of images: entries and tombstones, claims, pointers."""
    return {
        (
            item["pk"]["S"],
            item["sk"]["S"],
            _text(item, "image_digest")
            or _text(item, "image_tag")
            or _text(item, "latest_tag"),
            "retired" if "deleted_at" in item else None,
        )
        for item in stores.items()
    }


def _text(item: dict[str, Any], name: str) -> str | None:
    return item[name]["S"] if name in item else None


def _lose(stores: Stores, *partitions: str) -> None:
    for item in stores.items():
        if item["pk"]["S"] in partitions:
            key = {name: item[name] for name in ("pk", "sk")}
            stores.client.delete_item(TableName=stores.table, Key=key)


class _Slow:
    """A client whose clock jumps ahead after so many writes of entries and claims."""

    def __init__(self, client: Any, writes: int) -> None:
        self._client = client
        self._writes = writes
        self.written = 0

    def __getattr__(self, operation: str) -> Any:
        return getattr(self._client, operation)

    def put_item(self, **parameters: Any) -> Any:
        self.written += parameters["Item"]["pk"]["S"] != "POINTER"
        return self._client.put_item(**parameters)

    @contextmanager
    def clock(self) -> Generator[None]:
        """Let the clock of bulk calls jump ahead once enough was written."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(bulk, "monotonic", self._now)
            yield

    def _now(self) -> float:
        return monotonic() + (1_000 if self.written >= self._writes else 0)


@pytest.mark.parametrize(
    "lost", [("IMAGE", "DIGEST", "POINTER"), ("IMAGE",), ("DIGEST",), ("POINTER",)]
)
def test_the_kv_is_rebuilt_from_the_catalog(
    stores: Stores, sandbox_of: MakeSandbox, lost: tuple[str, ...]
) -> None:
    """Everything that the KV said of images is there again; a repeat changes nothing."""
    sandbox = sandbox_of(stores, "sync")
    before, pointed = _facts(stores), pointers(stores)
    _lose(stores, *lost)
    report = rebuild_kv(catalog=sandbox.catalog, kv=sandbox.kv)
    assert _facts(stores) == before
    assert pointers(stores) == pointed
    images = "IMAGE" in lost
    assert (report.entries, report.tombstones) == ((4, 1) if images else (0, 0))
    assert (report.claims, report.deferred) == (4 if "DIGEST" in lost else 0, 0)
    assert report.pointers_copied == ("POINTER" in lost)
    again = rebuild_kv(catalog=sandbox.catalog, kv=sandbox.kv)
    assert again.as_json() == {
        "claims": 0, "entries": 0, "tombstones": 0, "pointers_copied": 0, "deferred": 0,
        "conflicts": [], "conflicts_total": 0,
    }  # fmt: skip
    assert sandbox.sync().missing == 0
    assert not faults(stores)


def test_a_digest_that_another_tag_took_meanwhile(
    stores: Stores, sandbox_of: MakeSandbox
) -> None:
    """The version comes back without its digest and is named; the other tag keeps it."""
    sandbox = sandbox_of(stores, "sync")
    _lose(stores, "IMAGE", "DIGEST")
    stores.put("DIGEST", digest("old"), image_tag="stranger")
    report = rebuild_kv(catalog=sandbox.catalog, kv=sandbox.kv)
    assert (report.conflicts, report.conflicts_total) == (["the-old"], 1)
    entry = stores.item("IMAGE", "the-old")
    assert entry is not None
    assert "image_digest" not in entry
    claim = stores.item("DIGEST", digest("old"))
    assert claim is not None
    assert claim["image_tag"]["S"] == "stranger"


def test_a_repeat_goes_on_where_the_last_call_ended(
    stores: Stores, sandbox_of: MakeSandbox
) -> None:
    """What is there is read, not written again; pointers are restored by the first call."""
    sandbox = sandbox_of(stores, "sync")
    before = _facts(stores)
    _lose(stores, "IMAGE", "DIGEST", "POINTER")
    reports = []
    for _ in range(20):
        client = _Slow(stores.client, writes=2)
        with client.clock():
            kv = KV(client, stores.table)
            reports.append(rebuild_kv(catalog=sandbox.catalog, kv=kv, seconds=10))
        assert client.written <= 2 + AT_ONCE
        if not reports[-1].deferred:
            break
    assert 1 < len(reports) < 9
    assert sum(report.claims for report in reports) == 4
    assert sum(report.entries for report in reports) == 4
    assert sum(report.tombstones for report in reports) == 1
    assert [report.pointers_copied for report in reports] == [1] + [0] * (len(reports) - 1)
    assert _facts(stores) == before


def test_a_busy_table_is_no_reason_to_stop(stores: Stores, sandbox_of: MakeSandbox) -> None:
    """Writes that were throttled are repeated until all is restored."""
    sandbox = sandbox_of(stores, "sync")
    before = _facts(stores)
    _lose(stores, "IMAGE", "DIGEST")
    throttled = [refusal("ThrottlingException")] * 3
    kv = KV(Refusing(stores.client, *throttled, operation="put_item"), stores.table)
    report = rebuild_kv(catalog=sandbox.catalog, kv=kv)
    assert (report.claims, report.entries, report.deferred) == (4, 4, 0)
    assert _facts(stores) == before


def test_an_entry_without_its_claim_waits_for_a_repeat(
    stores: Stores, sandbox_of: MakeSandbox
) -> None:
    """It does not come back without its digest, which nothing would fill in again."""
    sandbox = sandbox_of(stores, "sync")
    before = _facts(stores)
    _lose(stores, "IMAGE", "DIGEST")
    throttled = [refusal("ThrottlingException")] * 12
    kv = KV(Refusing(stores.client, *throttled, operation="put_item"), stores.table)
    report = rebuild_kv(catalog=sandbox.catalog, kv=kv)
    assert (report.claims, report.entries, report.deferred) == (0, 1, 4)
    assert rebuild_kv(catalog=sandbox.catalog, kv=sandbox.kv).deferred == 0
    assert _facts(stores) == before


def test_the_catalog_is_rebuilt_from_the_kv(
    stores: Stores, sandbox_of: MakeSandbox, dynamodb: Any
) -> None:
    """One run without a cap brings every version and the latest into an empty catalog."""
    empty = make_stores(stores.server, dynamodb)
    lost = Stores(stores.server, empty.dbname, stores.client, stores.table)
    sandbox = sandbox_of(lost, "sync")
    report = run_sync(catalog=sandbox.catalog, kv=sandbox.kv, cap=0, trigger="direct")
    assert (report.outcome, report.inserted, report.pointers_copied) == ("ok", 4, 1)
    assert lost.sql("SELECT latest_tag FROM kiloclaw_variants") == [("the-latest",)]
    assert lost.sql(
        "SELECT image_tag, published_at FROM kiloclaw_available_versions ORDER BY 1"
    ) == stores.sql(
        "SELECT image_tag, published_at FROM kiloclaw_available_versions"
        " WHERE retired_at IS NULL ORDER BY 1"
    )
