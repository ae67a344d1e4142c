"""Retiring: gone for good, and never what somebody uses."""

import pytest

from shared.domain.errors import (
    CatalogUnavailable,
    KVUnavailable,
    Refused,
    VersionInUse,
    VersionNotFound,
    VersionPinned,
)
from shared.kv import KV
from shared.usecases.pins import get_pin
from shared.usecases.retire import retire
from shared.usecases.versions import change
from tests.support.concurrent_actors import BY, Sandbox, digest
from tests.support.failing_clients import Refusing, closed_catalog, refusal, unreachable
from tests.support.invariants import faults
from tests.support.store_dump import dump
from tests.support.stores import Stores
from tests.support.version_fixture import disabled, pipeline

DOWN = refusal("InternalServerError", status=500)


def test_a_retired_version_is_gone_for_good(world: Sandbox, stores: Stores) -> None:
    """A retired version is hidden, its entry is a tombstone, and its digest stays taken."""
    world.disable("v1", "v4")
    world.retire("v1")
    entry = stores.item("IMAGE", "v1")
    assert entry is not None
    assert "deleted_at" in entry
    assert stores.item("DIGEST", digest(1))
    event = stores.sql("SELECT action, before FROM kiloclaw_audit_log ORDER BY id DESC LIMIT 1")
    assert event == [("version.retired", {"status": "disabled"})]
    with pytest.raises(VersionNotFound):
        world.retire("v1")
    assert faults(stores) == []


@pytest.mark.parametrize(
    ("tag", "error"),
    [
        ("v1", VersionInUse),
        ("v2", VersionInUse),
        ("v3", VersionPinned),
        ("nothing", VersionNotFound),
    ],
)
def test_what_is_used_is_not_retired(
    world: Sandbox, stores: Stores, tag: str, error: type[Refused]
) -> None:
    """Retiring a latest, a candidate or a pinned version is refused without a write."""
    before = dump(stores)
    with pytest.raises(error):
        world.retire(tag)
    assert dump(stores) == before


def test_an_expired_pin_keeps_no_version_and_is_still_shown(
    world: Sandbox, stores: Stores
) -> None:
    """An expired pin does not block retiring its version, and is shown as expired."""
    stores.sql("UPDATE kiloclaw_version_pins SET expires_at = now() - interval '1 second'")
    world.retire("v3")
    pinned = get_pin("ana", catalog=world.catalog)
    assert (pinned.pin.image_tag, pinned.pin.state) == ("v3", "expired")
    assert pinned.version.status == "disabled"


def test_a_version_that_only_the_kv_points_to_is_not_retired(
    world: Sandbox, stores: Stores
) -> None:
    """Either copy of the pointer counts; a malformed one names nothing."""
    pipeline(world, 7, "v4")
    with pytest.raises(VersionInUse):
        world.retire("v4")
    stores.put("POINTER", "default", latest_tag="v4")
    world.retire("v4")


def test_retiring_needs_the_kv_to_be_read(world: Sandbox, stores: Stores) -> None:
    """Without the KV retiring is refused, because the KV may point to the version."""
    before = dump(stores)
    with pytest.raises(KVUnavailable):
        retire("v4", by=BY, catalog=world.catalog, kv=KV(unreachable(), stores.table))
    assert dump(stores) == before


def test_a_tombstone_that_could_not_be_left(world: Sandbox, stores: Stores) -> None:
    """The version is retired all the same, and sync leaves the tombstone."""
    client = Refusing(stores.client, DOWN, operation="update_item")
    retire("v4", by=BY, catalog=world.catalog, kv=KV(client, stores.table))
    assert faults(stores) == ["the entry of v4 is not as its row"]
    world.sync()
    assert faults(stores) == []


def test_without_the_catalog_nothing_happens(world: Sandbox, stores: Stores) -> None:
    """Without the catalog neither store is changed."""
    before = dump(stores)
    with pytest.raises(CatalogUnavailable):
        change("v1", disabled("v4"), by=BY, catalog=closed_catalog(), kv=world.kv)
    with pytest.raises(CatalogUnavailable):
        retire("v4", by=BY, catalog=closed_catalog(), kv=world.kv)
    assert dump(stores) == before
