"""The search box: straight to what has the name, else to what is like it."""

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from infra.local.postgres import Postgres
from tests.support.concurrent_actors import Sandbox, digest
from tests.support.console import Page, Person, console_on
from tests.support.fleet_copy import copy_fleet
from tests.support.statements import statements
from tests.support.stores import make_stores
from tests.support.stream_records import instance_item

GOOGLE = "oauth/google:114000741928328149731"


@pytest.fixture(scope="module")
def admin(postgres_server: Postgres, dynamodb: Any, client: Any) -> Iterator[Person]:
    """Users with an instance, a pin or both; versions, one of them retired, of two variants."""
    stores = make_stores(postgres_server, dynamodb)
    with closing(Sandbox(stores, client)) as sandbox:
        for number in range(12):
            sandbox.publish(f"2026.11.{number + 1}-r1", notes="about ana")
        sandbox.publish("both", digest("both"), variant="gpu")
        sandbox.publish("gone")
        sandbox.retire("gone")
        for user in ("ana@example.com", "pinned-alone", "both"):
            sandbox.pin(user, "2026.11.1-r1")
    for user in ("Ana@example.com", "ana@example.com", GOOGLE, *map(str, range(30, 45))):
        item = instance_item(user, running_tag="2026.11.2-r1")
        stores.put(f"INSTANCE#{user}", "IMAGE", **item)
    copy_fleet(stores)
    with console_on(stores) as person:
        yield person


def search(admin: Person, text: str) -> Page:
    return admin.get(f"/console/search?q={text}")


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("2026.11.3-r1", "/console/versions/2026.11.3-r1"),
        ("+ana@example.com%20", "/console/users/ana@example.com"),
        ("pinned-alone", "/console/users/pinned-alone"),
        ("oauth%2Fgoogle:114000741928328149731", f"/console/users/{GOOGLE}"),
        (digest("both").upper(), "/console/versions/both"),
    ],
)
def test_exact_names(admin: Person, text: str, address: str) -> None:
    """A tag, a user id or a digest that exists leads straight there."""
    assert admin.get(f"/console/search?q={text}", 303).location == address


def test_what_is_like_it(admin: Person) -> None:
    """Users by a part of the id, versions by a part of tag, version or notes, and variants."""
    page = search(admin.signed_in("viewer"), "ANA")
    assert page.rows(0) == [
        ["Ana@example.com", "2026.11.2-r1", "–"],
        ["ana@example.com", "2026.11.2-r1", "2026.11.1-r1"],
    ]
    assert len(page.rows(1)) == 10
    assert ("All matching versions", "/console/versions?q=ANA") in page.links
    alone = search(admin, "d-al")
    assert alone.rows() == [["pinned-alone", "has not started yet", "2026.11.1-r1"]]
    assert ("gpu", "/console/variants/gpu") in search(admin, "gp").links
    both = search(admin, "both")
    assert (both.rows(0)[0][0], both.rows(1)[0][0]) == ("both", "both")


def test_more_users_than_are_shown(admin: Person) -> None:
    """Ten, and links to the lists that have them all."""
    page = search(admin, "3")
    assert len(page.rows(0)) == 10
    assert {"/console/instances?q=3", "/console/pins?q=3"} <= set(page.addresses)


def test_a_user_whom_nobody_knows(admin: Person) -> None:
    """One may be pinned before the first start, so their page is a click away."""
    page = search(admin, "new.person%40example.com")
    assert "Nothing found." in page.text
    button = "Open the page of user new.person@example.com"
    assert (button, "/console/users/new.person@example.com") in page.links
    assert "Open the page" not in search(admin, "two%20words").text
    assert "Open the page of user gone" in search(admin, "gone").text


def test_hostile_texts(admin: Person) -> None:
    """They are looked for as they are, and shown as text."""
    for text in ("%3Cscript%3Ealert(1)%3C/script%3E", "'; DROP TABLE x; --", "%25", "{{7*7}}"):
        page = search(admin, text.replace(" ", "%20"))
        assert "<script>alert" not in page.html
        assert "Nothing found." in page.text
    assert "What are you looking for?" in search(admin, "%20").text
    assert admin.get("/console/search?q=%00", 422).heading == "Invalid request"
    admin.get(f"/console/search?q={'x' * 256}", 422)


def test_the_cost_of_a_search(admin: Person) -> None:
    """One statement for exact names and one a group, whatever is found."""
    for text in ("a", "3", "nobody"):
        with statements() as run:
            search(admin, text)
        assert len(run) == 4
    down = admin.without_catalog()
    assert "results cannot be shown now" in search(down, "ana").text
    admin.without_kv().get("/console/search?q=2026.11.3-r1", 303)
