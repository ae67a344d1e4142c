"""The kill switch reaches whatever is served, in one transaction or not at all."""

import time
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import LiteralString

import pytest

from shared.deadline import Deadline
from shared.domain.errors import (
    CatalogUnavailable,
    InvalidReplacement,
    TooManyPins,
    VersionNotFound,
)
from shared.domain.model import Initiator
from shared.kv import KV
from shared.usecases import disable as module
from shared.usecases.versions import change
from tests.support.concurrent_actors import BY, Sandbox, digest
from tests.support.failing_clients import Interposing, unreachable
from tests.support.invariants import faults
from tests.support.store_dump import dump
from tests.support.stores import Stores
from tests.support.version_fixture import change_by, contents, disabled, pipeline

PINS: LiteralString = """
WITH users AS (
    INSERT INTO kiloclaw_user_aliases (user_id)
    SELECT 'user-' || number FROM generate_series(1, 20) AS number RETURNING user_id
)
INSERT INTO kiloclaw_version_pins (user_id, image_tag, pinned_by, expires_at)
SELECT user_id, 'v4', 'eve', NULL FROM users
"""


def test_what_only_the_kv_knows_can_be_disabled(world: Sandbox, stores: Stores) -> None:
    """An image that everybody gets and that no sync has seen yet is imported and disabled."""
    stores.put_entry("new", image_digest=digest("new"))
    pipeline(world, 5, "new")
    assert world.provision("bob").resolution.image.image_tag == "new"
    assert change_by(world, "new", disabled("v4")).status == "disabled"
    assert world.provision("bob").resolution.image.image_tag == "v4"
    assert contents(stores) == ((6, "v4", None), (6, "v4", None))
    assert faults(stores) == []


def test_an_entry_that_is_refused_for_good_stops_being_served(
    world: Sandbox, stores: Stores
) -> None:
    """A conflicting entry cannot be imported: the pointer is put right, and it is not found."""
    stores.put_entry("thief", image_digest=digest(1))
    pipeline(world, 5, "thief")
    assert world.provision("bob").resolution.image.image_tag == "thief"
    with pytest.raises(VersionNotFound):
        change_by(world, "thief", disabled("v4"))
    assert world.provision("eve").resolution.image.image_tag == "v1"
    assert contents(stores) == ((6, "v1", "v2"), (6, "v1", "v2"))


@pytest.mark.parametrize(
    ("replacement", "why"),
    [
        ("unknown", "not a known version"),
        ("v1", "another version"),
        ("b1", "variant beta"),
        ("v3", "disabled"),
    ],
)
def test_a_replacement_is_refused_with_its_reason(
    world: Sandbox, replacement: str, why: str
) -> None:
    """The refusal says whether the replacement is unknown, the same, foreign or not active."""
    world.disable("v3", force=True)
    with pytest.raises(InvalidReplacement, match=why):
        change_by(world, "v1", disabled(replacement))


def test_the_reason_is_logged(world: Sandbox, stores: Stores) -> None:
    """Why a version was disabled is in every event of the call."""
    world.pin("bob", "v1")
    by = Initiator("ada@example.com", reason="leaks memory")
    change("v1", disabled("v4"), by=by, catalog=world.catalog, kv=world.kv)
    rows = stores.sql("SELECT action, reason FROM kiloclaw_audit_log ORDER BY id DESC LIMIT 3")
    assert rows == [
        ("version.status_changed", "leaks memory"),
        ("latest.promoted", "leaks memory"),
        ("pin.set", "leaks memory"),
    ]


