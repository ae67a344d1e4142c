"""Rollouts, the brake, rollbacks, kill switches and pipelines, in any order."""

from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from functools import partial
from random import Random
from typing import Any

import pytest

from shared.domain.errors import Refused
from shared.domain.pointer import Brake
from shared.kv import KV
from shared.kv.table import ConditionFailed, as_read
from tests.support.concurrent_actors import Crowd, Sandbox, published
from tests.support.invariants import faults
from tests.support.stores import Stores

ROLLOUT = {"percent": 100, "brake_min_failures": 9, "brake_percent": 1}
ROUNDS = 10

Act = Callable[[Sandbox, str], object]

ACTS: dict[str, Act] = {
    "promote the candidate": lambda sandbox, name: sandbox.promote(f"{name}-next"),
    "promote another": lambda sandbox, name: sandbox.promote(f"{name}-spare"),
    "change the percent": lambda sandbox, name: sandbox.roll_out(
        f"{name}-next", 50, variant=name
    ),
    "abort": lambda sandbox, name: sandbox.abort(name),
    "resume": lambda sandbox, name: sandbox.resume(name),
    "roll back": lambda sandbox, name: sandbox.roll_back(name),
    "disable the latest": lambda sandbox, name: sandbox.disable(f"{name}-old", f"{name}-spare"),
    "disable the candidate": lambda sandbox, name: sandbox.disable(
        f"{name}-next", f"{name}-spare"
    ),
    "report": lambda sandbox, name: sandbox.report(
        f"{name}-user", f"{name}-next", "failed", "mine"
    ),
}


def _pipeline(stores: Stores, name: str, *, keeps: bool) -> None:
    """Move latest on the revision that was read, with or without the rollout."""
    item = stores.item("POINTER", name) or {}
    kept = item if keeps else {"pk": item["pk"], "sk": item["sk"]}
    revision = {"N": str(int(item["revision"]["N"]) + 1)}
    moved = {"revision": revision, "latest_tag": {"S": f"{name}-spare"}}
    stores.client.put_item(TableName=stores.table, Item=kept | moved)


def _brake(stores: Stores, name: str) -> None:
    """Somebody else's report reaches the thresholds."""
    with closing(Sandbox(stores, stores.client, "provisioning")) as other:
        other.report(f"{name}-user", f"{name}-next", "failed", "another")


RIVALS: dict[str, Callable[[Stores, str], None]] = {
    "a pipeline that keeps the rollout": partial(_pipeline, keeps=True),
    "a pipeline that ends it": partial(_pipeline, keeps=False),
    "the brake": _brake,
}


class Meeting:
    """A client before whose call number `at` something else happens; it counts its calls."""

    def __init__(self, client: Any, at: int, event: Callable[[], object]) -> None:
        self._client = client
        self._at = at
        self._event = event
        self.calls = 0

    def __getattr__(self, operation: str) -> Any:
        def call(**parameters: Any) -> Any:
            self.calls += 1
            if self.calls == self._at:
                self._event()
            return getattr(self._client, operation)(**parameters)

        return call


def _prepare(sandbox: Sandbox, stores: Stores, names: list[str], *, held: bool) -> None:
    """`-spare`, then `-old` became latest; `-next` is rolled out to everybody, one failure
    from its brake, or held by it. Each `-user` was told to run it.
    """
    for name in names:
        for end in ("old", "next", "spare"):
            stores.put_entry(f"{name}-{end}", variant=name)
        stores.put("POINTER", name, revision=1, latest_tag=f"{name}-spare")
    sandbox.sync()
    for name in names:
        rollout = ROLLOUT | {"candidate_tag": f"{name}-next", "salt": name}
        stores.put("POINTER", name, revision=2, latest_tag=f"{name}-old", **rollout)
        sandbox.provision(f"{name}-user", variant=name)
        stores.put("ROLLOUT", name, ok=0, failed=9 if held else 8)
    sandbox.sync()


def _act(sandbox: Sandbox, stores: Stores, act: Act, name: str, client: Any) -> None:
    sandbox.kv = KV(client, stores.table)
    with suppress(Refused):
        act(sandbox, name)
    sandbox.kv = stores.kv()


