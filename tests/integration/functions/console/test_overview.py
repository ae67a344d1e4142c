"""The overview: every figure of the fleet, and what a large fleet costs."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from typing import Any

import pytest

from functions.console import figures
from infra.local.postgres import Postgres
from shared.kv import KV
from tests.support.concurrent_actors import Sandbox
from tests.support.console import Person, console_on
from tests.support.failing_clients import unreachable
from tests.support.fleet_copy import copy_fleet
from tests.support.statements import statements
from tests.support.stores import Stores, make_stores
from tests.support.stream_records import instance_item

PAGE = "/console"


def start(stores: Stores, user: str, tag: str) -> None:
    stores.put(f"INSTANCE#{user}", "IMAGE", **instance_item(user, running_tag=tag))
    copy_fleet(stores)


@pytest.fixture
def admin(postgres_server: Postgres, dynamodb: Any, client: Any) -> Iterator[Person]:
    """`two` is latest, and of two instances one still runs `one`."""
    stores = make_stores(postgres_server, dynamodb)
    with closing(Sandbox(stores, client)) as sandbox:
        for tag in ("one", "two"):
            sandbox.publish(tag)
        sandbox.promote("two")
    start(stores, "ana", "two")
    start(stores, "old", "one")
    with console_on(stores) as person:
        yield person


def test_figures_of_a_large_fleet_are_kept(
    admin: Person, client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For a minute, and not when a decision has changed; those of a small one never."""
    assert "2 instances" in admin.get(PAGE).text
    start(admin.stores, "new", "one")
    assert "3 instances" in admin.get(PAGE).text
    monkeypatch.setattr(figures, "LARGE", 2)
    with statements() as counting:
        assert "2 outdated" in admin.get(PAGE).text
    start(admin.stores, "later", "one")
    with statements() as keeping:
        assert "3 instances" in admin.get(PAGE).text
    assert len(keeping) < len(counting)
    with closing(Sandbox(admin.stores, client)) as sandbox:
        sandbox.promote("one")
    assert "4 instances" in admin.get(PAGE).text
    assert "1 outdated" in admin.get(PAGE).text
    start(admin.stores, "last", "two")
    monkeypatch.setattr(figures, "monotonic", lambda: float("inf"))
    assert "2 outdated" in admin.get(PAGE).text


def test_the_page_costs_a_fixed_number_of_statements(admin: Person) -> None:
    """However many instances there are and whatever they run."""
    costs = []
    for number in range(3):
        start(admin.stores, f"more-{number}", f"tag-{number}")
        with statements() as run:
            admin.get(PAGE)
        costs.append(len(run))
    assert len(set(costs)) == 1
    assert costs[0] <= 20


def test_stores_that_are_down(admin: Person) -> None:
    """The page says which figures are missing, and shows the rest."""
    down = admin.without_catalog().get(PAGE)
    assert down.heading == "Overview"
    assert "The catalog does not answer" in down.text
    admin.stores.sql(
        "UPDATE kiloclaw_variants SET candidate_tag = 'one', rollout_percent = 10,"
        "       rollout_salt = 'salt', held = true"
    )
    without_kv = replace(admin.wired(), kv=KV(unreachable(), admin.stores.table))
    page = replace(admin, wired=lambda: without_kv).get(PAGE)
    assert "2 instances" in page.text
    assert "one: the rollout was held" in page.text
    assert "no start was reported" not in page.text


def test_a_disabled_version_that_still_runs_needs_a_look(admin: Person, client: Any) -> None:
    """A kill switch stops no instance: the page says how many still run the version."""
    assert "a disabled version" not in admin.get(PAGE).text
    with closing(Sandbox(admin.stores, client)) as sandbox:
        sandbox.disable("one")
    assert "1 instance runs a disabled version" in admin.get(PAGE).text
    start(admin.stores, "new", "one")
    assert "2 instances run a disabled version" in admin.get(PAGE).text


def test_the_last_run_is_one_that_did_something(admin: Person, client: Any) -> None:
    """A run that made way for another says nothing about the KV."""
    with closing(Sandbox(admin.stores, client, "sync")) as sandbox:
        seen = sandbox.sync().seen
    admin.stores.sql(
        "INSERT INTO kiloclaw_sync_runs (id, started_at, outcome, counts, trigger)"
        " SELECT gen_random_uuid(), now(), 'skipped_locked', counts, trigger"
        "   FROM kiloclaw_sync_runs"
    )
    page = admin.get(PAGE)
    assert f"Entries seen {seen}" in page.text
    assert "skipped" not in page.text


def test_what_the_catalog_does_not_know_yet_is_counted(admin: Person) -> None:
    """An image that only the KV knows counts for the variant of the instances that run it."""
    start(admin.stores, "early", "three")
    page = admin.get(PAGE)
    assert page.rows(0)[0][4] == "3"
    assert ["three", "–", "not in the catalog yet", "1", "33 %", "0"] in page.rows(1)