@pytest.mark.parametrize("kv_is_up", [True, False])
def test_the_cause_is_that_of_the_call(world: Sandbox, stores: Stores, kv_is_up: bool) -> None:
    """The call's id is the cause in mirror and history, with the KV up or down."""
    before = stores.sql("SELECT cause FROM kiloclaw_variants WHERE variant = 'default'")
    by = Initiator("ada@example.com", "request-1")
    kv = world.kv if kv_is_up else KV(unreachable(), stores.table)
    change("v1", disabled("v4"), by=by, catalog=world.catalog, kv=kv)
    query: LiteralString = "SELECT cause FROM kiloclaw_variants WHERE variant = 'default'"
    assert stores.sql(query) == [("request-1",)] != before
    history = stores.sql("SELECT cause FROM kiloclaw_promotions ORDER BY id DESC LIMIT 1")
    assert history == [("request-1",)]


@pytest.fixture
def few_pins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_MOVED_PINS", 19)


@pytest.mark.usefixtures("few_pins")
def test_too_many_pins_are_not_moved(world: Sandbox, stores: Stores) -> None:
    """Above the bound nothing is written, and the refusal says how many pins there are."""
    stores.sql(PINS)
    before = dump(stores)
    with pytest.raises(TooManyPins) as refused:
        change_by(world, "v4", disabled("v3"))
    assert refused.value.facts == {"pin_count": 20}
    assert dump(stores) == before
    assert change_by(world, "v4", disabled(force=True)).status == "disabled"


def test_expired_pins_stay(world: Sandbox, stores: Stores) -> None:
    """An expired pin blocks neither disabling nor retiring, and is not moved."""
    stores.sql(PINS)
    stores.sql("UPDATE kiloclaw_version_pins SET expires_at = now() WHERE image_tag = 'v4'")
    assert change_by(world, "v4", disabled("v1")).status == "disabled"
    world.retire("v4")
    pins = stores.sql(
        "SELECT image_tag, count(*) FROM kiloclaw_version_pins GROUP BY 1 ORDER BY 1"
    )
    assert pins == [("v3", 1), ("v4", 20)]


def test_it_waits_for_a_slow_move(world: Sandbox, stores: Stores) -> None:
    """A move that holds the variant's lock while its KV calls hang does not block it."""
    held = Event()

    def hold() -> None:
        with stores.server_connection() as other, other.transaction():
            other.execute("SELECT FROM kiloclaw_variants WHERE variant = 'default' FOR UPDATE")
            held.set()
            time.sleep(3.2)

    catalog = world.catalog
    with ThreadPoolExecutor() as pool:
        move = pool.submit(hold)
        assert held.wait(10)
        catalog.database.deadline = Deadline(6.0, 3.0)
        changed = change("v1", disabled("v4"), by=BY, catalog=catalog, kv=world.kv)
        move.result()
    assert changed.version.status == "disabled"
    assert world.provision("bob").resolution.image.image_tag == "v4"


def test_pins_move_before_the_put(world: Sandbox, stores: Stores) -> None:
    """A time-out while pins are moved leaves nothing done, in the KV as well."""
    world.pin("bob", "v1")
    before = dump(stores)
    with stores.server_connection() as other, other.transaction():
        other.execute("SELECT FROM kiloclaw_version_pins WHERE user_id = 'bob' FOR UPDATE")
        with pytest.raises(CatalogUnavailable):
            change_by(world, "v1", disabled("v4"))
    assert dump(stores) == before


@pytest.mark.parametrize("operation", ["batch_get_item", "put_item"])
def test_a_slow_kv_does_not_block_it(world: Sandbox, stores: Stores, operation: str) -> None:
    """A KV that uses up the event's time leaves enough for the catalog to disable."""
    key = {"pk": {"S": "POINTER"}, "sk": {"S": "default"}}
    stores.client.delete_item(TableName=stores.table, Key=key)
    deadline = world.database.deadline = Deadline(0.5)
    slow = Interposing(stores.client, operation, lambda: time.sleep(max(deadline.left, 0.0)))
    assert change_by(world, "v3", disabled(force=True), slow).status == "disabled"
    world.database.deadline = Deadline()
    world.sync()
    assert faults(stores) == []