@pytest.mark.parametrize("what", ACTS)
def test_whoever_comes_between_any_two_calls(
    sandbox: Sandbox, stores: Stores, what: str
) -> None:
    """A pipeline or the brake acts before each call of the KV; then sync makes all agree."""
    act, held = ACTS[what], what == "resume"
    _prepare(sandbox, stores, ["trial"], held=held)
    trial = Meeting(stores.client, 0, lambda: None)
    _act(sandbox, stores, act, "trial", trial)
    cases = [(rival, at) for rival in RIVALS for at in range(1, trial.calls + 1)]
    names = [f"case-{number}" for number, _ in enumerate(cases)]
    _prepare(sandbox, stores, names, held=held)
    for name, (rival, at) in zip(names, cases, strict=True):
        meeting = Meeting(stores.client, at, partial(RIVALS[rival], stores, name))
        _act(sandbox, stores, act, name, meeting)
    sandbox.sync()
    assert faults(stores) == []
    for name in names:
        _nothing_disabled_is_served(sandbox, name)


def _nothing_disabled_is_served(sandbox: Sandbox, variant: str) -> None:
    for user in (f"{variant}-user", f"{variant}-stranger"):
        image = sandbox.provision(user, "upgrade", variant=variant).resolution.image
        assert image.status != "disabled"
        with sandbox.catalog.transaction() as tx:
            assert tx.versions.get(image.image_tag).status != "disabled"


@pytest.mark.parametrize("seed", range(3))
def test_everybody_at_once(crowd: Crowd, seed: int) -> None:
    """Moves, reports, syncs and pipelines race; afterwards the copies agree."""
    random = Random(seed)
    tags = [f"v{number}" for number in range(6)]
    published(crowd, *tags)
    crowd.admins[0].promote("v0")
    for number in range(ROUNDS):
        for user in ("ana", "bob", "cid"):
            with suppress(Refused):
                crowd.starts[0].provision(user, "upgrade")
        ended = crowd.race(*_calls(crowd, random, tags, number))
        assert len([end for end in ended if isinstance(end, Refused)]) < len(ended)
        report = crowd.settle()
        assert report.outcome == "ok"
        assert faults(crowd.stores) == []
        _nothing_disabled_is_served(crowd.starts[0], "default")
    assert crowd.revisions_with_two_contents() == []


def _calls(
    crowd: Crowd, random: Random, tags: list[str], number: int
) -> Iterator[Callable[[], object]]:
    """Four moves by people, a pipeline's, two reports, a sync and a start."""
    for admin in crowd.admins[:4]:
        tag, other = random.sample(tags, 2)
        moves: list[Callable[[], object]] = [
            partial(admin.promote, tag), admin.roll_back, admin.abort, admin.resume,
            partial(admin.roll_out, tag, random.choice([0, 50, 100]), Brake(1, 1)),
            partial(admin.roll_out, tag, 100, Brake(1, 1)),
            partial(admin.disable, tag, other), partial(admin.enable, tag),
        ]  # fmt: skip
        yield random.choice(moves)
    yield partial(_move, crowd.admins[4], random)
    for start, user in zip(crowd.starts, ("ana", "bob"), strict=False):
        yield partial(_report, start, user, f"{number}-{user}")
    yield crowd.syncs[0].sync
    yield partial(crowd.starts[2].provision, "dan", "upgrade")


def _report(start: Sandbox, user: str, start_id: str) -> object:
    """Report a failure of what the user was told to run."""
    told = start.instance(user)
    return told and start.report(user, told.image_tag, "failed", start_id)


def _move(pipeline: Sandbox, random: Random) -> bool:
    """Move the pointer as a pipeline does; some know of rollouts, others do not."""
    [stored] = pipeline.kv.table.get_all({"pk": {"S": "POINTER"}, "sk": {"S": "default"}})
    assert stored is not None
    keeps = random.random() < 0.5
    item = dict(stored) if keeps else {"pk": stored["pk"], "sk": stored["sk"]}
    item["revision"] = {"N": str(int(stored["revision"]["N"]) + 1)}
    item["latest_tag"] = {"S": f"v{random.randrange(6)}"}
    try:
        pipeline.kv.table.call(
            "put_item", Item=item, **as_read(stored, "revision").parameters()
        )
    except ConditionFailed:
        return False
    return True
