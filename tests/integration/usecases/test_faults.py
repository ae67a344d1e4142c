"""A process that dies between any two steps: then a sync or a repeat, and nothing is lost."""

from collections.abc import Iterator
from contextlib import closing, nullcontext, suppress
from multiprocessing import get_context
from signal import SIGKILL
from typing import Any

import pytest

from shared.domain.errors import CatalogUnavailable, KVUnavailable, VersionNotFound
from shared.kv.table import connect
from tests.support.concurrent_actors import Sandbox
from tests.support.crash_cases import CALLS
from tests.support.crash_points import How, Killed, Kind, Mortal, Steps
from tests.support.invariants import faults
from tests.support.stores import Stores

PROCESSES = get_context("forkserver")
PROCESSES.set_forkserver_preload(["tests.integration.usecases.test_faults"])


class FaultScenario:
    """Both stores, a call, and a sandbox that lives on."""

    def __init__(self, stores: Stores, client: Any, what: str) -> None:
        self.stores = stores
        self.client = client
        self.what = what
        self.sandbox = Sandbox(stores, client)

    def prepare(self, *names: str) -> None:
        call = CALLS[self.what]
        self._put(names, moves=call.moves)
        self.sandbox.sync()
        for name in names:
            if call.promoted:
                self.sandbox.promote(f"{name}-{call.promoted}")
            if call.pinned:
                self.sandbox.pin(f"{name}-user", f"{name}-{call.pinned}")
            if call.pinned or call.started:
                self.sandbox.provision(f"{name}-user", variant=name if call.started else None)
            if call.disabled:
                self.sandbox.disable(f"{name}-{call.disabled}")

    def _put(self, names: tuple[str, ...], *, moves: bool) -> None:
        ends = ("old", "next", "spare")
        self.stores.put_entries(
            {f"{name}-{end}": name if moves else "default" for name in names for end in ends}
        )
        for name in names if moves else ():
            self._point(name)

    def _point(self, name: str) -> None:
        rollout = dict(CALLS[self.what].rollout or {})
        if rollout:
            self.stores.put("ROLLOUT", name, ok=0, failed=rollout.pop("failed"))
            rollout |= {"candidate_tag": f"{name}-next", "salt": name}
        self.stores.put("POINTER", name, revision=1, latest_tag=f"{name}-old", **rollout)

    def kinds(self) -> list[Kind]:
        """The steps that the call takes when nothing happens."""
        self.prepare("trial")
        return self.call("trial", Steps()).kinds

    def call(self, name: str, steps: Steps) -> Steps:
        conninfo = self.stores.conninfo("admin_api")
        make_call(self.what, name, conninfo, self.stores.table, self.client, steps)
        return steps

    def repeat(self, name: str) -> None:
        """Make the call again; a retired version is gone already."""
        with suppress(VersionNotFound):
            self.call(name, Steps())

    def done(self, names: list[str]) -> list[bool]:
        """About which of the names the call has happened."""
        if CALLS[self.what].by_sync:
            self.sandbox.sync()
        rows = self.stores.sql(CALLS[self.what].done, names=names)
        return [(name,) in rows for name in names]


def make_call(
    what: str, name: str, conninfo: str, table: str, client: Any, steps: Steps
) -> None:
    """Make a call in a process that may not survive it."""
    mortal = Mortal(conninfo, table, client, steps)
    with closing(mortal.database):
        CALLS[what].make(mortal, name)


def make_call_in_process(what: str, name: str, conninfo: str, table: str, at: int) -> None:
    make_call(what, name, conninfo, table, connect(), Steps(at, "SIGKILL"))


@pytest.fixture
def scenario(stores: Stores, client: Any, what: str) -> Iterator[FaultScenario]:
    """What the named call is made in."""
    scenario = FaultScenario(stores, client, what)
    with closing(scenario.sandbox):
        yield scenario


@pytest.mark.parametrize("what", CALLS)
def test_a_process_dies_between_any_two_steps(scenario: FaultScenario) -> None:
    """After a sync the call has happened or has not, in both stores; a repeat completes it."""
    names = [f"at-{at}" for at, _ in enumerate(scenario.kinds(), start=1)]
    scenario.prepare(*names)
    for at, name in enumerate(names, start=1):
        with pytest.raises(Killed):
            scenario.call(name, Steps(at, "killed"))
    scenario.sandbox.sync()
    assert faults(scenario.stores) == []
    done = scenario.done(names)
    assert done == sorted(done)
    assert (done[0], done[-1]) == (False, True)
    for name in names:
        scenario.repeat(name)
    scenario.sandbox.sync()
    assert faults(scenario.stores) == []
    assert all(scenario.done(names))


@pytest.mark.parametrize("what", CALLS)
def test_a_store_is_lost_at_any_step(scenario: FaultScenario) -> None:
    """The call succeeds or says which store was lost; a repeat at once completes it.

    The kill switch works without the KV at every step.
    """
    hows: list[How] = ["cut before", "cut after"]
    steps = {
        f"at-{at}-{how[4]}": (Steps(at, how), kind)
        for at, kind in enumerate(scenario.kinds(), start=1)
        for how in hows
        if kind != "statement"
    }
    scenario.prepare(*steps)
    for name, (step, kind) in steps.items():
        told = KVUnavailable if kind == "kv" else CatalogUnavailable
        unstoppable = kind == "kv" and scenario.what.startswith("disable")
        with nullcontext() if unstoppable else suppress(told):
            scenario.call(name, step)
        scenario.repeat(name)
    assert all(scenario.done(list(steps)))
    scenario.sandbox.sync()
    assert faults(scenario.stores) == []


@pytest.mark.parametrize("what", ["publish as latest", "disable with a replacement"])
def test_a_process_is_really_killed(scenario: FaultScenario) -> None:
    """SIGKILL leaves what the simulated death leaves."""
    some = [at for at, _ in enumerate(scenario.kinds(), start=1)][::4]
    simulated, killed = [f"s-{at}" for at in some], [f"k-{at}" for at in some]
    scenario.prepare(*simulated, *killed)
    conninfo, table = scenario.stores.conninfo("admin_api"), scenario.stores.table
    processes = [
        PROCESSES.Process(
            target=make_call_in_process, args=(scenario.what, name, conninfo, table, at)
        )
        for at, name in zip(some, killed, strict=True)
    ]
    for process in processes:
        process.start()
    for at, name in zip(some, simulated, strict=True):
        with pytest.raises(Killed):
            scenario.call(name, Steps(at, "killed"))
    for process in processes:
        process.join(60)
        assert process.exitcode == -SIGKILL
    scenario.sandbox.sync()
    assert faults(scenario.stores) == []
    assert scenario.done(killed) == scenario.done(simulated)
