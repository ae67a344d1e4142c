"""Lists and counts of a random fleet say of each user what `decide` says of that user alone."""

import random
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from shared.catalog.fleet import InstanceFilter, InstanceSort, Place, classes
from shared.domain.errors import NoVersionAvailable
from shared.domain.model import Intent
from shared.kv import KV
from shared.usecases.instances import (
    FleetCounts,
    InstanceQuery,
    InstanceState,
    count_instances,
    list_instances,
)
from shared.usecases.provision import Start, explain
from tests.support.concurrent_actors import Sandbox
from tests.support.failing_clients import unreachable
from tests.support.fleet_copy import copy_fleet
from tests.support.stores import Stores
from tests.support.stream_records import instance_item

VARIANTS = ("default", "gpu", "quiet")
STATUSES = ("active", "active", "active", "deprecated", "disabled")
STRAYS = ("lost", "only-in-kv")
RUNNABLE = 2
"""So many versions of each variant may be named by its mirror."""
USERS = 60
SORTS: tuple[InstanceSort, ...] = ("user_id", "resolved_at")


class RandomFleet:
    """Several variants with pointers, pins and records of every kind, in both stores."""

    def __init__(self, stores: Stores, seed: int) -> None:
        self._stores = stores
        self._chance = random.Random(seed)
        self._tags = {
            variant: [f"{variant}-{number}" for number in range(5)] for variant in VARIANTS
        }
        self.users = [f"user-{number}" for number in range(USERS)]

    def fill(self) -> None:
        for variant, tags in self._tags.items():
            for number, tag in enumerate(tags):
                status = self._chance.choice(STATUSES) if number >= RUNNABLE else "active"
                self._add_version(variant, tag, status)
            self._add_pointers(variant, tags)
        self._stores.put_entry("only-in-kv")
        for user in self.users:
            self._add_user(user)
        copy_fleet(self._stores)

    def _add_version(self, variant: str, tag: str, status: str) -> None:
        retired = status == "disabled" and self._chance.random() < 0.5
        self._stores.put_entry(tag, variant=variant)
        self._stores.sql(
            "INSERT INTO kiloclaw_available_versions"
            " (image_tag, openclaw_version, variant, published_at, status, retired_at)"
            " VALUES (%(tag)s, '2026.11.1', %(variant)s, now(), %(status)s,"
            "         CASE WHEN %(retired)s THEN now() END)",
            tag=tag, variant=variant, status=status, retired=retired,
        )  # fmt: skip

    def _add_pointers(self, variant: str, tags: list[str]) -> None:
        """A mirror, and a KV's pointer that agrees, is ahead, behind, malformed or missing."""
        mirror = self._pointer(tags[:RUNNABLE])
        self._stores.sql(
            "INSERT INTO kiloclaw_variants (variant, latest_tag, candidate_tag,"
            " rollout_percent, rollout_salt, held, revision)"
            " VALUES (%(variant)s, %(latest_tag)s, %(candidate_tag)s, %(percent)s, %(salt)s,"
            "         %(held)s, 5)",
            variant=variant, **mirror,
        )  # fmt: skip
        kind = self._chance.choice(("same", "same", "ahead", "behind", "malformed", "missing"))
        other = mirror if kind == "same" else self._pointer([*tags, "only-in-kv"])
        attributes = {name: value for name, value in other.items() if value is not None}
        revision: Any = {"ahead": 6, "behind": 4, "malformed": "broken"}.get(kind, 5)
        if kind != "missing":
            self._stores.put("POINTER", variant, revision=revision, **attributes)

    def _pointer(self, tags: list[str]) -> dict[str, Any]:
        latest, other = self._chance.sample(tags, 2)
        candidate = other if self._chance.random() < 0.7 else None
        return {
            "latest_tag": latest,
            "candidate_tag": candidate,
            "percent": self._chance.choice((0, 30, 60, 100)) if candidate else None,
            "salt": self._chance.choice(("one", "two")) if candidate else None,
            "held": bool(candidate) and self._chance.random() < 0.3,
        }

    def _add_user(self, user: str) -> None:
        variant = self._chance.choice(VARIANTS)
        tag = self._chance.choice([*self._tags[variant], *STRAYS])
        is_pinned = self._chance.random() < 0.3
        started = datetime(2026, 11, 1, tzinfo=UTC) + timedelta(
            minutes=self._chance.randrange(9)
        )
        moment = started.strftime("%Y-%m-%dT%H:%M:%S.000000Z")
        source = "pin" if is_pinned else self._chance.choice(("latest", "rollout", "instance"))
        record = instance_item(
            user,
            running_tag=tag,
            variant="unheard-of" if self._chance.random() < 0.05 else variant,
            source=source,
            is_pinned=is_pinned,
            resolved_at=moment,
            decided_at=moment,
        )
        self._stores.put(f"INSTANCE#{user}", "IMAGE", **record)
        if self._chance.random() < 0.5:
            pinned = self._chance.choice(self._tags[self._chance.choice(VARIANTS)])
            self._stores.sql(
                "INSERT INTO kiloclaw_version_pins (user_id, image_tag, pinned_by, expires_at)"
                " VALUES (%(user)s, %(tag)s, 'eve',"
                "         CASE WHEN %(expired)s THEN now() - interval '1 hour' END)",
                user=user, tag=pinned, expired=self._chance.random() < 0.3,
            )  # fmt: skip


