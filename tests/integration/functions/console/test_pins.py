"""The page of pins: filters, counts, the form that pins, the export, and suggestions."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from functions.console.pages import pins
from infra.local.postgres import Postgres
from shared.kv.table import connect
from shared.usecases.bulk_pins import BulkItem
from shared.usecases.pins_csv import read_pins
from tests.support.concurrent_actors import Sandbox, digest
from tests.support.console import Person, console_on
from tests.support.fleet_copy import copy_fleet
from tests.support.statements import statements
from tests.support.stores import Stores, make_stores

PINS = "/console/pins"
EXPORT = "/console/pins.csv"
FORMULA = '=HYPERLINK("https://example.com")'


@pytest.fixture(scope="module")
def stores(postgres_server: Postgres, dynamodb: Any) -> Stores:
    return make_stores(postgres_server, dynamodb)


@pytest.fixture(scope="module")
def actors(stores: Stores) -> Iterator[Sandbox]:
    """Pins of every state to `old` (deprecated), `bad` (disabled) and `v1` (the latest)."""
    sandbox = Sandbox(stores, connect())
    for tag in ("old", "bad", "v1"):
        sandbox.publish(tag, digest(tag))
    sandbox.promote("v1")
    soon, later = (datetime.now(UTC) + timedelta(days=days) for days in (3, 30))
    sandbox.pin("ended", "v1", expires_at=soon)
    stores.sql("UPDATE kiloclaw_version_pins SET expires_at = now()")
    sandbox.pin("soon", "v1", "a canary", expires_at=soon)
    sandbox.pin("later", "v1", expires_at=later)
    sandbox.pin("aged", "v1")
    stores.sql(
        "UPDATE kiloclaw_version_pins SET created_at = now() - interval '100 days'"
        " WHERE user_id = 'aged'"
    )
    sandbox.pin("on-old", "old", expires_at=soon)
    sandbox.pin("+stopped", "bad", FORMULA)
    sandbox.deprecate("old")
    sandbox.disable("bad", force=True)
    yield sandbox
    sandbox.close()


@pytest.fixture(scope="module")
def admin(stores: Stores, actors: Sandbox) -> Iterator[Person]:
    with console_on(stores) as person:
        yield person


def exported(admin: Person, query: str = "") -> list[BulkItem]:
    """The pins of an export, as an import reads them."""
    read = read_pins(admin.get(f"{EXPORT}{query}").html.encode())
    assert read.faults == []
    return read.items


@pytest.mark.parametrize(
    ("query", "users"),
    [
        ("", ["+stopped", "on-old", "later", "soon", "ended", "aged"]),
        ("?state=suspended", ["+stopped"]),
        ("?state=expired&q=", ["ended"]),
        ("?ending=true", ["on-old", "soon"]),
        ("?stale=true", ["on-old", "aged"]),
        ("?stale=true&ending=true", ["on-old"]),
        ("?image_tag=v1&state=applied&q=CANARY", ["soon"]),
        ("?ending=true&limit=1", ["on-old"]),
    ],
)
def test_filters(admin: Person, query: str, users: list[str]) -> None:
    """The page and its export have the pins that the address asks for."""
    page = admin.get(f"{PINS}{query}")
    assert [row[1] for row in page.rows()] == users
    pinned = exported(admin, query.replace("&limit=1", ""))
    assert [item.user_id for item in pinned][: len(users)] == users


def test_what_the_page_says(admin: Person) -> None:
    """Counts, states, why a pin is stale, and the next page."""
    page = admin.get(PINS)
    text = page.text
    for count in ("All pins6", "Suspended1", "Ending in 7 days2", "Stale2", "Ended1"):
        assert count in text
    rows = {row[1]: row[1:] for row in page.rows()}
    assert rows["+stopped"][2:5] == ["suspended", FORMULA, "ada@example.com"]
    assert rows["aged"][2] == "applied stale: no end, and 100 days old"
    assert rows["on-old"][2] == "applied stale: its version is deprecated"
    assert rows["later"][6] == "a month from now"
    first = admin.get(f"{PINS}?ending=true&limit=1")
    [following] = [address for text, address in first.links if text == "Next page"]
    assert [row[1] for row in admin.get(following).rows()] == ["soon"]
    assert "No matching pins." in admin.get(f"{PINS}?q=nobody-has-this").text
    assert admin.get(f"{PINS}?state=lost", 422).heading == "Invalid request"


def test_the_export_is_safe_in_a_spreadsheet(admin: Person, actors: Sandbox) -> None:
    """It is a file of its own; cells that look like formulas are text; too much is refused."""
    file = admin.get(f"{EXPORT}?state=suspended")
    assert file.reply.headers["content-type"] == "text/csv; charset=utf-8"
    assert file.reply.headers["content-disposition"].startswith('attachment; filename="pins-')
    assert "\r\n'+stopped,bad,\"'=HYPERLINK(" in file.html
    [item] = exported(admin, "?state=suspended")
    assert (item.user_id, item.reason) == ("+stopped", FORMULA)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(pins, "MOST_EXPORTED", 5)
        patched.setattr(pins, "EXPORT_PAGE", 2)
        assert len(exported(admin, "?image_tag=v1")) == 4
        assert "more than one file holds" in admin.get(EXPORT, 422).text
        patched.setattr(pins, "MOST_BYTES", 100)
        assert admin.get(f"{EXPORT}?state=applied", 422).heading == "Invalid request"


def test_pinning_somebody_from_here(admin: Person, actors: Sandbox) -> None:
    """The form comes back with a user id that is none, and leads to the user once confirmed."""
    [form] = admin.get(PINS).forms("/console/changes/pin")
    back = admin.post("/console/changes/pin", form | {"user_id": "a b", "image_tag": "v1"})
    assert (back.status, back.heading) == (422, "Pins")
    [form] = back.forms("/console/changes/pin")
    assert (form["user_id"], form["image_tag"]) == ("a b", "v1")
    done = admin.follow(admin.confirm("pin", form | {"user_id": "a/b"}))
    assert done.heading == "a/b"
    actors.unpin("a/b")
    viewer = admin.signed_in("viewer").get(PINS)
    assert viewer.html.count("/console/changes/") == 0
    assert "later" in [row[0] for row in viewer.rows()]


def test_suggestions(admin: Person, actors: Sandbox, stores: Stores) -> None:
    """Known users whose id holds what is typed; only for who is signed in."""
    for user in ("sam@example.com", "kim@example.com", "zoe"):
        actors.provision(user)
    copy_fleet(stores)
    found = json.loads(admin.get("/console/suggestions?q=EXAMPLE").html)
    assert found == {"users": ["kim@example.com", "sam@example.com"]}
    assert json.loads(admin.get("/console/suggestions?q=k").html)["users"] == [
        "kim@example.com"
    ]
    assert len(json.loads(admin.get("/console/suggestions").html)["users"]) == 3
    nobody = Person(admin.stores, admin.wired)
    assert nobody.get("/console/suggestions?q=zoe", 303).location.startswith("/console/sign-in")
    assert nobody.get(EXPORT, 303).location.startswith("/console/sign-in")


def test_a_page_costs_a_fixed_number_of_statements(admin: Person) -> None:
    """One pin takes as many as six."""
    costs = []
    for query in ("?limit=1", "?limit=100"):
        with statements() as run:
            admin.get(f"{PINS}{query}")
        costs.append(len(run))
    assert costs[0] == costs[1] <= 9


def test_nobody_is_pinned_and_no_catalog(stores: Stores, postgres_server: Postgres) -> None:
    """Both are said, with what to do next."""
    with console_on(make_stores(postgres_server, stores.client)) as person:
        assert "Nobody is pinned." in person.get(PINS).text
        assert exported(person) == []
    with console_on(stores, DATABASE_CONNINFO="host=127.0.0.1 port=1") as person:
        assert "The catalog does not answer" in person.get(PINS).text
        assert person.get(EXPORT, 503).heading == "Catalog unavailable"
