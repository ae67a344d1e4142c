"""The page of instances: who runs what, and what a restart or an upgrade would change."""

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from infra.local.postgres import Postgres
from tests.support.concurrent_actors import Sandbox
from tests.support.console import Person, console_on
from tests.support.fleet_copy import copy_fleet
from tests.support.statements import statements
from tests.support.stores import Stores, make_stores
from tests.support.stream_records import instance_item

PAGE = "/console/instances"
HOSTILE = "o'brien&amp;/{{7*7}}:1+1@example.com"
"""What is legal in a user id and must be escaped in pages and addresses."""


@pytest.fixture(scope="module")
def admin(postgres_server: Postgres, dynamodb: Any, client: Any) -> Iterator[Person]:
    """`two` is latest. `old` runs `one`, `pia` waits for a restart, `gone` may run nothing."""
    stores = make_stores(postgres_server, dynamodb)
    with closing(Sandbox(stores, client)) as sandbox:
        for tag in ("one", "two"):
            sandbox.publish(tag)
        sandbox.publish("bad", variant="gpu")
        sandbox.promote("two")
        sandbox.pin("pia", "one")
        sandbox.disable("bad")
    for user, tag, more in (
        ("new", "two", {}), ("old", "one", {}), ("pia", "two", {}),
        ("gone", "bad", {"variant": "gpu"}), (HOSTILE, "two", {"source": "rollout"}),
    ):  # fmt: skip
        item = instance_item(user, running_tag=tag, is_pinned=False, **more)
        stores.put(f"INSTANCE#{user}", "IMAGE", **item)
    copy_fleet(stores)
    with console_on(stores) as person:
        yield person


def users(admin: Person, query: str = "") -> list[str]:
    rows = admin.get(f"{PAGE}{query}").rows()
    return [row[0] for row in rows]


def test_what_is_and_what_would_be(admin: Person) -> None:
    """Each instance with its pin, what a restart would run, and whether it is behind."""
    page = admin.signed_in("viewer").get(PAGE)
    rows = {row[0]: row[1:6] for row in page.rows()}
    assert rows["new"] == [
        "two OpenClaw 2026.11.1",
        "default",
        "what was latest",
        "none",
        "the same",
    ]
    assert rows["old"][0] == "one outdated OpenClaw 2026.11.1"
    assert rows["pia"][3:] == ["one", "one drift"]
    assert rows["gone"][4] == "nothing may run"
    assert rows[HOSTILE][2] == "the rollout"
    assert "As of" in page.text


def test_hostile_ids_are_escaped(admin: Person) -> None:
    """They are text on the page, and their links lead to them."""
    page = admin.get(PAGE)
    assert (
        HOSTILE,
        "/console/users/o'brien&amp;/%7B%7B7*7%7D%7D:1+1@example.com",
    ) in page.links
    assert "&amp;amp;" in page.html
    shown = admin.get(f"{PAGE}?q=%22%3E%3Cscript%3Ealert(1)%3C/script%3E")
    assert "<script>alert" not in shown.html
    assert shown.forms(PAGE)[0]["q"] == '"><script>alert(1)</script>'


def test_filters(admin: Person) -> None:
    """Each filter of the API's list, alone and together; the form shows what is asked for."""
    everybody = sorted(["gone", "new", HOSTILE, "old", "pia"])
    assert users(admin) == everybody
    for query, found in {
        "?drift=true": ["gone", "pia"],
        "?outdated=true": ["gone", "old", "pia"],
        "?image_tag=two": ["new", HOSTILE, "pia"],
        "?variant=gpu": ["gone"],
        "?source=rollout": [HOSTILE],
        "?q=P": [HOSTILE, "pia"],
        "?q=P&drift=true&variant=&source=": ["pia"],
    }.items():
        assert users(admin, query) == found, query
    page = admin.get(f"{PAGE}?q=p&variant=gpu&source=pin&outdated=true&sort=resolved_at")
    [form] = page.forms(PAGE)
    assert form == {
        "q": "p", "image_tag": "", "variant": "gpu", "source": "pin", "outdated": "true",
        "sort": "resolved_at",
    }  # fmt: skip
    assert "No matching instances" in page.text
    assert admin.get(f"{PAGE}?drift=no", 422).heading == "Invalid request"


def test_pages_and_order(admin: Person) -> None:
    """The links to the next page go through the list once, with filters and order."""
    for query in ("?limit=2", "?limit=2&sort=resolved_at", "?limit=1&outdated=true"):
        whole = users(admin, query.replace("limit=1&", "").replace("limit=2", ""))
        seen: list[str] = []
        page = admin.get(PAGE + query)
        while True:
            seen += [row[0] for row in page.rows()]
            following = [address for text, address in page.links if text == "Next page"]
            if not following:
                break
            page = admin.get(following[0])
        assert seen == whole
        assert len(seen) > 2
        assert any(text == "First page" for text, _ in page.links)
    heads = [head.get("aria-sort") for head in admin.get(PAGE).main.iter("th")]
    assert heads[0] == "ascending"
    assert ("Since", f"{PAGE}?sort=resolved_at") in admin.get(PAGE).links


def test_a_page_costs_a_fixed_number_of_statements(admin: Person) -> None:
    """However many rows it has."""
    costs = []
    for limit in (1, 4, 5):
        with statements() as run:
            admin.get(f"{PAGE}?limit={limit}")
        costs.append(len(run))
    assert len(set(costs)) == 1
    assert costs[0] <= 12


def test_a_fleet_without_instances(stores: Stores) -> None:
    """The page says what happens next, not that a filter is too narrow."""
    with console_on(stores) as person:
        assert "No instance has started yet" in person.get(PAGE).text


def test_stores_that_are_down(admin: Person) -> None:
    """Without the KV the mirrors decide; without the catalog the page says what is missing."""
    assert admin.without_kv().get(PAGE).rows() == admin.get(PAGE).rows()
    down = admin.without_catalog().get(f"{PAGE}?variant=gpu&q=p")
    assert "The catalog does not answer, so the list cannot be shown now." in down.text
    assert down.forms(PAGE)[0]["variant"] == "gpu"
