"""What a preview foresees of an import, without claiming anything."""

from collections.abc import Callable
from typing import Any

import pytest

from shared.domain.model import ImageEntry
from shared.kv import KV
from shared.usecases.disable import VersionChange
from shared.usecases.import_entry import foresee_import
from shared.usecases.preview import Preview
from shared.usecases.preview_versions import preview_version_change
from shared.usecases.situations import read_situations
from tests.support.concurrent_actors import Sandbox, digest
from tests.support.failing_clients import Interposing, refusal
from tests.support.fleet_copy import copy_fleet
from tests.support.stores import Stores
from tests.support.stream_records import instance_item


def _foresee(world: Sandbox, tag: str) -> Any:
    with world.catalog.transaction() as tx:
        return foresee_import(tag, "default", tx, world.kv)


def test_an_entry_with_a_free_digest_would_be_imported(world: Sandbox, stores: Stores) -> None:
    """A digest that nobody holds, or that the tag itself has claimed, is no obstacle."""
    stores.put_entry("new", image_digest=digest("new"))
    assert isinstance(_foresee(world, "new"), ImageEntry)
    stores.put("DIGEST", digest("new"), image_tag="new")
    assert isinstance(_foresee(world, "new"), ImageEntry)


@pytest.mark.parametrize("number", [1, "taken"])
def test_an_entry_with_a_digest_of_another_would_be_refused(
    world: Sandbox, stores: Stores, number: object
) -> None:
    """Whether the catalog or only a claim says so; and nothing is claimed by asking."""
    stores.put("DIGEST", digest("taken"), image_tag="elsewhere")
    stores.put_entry("new", image_digest=digest(number))
    before = stores.items("DIGEST")
    assert _foresee(world, "new") == "refused"
    assert stores.items("DIGEST") == before


def test_a_preview_goes_on_with_the_mirror_when_the_kv_dies_half_way(
    world: Sandbox, stores: Stores
) -> None:
    """The KV's pointer names an entry that can no longer be read, so it is of no use."""
    stores.put_entry("kv-alone")
    stores.put("POINTER", "default", revision=50, latest_tag="kv-alone")
    stores.put("INSTANCE#ben", "IMAGE", **instance_item("ben"))
    copy_fleet(stores)

    def deprecate(*events: Callable[[], object]) -> Preview:
        kv = KV(Interposing(stores.client, "batch_get_item", *events), stores.table)
        wanted = VersionChange("deprecated")
        return preview_version_change("v3", wanted, catalog=world.catalog, kv=kv)

    assert deprecate() == deprecate(int, fail)
    assert deprecate().users == 0


def fail() -> None:
    raise refusal("InternalServerError", status=500)


def test_a_kv_that_stops_answering_leaves_the_mirror(world: Sandbox, stores: Stores) -> None:
    """Where the KV answers about pointers but not about an entry, the mirror decides."""
    kv = KV(Interposing(stores.client, "batch_get_item", int, fail), stores.table)
    with world.catalog.transaction() as tx:
        found = read_situations(["default"], {"unknown"}, tx=tx, kv=kv)
    assert found.stored is None
    assert found.images.get("unknown") is None
