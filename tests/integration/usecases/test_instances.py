"""The fleet as administrators see it: what runs beside what would run."""

import pytest

from shared.catalog.fleet import InstanceFilter
from shared.domain.errors import CatalogUnavailable, InstanceNotFound, KVUnavailable
from shared.domain.values import parse_moment
from shared.kv import KV
from shared.usecases.instances import (
    InstanceQuery,
    InstanceState,
    get_instance,
    list_instances,
)
from tests.support.concurrent_actors import Sandbox
from tests.support.failing_clients import closed_catalog, unreachable
from tests.support.fleet_copy import copy_fleet
from tests.support.stores import Stores
from tests.support.version_fixture import pipeline


def _state(sandbox: Sandbox, user: str) -> InstanceState:
    return get_instance(user, catalog=sandbox.catalog, kv=sandbox.kv)


def _said(state: InstanceState) -> tuple[str, str | None, bool, bool]:
    """What runs, what a restart would run, drift and outdated."""
    expected = state.expected.image.image_tag if state.expected else None
    return state.instance.image_tag, expected, state.drift, state.outdated


def _outside(sandbox: Sandbox) -> str:
    """A user whom the rollout does not reach."""
    users = (f"user-{number}" for number in range(100))
    return next(user for user in users if sandbox.provision(user).resolution.source == "latest")


def test_what_runs_is_what_would_run(world: Sandbox) -> None:
    """Right after a start there is neither drift nor anything newer."""
    world.provision("ana")
    state = _state(world, "ana")
    assert _said(state) == ("v3", "v3", False, False)
    assert state.pin is not None
    assert state.pin.image_tag == "v3"


def test_a_newer_latest_makes_an_instance_outdated(world: Sandbox) -> None:
    """An upgrade would change the instance, a restart would not."""
    user = _outside(world)
    world.promote("v4")
    assert _said(_state(world, user)) == ("v1", "v1", False, True)


def test_a_pin_or_a_disabled_version_makes_an_instance_drift(world: Sandbox) -> None:
    """A restart would change the instance, and so would an upgrade."""
    user = _outside(world)
    world.pin(user, "v4")
    assert _said(_state(world, user)) == ("v1", "v4", True, True)
    world.unpin(user)
    world.disable("v1", "v4")
    assert _said(_state(world, user)) == ("v1", "v4", True, True)


def test_a_pin_of_another_variant_decides_by_its_own_pointer(world: Sandbox) -> None:
    """With its pin suspended the instance is compared with what a start would give."""
    user = _outside(world)
    world.pin(user, "b1")
    assert _said(_state(world, user)) == ("v1", "b1", True, True)
    world.disable("b1", force=True)
    would = world.provision(user, "restart").resolution.image.image_tag
    assert would == "v1"
    assert _said(_state(world, user))[1] == would


def test_the_kvs_own_latest_is_what_an_upgrade_runs(world: Sandbox, stores: Stores) -> None:
    """The KV's latest counts before the catalog knows it; a malformed pointer does not."""
    user = _outside(world)
    stores.put_entry("new")
    pipeline(world, 9, "new")
    assert _said(_state(world, user)) == ("v1", "v1", False, True)
    stores.put("POINTER", "default", revision="broken")
    assert _said(_state(world, user)) == ("v1", "v1", False, False)


def test_an_instance_of_a_variant_that_nobody_knows(world: Sandbox, stores: Stores) -> None:
    """An instance whose image nobody knows is expected to run on."""
    world.provision("bob")
    stores.client.update_item(
        TableName=stores.table,
        Key={"pk": {"S": "INSTANCE#bob"}, "sk": {"S": "IMAGE"}},
        UpdateExpression="SET variant = :variant, running_tag = :tag",
        ExpressionAttributeValues={":variant": {"S": "omega"}, ":tag": {"S": "lost"}},
    )
    assert _said(_state(world, "bob")) == ("lost", "lost", False, False)


def test_the_list_comes_from_the_copy(world: Sandbox, stores: Stores) -> None:
    """A page has whom the copy knows, as it knows them, and says how old the copy is."""
    everybody = InstanceQuery(InstanceFilter())
    empty = list_instances(everybody, None, 100, catalog=world.catalog, kv=world.kv)
    assert (empty.items, empty.as_of) == ([], None)
    for user in ("ana", "bob"):
        world.provision(user)
    copy_fleet(stores)
    pinned = InstanceQuery(InstanceFilter(image_tag="v3"))
    page = list_instances(pinned, None, 100, catalog=world.catalog, kv=world.kv)
    assert [state.instance.user_id for state in page.items] == ["ana"]
    assert page.items == [_state(world, "ana")]
    bob = world.instance("bob")
    assert bob is not None
    assert page.as_of == parse_moment(bob.resolved_at)


def test_nobody_is_there(world: Sandbox, stores: Stores) -> None:
    """A user without a record is not found, and a store that is down is an error."""
    with pytest.raises(InstanceNotFound):
        _state(world, "ana")
    world.provision("ana")
    with pytest.raises(CatalogUnavailable):
        get_instance("ana", catalog=closed_catalog(), kv=world.kv)
    kv = KV(unreachable(), stores.table)
    with pytest.raises(KVUnavailable):
        get_instance("ana", catalog=world.catalog, kv=kv)
    assert not list_instances(
        InstanceQuery(InstanceFilter()), None, 10, catalog=world.catalog, kv=kv
    ).items
