"""With stores killed and stores stopped, every answer is that of the failure table."""

import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.support.local_system import kill_catalog, running
from tests.support.outages import (
    DISABLE,
    LIMIT_SECONDS,
    MARGIN_SECONDS,
    PIN,
    OutageFleet,
    stopped,
)


def fleet_in(folder: Path, *options: str) -> Iterator[OutageFleet]:
    with running(folder / "log", "--empty", "--no-schedule", *options) as system:
        fleet = OutageFleet(system)
        fleet.fill()
        fleet.warm()
        yield fleet
        fleet.close()


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OutageFleet]:
    """A system whose stores are stopped and go on."""
    yield from fleet_in(tmp_path_factory.mktemp("outages"))


@pytest.fixture
def own_fleet(tmp_path: Path) -> Iterator[OutageFleet]:
    """A system whose stores may be killed; one environment a function is enough."""
    yield from fleet_in(tmp_path, "--environments", "1")


@pytest.mark.parametrize("down", ["postgres", "dynamodb", "both"])
def test_a_store_hangs(fleet: OutageFleet, down: str) -> None:
    """Answers come in time while a store is stopped, and all is well once it goes on."""
    fleet.warm()
    pids = fleet.pids.values() if down == "both" else [fleet.pids[down]]
    with stopped(*pids):
        faults = fleet.faults(down)
    assert not faults
    fleet.mend()
    pinned = fleet.start(user_id="pinned")
    assert (pinned["source"], pinned["recorded"], pinned["degraded"]) == ("pin", True, False)
    latest = fleet.start(user_id="newcomer")
    assert (latest["image_tag"], latest["degraded"]) == ("two", False)
    assert fleet.start(user_id="newcomer", intent="destroy")["destroyed"] is True
    for name in ("bad", "two"):
        assert fleet.done("GET", f"/v1/versions/{name}")["is_latest"] is True
    fleet.done("PUT", "/v1/users/other/pin", PIN)
    fleet.done("POST", "/v1/users/other/erase")
    assert fleet.system.get("/healthz").status == 200


def test_a_hanging_kv_holds_up_no_kill_switch(fleet: OutageFleet) -> None:
    """A version can be disabled while a promotion holds the variant and waits for the KV."""
    with stopped(fleet.pids["dynamodb"]), ThreadPoolExecutor() as pool:
        promotion = pool.submit(fleet.ask, "POST", "/v1/versions/spare/promote")
        time.sleep(0.3)
        began = time.monotonic()
        disabled = fleet.ask("PATCH", "/v1/versions/spare", DISABLE)
        took = time.monotonic() - began
        assert promotion.result().status == 503
    assert disabled.status == 200, disabled.body
    assert took < LIMIT_SECONDS + MARGIN_SECONDS
    fleet.mend()


def test_backends_of_all_functions_are_silent(fleet: OutageFleet) -> None:
    """The server is fine, so nobody loses a pin and every function answers as always."""
    fleet.warm()
    fleet.invoke("sync")
    with stopped(*fleet.backends()):
        pinned = fleet.start(user_id="pinned")
        unpinned = fleet.start(user_id="known")
        assert fleet.done("PUT", "/v1/users/silent/pin", PIN)["pin"]["image_tag"] == "one"
        assert fleet.invoke("sync")["outcome"] == "ok"
        assert fleet.invoke("migrate") == {"applied": []}
    assert (pinned["source"], pinned["recorded"], pinned["degraded"]) == ("pin", True, False)
    assert (unpinned["source"], unpinned["degraded"]) == ("latest", False)


def test_the_catalog_is_lost(own_fleet: OutageFleet) -> None:
    """Known instances keep their image while PostgreSQL is dead, and /healthz names it."""
    kill_catalog(own_fleet.system)
    assert not own_fleet.faults("postgres")
    assert own_fleet.system.get("/healthz").json["down"] == ["postgres"]


def test_the_kv_is_lost_and_then_the_catalog(own_fleet: OutageFleet) -> None:
    """Pins are served without the KV; without both stores every start is refused."""
    os.kill(own_fleet.pids["dynamodb"], signal.SIGKILL)
    assert not own_fleet.faults("dynamodb")
    assert own_fleet.system.get("/healthz").json["down"] == ["dynamodb"]
    kill_catalog(own_fleet.system)
    assert not own_fleet.faults("both")
    health = own_fleet.system.get("/healthz")
    assert (health.status, health.json["down"]) == (503, ["postgres", "dynamodb"])
