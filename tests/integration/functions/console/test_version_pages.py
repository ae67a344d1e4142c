"""The pages of versions and variants: the list, one version, one variant."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from typing import Any

import pytest

from infra.local.postgres import Postgres
from shared.kv import KV
from tests.support.concurrent_actors import Sandbox, digest
from tests.support.console import Page, Person, console_on
from tests.support.failing_clients import closed_database, unreachable
from tests.support.fleet_copy import copy_fleet
from tests.support.statements import statements
from tests.support.stores import Stores, make_stores
from tests.support.version_fixture import fill

HOSTILE = "<script>alert(1)</script> & \"'</p>"


@pytest.fixture(scope="module")
def stores(postgres_server: Postgres, dynamodb: Any) -> Stores:
    """Stores for all tests here, which change nothing that others look at."""
    return make_stores(postgres_server, dynamodb)


@pytest.fixture(scope="module")
def actor(stores: Stores, client: Any) -> Iterator[Sandbox]:
    """Does things past the console: v1 is latest, v2 its candidate, ana is pinned to v3."""
    with closing(Sandbox(stores, client)) as sandbox:
        fill(sandbox)
        sandbox.promote("b1")
        sandbox.publish("old", image_digest=digest("old"), notes=HOSTILE)
        sandbox.deprecate("old")
        sandbox.publish("bad")
        sandbox.pin("eve", "bad", reason=HOSTILE)
        sandbox.disable("bad", force=True)
        sandbox.publish("gone")
        sandbox.retire("gone")
        for user in ("ana", "bob", "cy"):
            sandbox.provision(user)
        copy_fleet(stores)
        yield sandbox


@pytest.fixture(scope="module")
def admin(stores: Stores, actor: Sandbox) -> Iterator[Person]:
    """An administrator of these versions."""
    with console_on(stores) as person:
        yield person


def _tags(page: Page) -> list[str]:
    return [row[0].split()[0] for row in page.rows()]


def test_the_list(admin: Person) -> None:
    """Every version that is not retired, with its marks, pins and instances; newest first."""
    page = admin.get("/console/versions?variant=default")
    assert _tags(page) == ["bad", "old", "v4", "v3", "v2", "v1"]
    rows = {row[0].split()[0]: row for row in page.rows()}
    assert rows["v1"][0] == "v1 latest"
    assert rows["v2"][0] == "v2 candidate, 20 %"
    assert rows["v3"][5:7] == ["1", "1"]
    assert [rows[tag][4] for tag in ("v1", "old", "bad")] == [
        "active",
        "deprecated",
        "disabled",
    ]
    assert rows["old"][3].startswith(digest("old")[:15])
    assert f'title="{digest("old")}"' in page.html
    assert "/console/pins?image_tag=v3" in page.addresses
    assert "/console/instances?image_tag=v3" in page.addresses


def test_filters_and_orders_are_in_the_address(admin: Person) -> None:
    """The form keeps what was chosen, heads sort both ways, and pages go on from there."""
    page = admin.get("/console/versions?status=active&variant=default&q=V&sort=&order=")
    assert _tags(page) == ["v4", "v3", "v2", "v1"]
    [fields] = page.forms("/console/versions")
    assert fields == {"q": "V", "status": "active", "variant": "default"}
    head = "/console/versions?q=V&status=active&variant=default&sort=image_tag&order=asc"
    assert ("Image tag", head) in page.links
    by_tag = admin.get(f"{head}&limit=3")
    assert _tags(by_tag) == ["v1", "v2", "v3"]
    assert [one.get("aria-sort") for one in by_tag.main.iter("th")][:2] == ["ascending", None]
    links = dict(by_tag.links)
    assert links["Image tag ↑"].endswith("&sort=image_tag&order=desc")
    last = admin.get(links["Next page"])
    assert _tags(last) == ["v4"]
    assert _tags(admin.get(dict(last.links)["First page"])) == ["v1", "v2", "v3"]
    assert admin.get("/console/versions?sort=notes", 422).heading == "Invalid request"
    assert admin.get(f"{links['Next page']}&status=disabled", 422).status == 422


def test_an_empty_list_says_what_to_do_next(
    admin: Person, postgres_server: Postgres, dynamodb: Any
) -> None:
    """No version at all differs from none that a filter lets through."""
    with console_on(make_stores(postgres_server, dynamodb)) as first:
        page = first.get("/console/versions")
    assert "No version is published yet." in page.text
    assert ("Publish the first one", "/console/publish") in page.links
    nothing = admin.get("/console/versions?q=nothing")
    assert "No matching versions." in nothing.text
    assert ("Show all versions", "/console/versions") in nothing.links


@pytest.mark.parametrize(
    ("tag", "says", "changes"),
    [
        ("v1", "latest", ["deprecate", "disable", "notes"]),
        ("v2", "candidate, 20 %", ["promote", "deprecate", "disable", "notes"]),
        (
            "v4",
            "Nobody is pinned to it.",
            ["promote", "deprecate", "retire", "disable", "notes"],
        ),
        ("old", "it cannot become latest", ["activate", "retire", "disable", "notes"]),
        ("bad", "The pins of 1 user are suspended", ["activate", "retire", "notes"]),
        ("gone", "Its tag stays taken", []),
    ],
)
def test_a_version(admin: Person, tag: str, says: str, changes: list[str]) -> None:
    """Its page says what is special about it, and offers what its state allows."""
    page = admin.get(f"/console/versions/{tag}")
    assert (page.heading, page.title) == (tag, f"{tag} · KiloClaw versions")
    assert says in page.text
    offered = [one.get("action", "").split("/")[-1] for one in page.main.iter("form")]
    assert offered == changes
    assert ("pins page" in page.text) == (tag in {"v1", "v2", "v4", "old"})
    viewer = admin.signed_in("viewer").get(f"/console/versions/{tag}")
    assert (list(viewer.main.iter("form")), says in viewer.text) == ([], True)


def test_what_people_wrote_is_only_text(admin: Person) -> None:
    """Notes and reasons of any content appear as they were written, and are no HTML."""
    assert HOSTILE in admin.get("/console/versions/old").text
    page = admin.get("/console/versions/bad")
    assert (HOSTILE in page.text, "<script>alert" in page.html) == (True, False)
    assert page.rows()[0][:3] == ["eve", "suspended", HOSTILE]
    assert admin.get("/console/versions?q=%3Cscript%3E").status == 200
    assert "changed the status of bad" in page.text
    assert "− was active + is disabled" in page.text


def test_what_is_not_there(admin: Person) -> None:
    """An unknown tag, an unknown variant and an impossible one are pages that say so."""
    for path in (
        "versions/nowhere", "versions/latest", "versions/a%00b", "versions/a%20b",
        "variants/nowhere", "variants/UPPER",
    ):  # fmt: skip
        assert admin.get(f"/console/{path}", 404).status == 404
    assert "may be retired" in admin.get("/console/versions/nowhere", 404).text


def test_a_variant(admin: Person, actor: Sandbox) -> None:
    """Latest with its history, the candidate, what runs, and a form to promote another."""
    page = admin.get("/console/variants/default")
    assert page.heading == "Variant default"
    assert "v2 active" in page.text
    assert "to 20 % of the users without a pin" in page.text
    assert [row[1:3] for row in page.rows(1)] == [["v1", "nothing"]]
    instances = sum(int(row[3]) for row in page.rows(0))
    assert instances == 3
    assert page.forms("/console/changes/promote")[-1]["image_tag"] == ""
    assert (
        "Promote another" not in admin.signed_in("viewer").get("/console/variants/default").text
    )
    actor.publish("lonely-1", variant="lonely")
    lonely = admin.get("/console/variants/lonely")
    assert "This variant has no latest yet." in lonely.text
    assert "Latest has never moved." in lonely.text
    actor.retire("lonely-1")
    assert "Publish a version, then promote it" in admin.get("/console/variants/lonely").text


def test_what_the_catalog_does_not_know_yet(admin: Person, actor: Sandbox) -> None:
    """A tag that only the KV has, one that sync refuses, a pointer to nothing: what to do."""
    stores = admin.stores
    stores.put("POINTER", "beta", revision=2, latest_tag="ghost", updated_at="", moved_by="ci")
    stores.put_entry("broken", openclaw_version="none")
    actor.sync()
    stores.put_entry("fresh")
    beta = admin.get("/console/variants/beta").text
    assert "Sync found:" in beta
    assert "names a version whose entry is not there yet" in beta
    fresh = admin.get("/console/versions/fresh")
    assert "Sync takes it in within a minute" in fresh.text
    broken = admin.get("/console/versions/broken")
    assert "Correct it in the KV" in broken.text
    assert len(broken.forms("/console/sync")) == 1
    assert (
        admin.signed_in("viewer").get("/console/versions/broken").forms("/console/sync") == []
    )
    down = replace(admin.wired(), kv=KV(unreachable(), stores.table))
    replace(admin, wired=lambda: down).get("/console/versions/fresh", 404)


@pytest.mark.parametrize("path", ["versions", "versions/v1", "variants/default"])
def test_without_the_catalog(admin: Person, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A catalog that is down leaves a page that says so and can be left."""
    down = replace(admin.wired(), database=closed_database())
    page = replace(admin, wired=lambda: down).get(f"/console/{path}")
    assert "The catalog does not answer" in page.text


def test_pages_cost_a_fixed_number_of_statements(admin: Person, actor: Sandbox) -> None:
    """However many versions, pins, instances and events they show."""
    costs = []
    for number in range(2):
        for tag in (f"many-{number}-{n}" for n in range(4)):
            actor.publish(tag, variant="many")
            actor.promote(tag)
            actor.pin(f"user-{tag}", tag)
        paths = ("versions?variant=many", "versions/many-0-0", "variants/many")
        for path in paths:
            with statements() as run:
                admin.get(f"/console/{path}")
            costs.append(len(run))
        with statements() as run:
            admin.post("/console/changes/promote", {"image_tag": "many-0-0"})
        costs.append(len(run))
    assert costs[:4] == costs[4:]
    assert max(costs[:3]) <= 10
