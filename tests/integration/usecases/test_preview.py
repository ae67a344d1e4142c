"""A preview says what the change then does, refuses what it refuses, and leaves no trace."""

from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from random import Random
from typing import Any

import pytest

from shared.domain.rollout import is_in
from shared.kv import KV
from shared.usecases.disable import VersionChange
from shared.usecases.preview import Preview
from shared.usecases.preview_users import preview_erasure, preview_pin, preview_unpin
from shared.usecases.preview_versions import (
    preview_promotion,
    preview_retirement,
    preview_version_change,
)
from tests.support.concurrent_actors import Sandbox
from tests.support.failing_clients import Interposing
from tests.support.fleet_copy import copy_fleet
from tests.support.random_fleet import RandomFleet, outcome
from tests.support.store_dump import dump
from tests.support.stores import Stores
from tests.support.stream_records import instance_item

STEPS = 12


@pytest.fixture
def fleet(stores: Stores, sandbox: Sandbox, request: pytest.FixtureRequest) -> Iterator[Any]:
    """A random fleet; its seed is the test's parameter, else 0."""
    copier = stores.catalog("sync")
    made = RandomFleet(stores, sandbox, copier, Random(getattr(request, "param", 0)))
    made.fill()
    with closing(copier.database):
        yield made


@pytest.mark.parametrize("fleet", range(12), indirect=True)
def test_a_preview_is_what_everybody_would_be_told(fleet: RandomFleet) -> None:
    """It equals asking every user before and after the real call, or is refused like it."""
    for _ in range(STEPS):
        if fleet.random.random() < 0.7:
            fleet.disturb()
        mutation = fleet.mutation()
        known = fleet.known()
        before, stored = fleet.ask(known), dump(fleet.stores)
        previewed = outcome(mutation.preview)
        assert dump(fleet.stores) == stored, mutation.name
        done = outcome(mutation.call)
        after = fleet.ask(known)
        if not isinstance(previewed, Preview):
            assert done == previewed, mutation.name
            continue
        assert not isinstance(done, tuple), (mutation.name, done)
        moves = Counter(
            (before[user].tag, after[user].tag)
            for user in known
            if before[user].tag != after[user].tag and user in (mutation.users or known)
        )
        told = Counter({(one.from_tag, one.to_tag): one.users for one in previewed.moves})
        assert told == moves, mutation.name
        assert previewed.users == moves.total()
        counts = [one.users for one in previewed.moves]
        assert counts == sorted(counts, reverse=True)
        moved = {one.user_id: (one.from_tag, one.to_tag) for one in previewed.sample}
        assert len(previewed.sample) == len(moved) == min(20, moves.total())
        assert moved == {user: (before[user].tag, after[user].tag) for user in moved}
        stay = [
            user for user in known
            if after[user].source == "pin" and before[user].tag == after[user].tag
            and (user in mutation.users or after[user].variant == mutation.variant)
        ]  # fmt: skip
        assert previewed.pinned == len(stay), mutation.name


def test_users_of_another_variant_who_keep_what_runs_are_counted(
    world: Sandbox, stores: Stores
) -> None:
    """Where their variant has nothing for them, disabling what they run leaves them nothing."""
    stores.put("INSTANCE#ben", "IMAGE", **instance_item("ben"))
    world.promote("v4")
    world.publish("x1", variant="bare")
    world.pin("ben", "x1")
    world.disable("x1", force=True)
    copy_fleet(stores)
    disabling = VersionChange("disabled", force=True)
    previewed = preview_version_change("v1", disabling, catalog=world.catalog, kv=world.kv)
    assert [tuple(one) for one in previewed.moves] == [("v1", None, 1)]
    assert [tuple(one) for one in previewed.sample] == [("ben", "v1", None)]
    world.disable("v1", force=True)
    previewed = preview_version_change(
        "v1", VersionChange("active"), catalog=world.catalog, kv=world.kv
    )
    assert [tuple(one) for one in previewed.moves] == [(None, "v1", 1)]


def test_whoever_loses_or_regains_a_pin_counts_by_bucket(
    world: Sandbox, stores: Stores
) -> None:
    """A rollout takes its share of the users whose pins are suspended, and gives it back."""
    users = [f"user-{number}" for number in range(40)]
    for user in users:
        stores.put(f"INSTANCE#{user}", "IMAGE", **instance_item(user))
        world.pin(user, "v1")
    world.promote("v2")
    rollout = world.roll_out("v4", 50).rollout
    assert rollout
    copy_fleet(stores)
    inside = sum(is_in(rollout.salt, user, 50) for user in users)
    shares = {("v1", "v4"): inside, ("v1", "v2"): len(users) - inside}
    for change in (VersionChange("disabled", force=True), VersionChange("active")):
        previewed = preview_version_change("v1", change, catalog=world.catalog, kv=world.kv)
        told = {(one.from_tag, one.to_tag): one.users for one in previewed.moves}
        assert told == shares
        shares = {(after, before): count for (before, after), count in shares.items()}
        world.disable("v1", force=True)


PREVIEWS: list[tuple[str, Any]] = [
    ("promote", lambda stores: preview_promotion("v2", **stores)),
    ("disable", lambda stores: preview_version_change(
        "v1", VersionChange("disabled", replacement="v4"), **stores)),
    ("deprecate", lambda stores: preview_version_change(
        "v3", VersionChange("deprecated"), **stores)),
    ("retire", lambda stores: preview_retirement("v4", **stores)),
    ("pin", lambda stores: preview_pin("ana", "v2", **stores)),
    ("unpin", lambda stores: preview_unpin("ana", **stores)),
    ("erase", lambda stores: preview_erasure("ana", **stores)),
]  # fmt: skip


@pytest.mark.parametrize("preview", [one for _, one in PREVIEWS], ids=[n for n, _ in PREVIEWS])
def test_a_preview_holds_nobody_up(
    world: Sandbox, start: Sandbox, stores: Stores, client: Any, preview: Any
) -> None:
    """A start, a promotion and a pin run while it is under way, and it waits for no lock."""
    with closing(Sandbox(stores, client)) as other:

        def meanwhile() -> None:
            assert start.provision("ben", "upgrade").recorded
            other.promote("v3")
            other.pin("cid", "v1")

        kv = KV(Interposing(client, "batch_get_item", meanwhile), stores.table)
        with other.catalog.transaction() as tx:
            tx.variants.lock("default")
            tx.versions.lock_for_change("v2")
            tx.users.lock("ana")
            assert isinstance(preview({"catalog": world.catalog, "kv": world.kv}), Preview)
        assert isinstance(preview({"catalog": world.catalog, "kv": kv}), Preview)
