"""The KV answers in part: what was read is used, and a restart never moves an unpinned user."""

from typing import Any

import pytest

from shared.kv import KV
from shared.usecases.provision import Provisioned, Start, provision
from tests.support.concurrent_actors import Sandbox
from tests.support.failing_clients import Interposing, refusal
from tests.support.stores import Stores
from tests.support.version_fixture import pipeline, told

DOWN = refusal("ProvisionedThroughputExceededException")


class Partial:
    """A client whose batches leave out items of one partition, and refuse to be asked again."""

    def __init__(self, client: Any, left_out: str) -> None:
        self._client = client
        self._left_out = left_out
        self.asked_again = 0

    def __getattr__(self, operation: str) -> Any:
        return getattr(self._client, operation)

    def batch_get_item(self, **parameters: Any) -> Any:
        [(table, wanted)] = parameters["RequestItems"].items()
        left_out = [key for key in wanted["Keys"] if self._is_left_out(key)]
        if len(left_out) == len(wanted["Keys"]):
            self.asked_again += 1
            raise DOWN
        kept = {"Keys": [key for key in wanted["Keys"] if not self._is_left_out(key)]}
        answer = self._client.batch_get_item(RequestItems={table: wanted | kept})
        if left_out:
            answer["UnprocessedKeys"] = {table: wanted | {"Keys": left_out}}
        return answer

    def _is_left_out(self, key: Any) -> bool:
        return bool(key["pk"]["S"].startswith(self._left_out))


@pytest.fixture
def moved(start: Sandbox, world: Sandbox) -> Sandbox:
    """Bob runs v1; the latest is v4 by now, in both copies."""
    start.provision("bob")
    world.promote("v4")
    return start


def _start(sandbox: Sandbox, stores: Stores, left_out: str, **start: Any) -> Provisioned:
    kv = KV(Partial(stores.client, left_out), stores.table)
    return provision(Start("bob", **start), database=sandbox.database, kv=kv)


def test_a_restart_without_the_pointer(moved: Sandbox, stores: Stores) -> None:
    """The record settles a restart: it is not degraded, and it is recorded."""
    answer = _start(moved, stores, "POINTER", intent="restart")
    assert told(answer) == ("v1", "instance", "none", False, True, False)


def test_a_provision_without_the_pointer(moved: Sandbox, stores: Stores) -> None:
    """The mirror decides, degraded; what ran before is known from the record."""
    answer = _start(moved, stores, "POINTER")
    assert told(answer) == ("v4", "latest", "none", True, True, True)
    assert answer.previous is not None
    assert answer.previous.image_tag == "v1"


def test_a_restart_without_the_record(moved: Sandbox, stores: Stores) -> None:
    """Nobody can say what runs but the caller; without a word the latest is served."""
    told_by_caller = _start(moved, stores, "INSTANCE", intent="restart", running_tag="v1")
    assert told(told_by_caller)[:3] == ("v1", "instance", "none")
    assert told_by_caller.resolution.degraded
    unknown = _start(moved, stores, "INSTANCE", intent="restart")
    assert told(unknown)[:2] == ("v4", "latest")
    assert unknown.resolution.degraded


def test_a_restart_whose_look_up_fails(moved: Sandbox, stores: Stores) -> None:
    """The record keeps a restart whose image only the KV knows and did not answer about."""
    stores.put_entry("new")
    pipeline(moved, 9, "new")
    moved.provision("bob")
    pipeline(moved, 10, "v4")
    answer = _start(moved, stores, "IMAGE", intent="restart")
    assert told(answer) == ("new", "instance", "none", False, True, False)
    assert answer.resolution.image.status is None


def test_a_restart_whose_variant_is_known_from_the_record(
    start: Sandbox, world: Sandbox, stores: Stores
) -> None:
    """The record is kept when the KV goes down before the pointer of its variant is read."""
    world.publish("b2", variant="beta", set_latest=True)
    start.provision("bob", variant="beta")
    world.promote("b1")

    def down() -> None:
        raise DOWN

    client = Interposing(stores.client, "batch_get_item", lambda: None, down)
    kv = KV(client, stores.table)
    answer = provision(Start("bob", "restart"), database=start.database, kv=kv)
    assert told(answer) == ("b2", "instance", "none", False, True, False)


def test_an_expired_pin_decides_no_variant(
    start: Sandbox, world: Sandbox, stores: Stores
) -> None:
    """The variant is the request's or the record's once the pin has expired."""
    world.promote("b1")
    world.pin("bob", "b1")
    stores.sql("UPDATE kiloclaw_version_pins SET expires_at = now() WHERE user_id = 'bob'")
    answer = start.provision("bob")
    assert told(answer)[:3] == ("v1", "latest", "expired")
