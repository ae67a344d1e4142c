"""A lost store comes back from the other one."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from shared.kv.table import connect
from shared.usecases.rebuild import rebuild_kv
from shared.usecases.sync import run_sync
from tests.support.concurrent_actors import Sandbox, digest
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


@pytest.mark.parametrize(
    "lost", [("IMAGE", "DIGEST", "POINTER"), ("IMAGE",), ("DIGEST",), ("POINTER",)]
)
def test_the_kv_is_rebuilt_from_the_catalog(
    stores: Stores, sandbox_of: MakeSandbox, lost: tuple[str, ...]
) -> None:
    """All it said of images is there again; the same once more changes nothing."""
    sandbox = sandbox_of(stores, "sync")
    before, pointed = _facts(stores), pointers(stores)
    _lose(stores, *lost)
    report = rebuild_kv(catalog=sandbox.catalog, kv=sandbox.kv)
    assert _facts(stores) == before
    assert pointers(stores) == pointed
    images = "IMAGE" in lost
    assert (report.entries, report.tombstones) == ((4, 1) if images else (0, 0))
    assert report.pointers_copied == ("POINTER" in lost)
    again = rebuild_kv(catalog=sandbox.catalog, kv=sandbox.kv)
    assert again.as_json() == {
        "entries": 0, "tombstones": 0, "pointers_copied": 0, "conflicts": [],
    }  # fmt: skip
    assert sandbox.sync().missing == 0
    assert not faults(stores)


def test_a_digest_that_another_tag_took_meanwhile(
    stores: Stores, sandbox_of: MakeSandbox
) -> None:
    """The version comes back without it and is named; nobody's claim is taken away."""
    sandbox = sandbox_of(stores, "sync")
    _lose(stores, "IMAGE", "DIGEST")
    stores.put("DIGEST", digest("old"), image_tag="stranger")
    report = rebuild_kv(catalog=sandbox.catalog, kv=sandbox.kv)
    assert report.conflicts == ["the-old"]
    entry = stores.item("IMAGE", "the-old")
    assert entry is not None
    assert "image_digest" not in entry
    claim = stores.item("DIGEST", digest("old"))
    assert claim is not None
    assert claim["image_tag"]["S"] == "stranger"


def test_the_catalog_is_rebuilt_from_the_kv(
    stores: Stores, sandbox_of: MakeSandbox, dynamodb: Any
) -> None:
    """An empty one learns of every version and of latest in one run without a cap."""
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
