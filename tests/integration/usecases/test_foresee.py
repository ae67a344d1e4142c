"""What a preview foresees of an import, without claiming anything."""

from typing import Any

import pytest

from shared.domain.model import ImageEntry
from shared.kv import KV
from shared.usecases.import_entry import foresee_import
from shared.usecases.situations import read_situations
from tests.support.concurrent_actors import Sandbox, digest
from tests.support.failing_clients import Interposing, refusal
from tests.support.stores import Stores


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


def test_a_kv_that_stops_answering_leaves_the_mirror(world: Sandbox, stores: Stores) -> None:
    """Where the KV answers about pointers but not about an entry, the mirror decides."""

    def fail() -> None:
        raise refusal("InternalServerError", status=500)

    kv = KV(Interposing(stores.client, "batch_get_item", int, fail), stores.table)
    with world.catalog.transaction() as tx:
        found = read_situations(["default"], {"unknown"}, tx=tx, kv=kv)
    assert found.stored is None
    assert found.images.get("unknown") is None
