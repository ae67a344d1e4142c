"""Users as identity providers name them: each call is about exactly the user it names."""

import pytest

from shared.catalog.pin_pages import PinFilter
from shared.domain.errors import InstanceNotFound, PinNotFound
from shared.usecases.instances import get_instance
from shared.usecases.pins import get_pin
from shared.usecases.provision import Start, explain
from tests.support.concurrent_actors import Sandbox
from tests.support.stores import Stores

USERS = (
    "oauth/google:114000741928328149731",
    "o'brien@example.com",
    "_svc-kilo",
    "a/b/c",
    "a/b",
    "A/b",
    "x/pin",
    "x",
    "...",
    "!$&'()*+,-./:;=@[]^_`{|}~",
    "u" * 255,
)


@pytest.mark.parametrize("user", USERS)
def test_a_user_is_this_one_in_every_call(sandbox: Sandbox, stores: Stores, user: str) -> None:
    """Started, pinned, explained, listed, unpinned and erased, with all others left alone."""
    others = set(USERS) - {user}
    sandbox.publish("v1", set_latest=True)
    sandbox.publish("v2")
    for one in USERS:
        sandbox.provision(one)
    sandbox.pin(user, "v2")
    for one in USERS:
        explained = explain(Start(one), database=sandbox.database, kv=sandbox.kv)
        assert explained.resolution.is_pinned == (one == user)
    assert sandbox.provision(user).resolution.image.image_tag == "v2"
    assert get_pin(user, catalog=sandbox.catalog).pin.user_id == user
    with sandbox.catalog.transaction() as tx:
        assert [pin.user_id for pin in tx.pins.page(PinFilter(), None, 10)] == [user]
    sandbox.unpin(user)
    with pytest.raises(PinNotFound):
        get_pin(user, catalog=sandbox.catalog)
    state = get_instance(user, catalog=sandbox.catalog, kv=sandbox.kv)
    assert (state.instance.user_id, state.instance.image_tag) == (user, "v2")
    sandbox.pin(user, "v2")
    sandbox.erase(user)
    with pytest.raises(InstanceNotFound):
        get_instance(user, catalog=sandbox.catalog, kv=sandbox.kv)
    assert all(sandbox.instance(one) for one in others)
    keys = {item["pk"]["S"] for item in stores.items() if item["sk"]["S"] == "IMAGE"}
    assert keys == {f"INSTANCE#{one}" for one in others}
    assert stores.sql("SELECT user_id FROM kiloclaw_version_pins") == []