@pytest.fixture(params=range(8))
def fleet(request: pytest.FixtureRequest, stores: Stores) -> RandomFleet:
    """A fleet like no other one."""
    fleet = RandomFleet(stores, request.param)
    fleet.fill()
    return fleet


@pytest.fixture(params=["KV up", "KV down"])
def kv(request: pytest.FixtureRequest, sandbox: Sandbox, stores: Stores) -> KV:
    """The KV, or one that does not answer."""
    return sandbox.kv if request.param == "KV up" else KV(unreachable(), stores.table)


def _walk(query: InstanceQuery, limit: int, sandbox: Sandbox, kv: KV) -> list[InstanceState]:
    """All pages of a list."""
    items: list[InstanceState] = []
    after: Place | None = None
    while True:
        page = list_instances(query, after, limit, catalog=sandbox.catalog, kv=kv).items
        items += page
        if len(page) < limit:
            return items
        after = (page[-1].instance.resolved_at, page[-1].instance.user_id)


def _everybody(sandbox: Sandbox, kv: KV) -> list[InstanceState]:
    return _walk(InstanceQuery(InstanceFilter()), 100, sandbox, kv)


def _would_run(user: str, intent: Intent, sandbox: Sandbox) -> str | None:
    """The tag that provisioning would answer now."""
    start = Start(user, intent)
    try:
        found = explain(start, database=sandbox.database, kv=sandbox.kv)
    except NoVersionAvailable:
        return None
    return found.resolution.image.image_tag


def test_flags_are_what_provisioning_would_answer(fleet: RandomFleet, sandbox: Sandbox) -> None:
    """`drift`: a restart would run another tag; `outdated`: an upgrade would."""
    states = _everybody(sandbox, sandbox.kv)
    assert [state.instance.user_id for state in states] == sorted(fleet.users)
    for state in states:
        user, tag = state.instance.user_id, state.instance.image_tag
        assert state.drift == (_would_run(user, "restart", sandbox) != tag)
        assert state.outdated == (_would_run(user, "upgrade", sandbox) != tag)


@pytest.mark.parametrize("sort", SORTS)
@pytest.mark.usefixtures("fleet")
def test_lists_by_class_are_those_who_are_flagged(
    sandbox: Sandbox, kv: KV, sort: InstanceSort, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every page of any filter has the users of whom it is true, in order and once.

    Also where a page is looked for among the next few instances first.
    """
    monkeypatch.setattr(classes, "LOOKED_AT", 20)
    everybody = _everybody(sandbox, kv)
    if sort == "resolved_at":
        everybody.sort(
            key=lambda one: (one.instance.resolved_at, one.instance.user_id), reverse=True
        )
    for drift, outdated in ((True, False), (False, True), (True, True)):
        for wanted in (
            InstanceFilter(),
            InstanceFilter(image_tag="gpu-1"),
            InstanceFilter(variant="default", source="latest"),
            InstanceFilter(q="USER-2"),
        ):
            expected = [
                state
                for state in everybody
                if state.drift >= drift
                and state.outdated >= outdated
                and wanted.image_tag in {None, state.instance.image_tag}
                and wanted.variant in {None, state.instance.variant}
                and wanted.source in {None, state.instance.source}
                and (wanted.q or "").lower() in state.instance.user_id
            ]
            query = InstanceQuery(wanted, drift, outdated, sort)
            for limit, many in ((1, 10_000), (7, 1), (100, 10_000)):
                monkeypatch.setattr(classes, "MANY", many)
                assert _walk(query, limit, sandbox, kv) == expected


@pytest.mark.usefixtures("fleet")
def test_counts_are_those_of_everybody(sandbox: Sandbox, kv: KV) -> None:
    """Counting by class gives what asking `decide` for every user gives."""
    states = _everybody(sandbox, kv)
    with sandbox.catalog.transaction() as tx:
        counted = count_instances(tx, kv)
    assert counted == FleetCounts(
        total=USERS,
        pinned=sum(state.instance.is_pinned for state in states),
        drift=sum(state.drift for state in states),
        outdated=sum(state.outdated for state in states),
    )
    assert counted.drift
    assert counted.outdated
