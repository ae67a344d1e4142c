"""Who may see the console's pages, and who may change something."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from infra.local.postgres import Postgres
from tests.support.console import Person, console_on
from tests.support.stores import make_stores

CHANGE = "/console/changes/promote"


@pytest.fixture(scope="module")
def admin(postgres_server: Postgres, dynamodb: Any) -> Iterator[Person]:
    """An administrator; both stores are empty."""
    with console_on(make_stores(postgres_server, dynamodb)) as person:
        yield person


def test_pages_need_a_session(admin: Person) -> None:
    """Whoever has none signs in, and is led back to the page from there."""
    nobody = replace(admin, session=None)
    assert nobody.get("/console?variant=gpu", 303).location == (
        "/console/sign-in?next=%2Fconsole%3Fvariant%3Dgpu"
    )
    assert admin.get("/console").heading == "Overview"
    assert admin.get("/", 303).location == "/console"


def test_posts_need_the_token_of_the_session(admin: Person) -> None:
    """A form of another session changes nothing, nor does one from another site."""
    other = admin.signed_in("admin")
    for answer in (
        admin.post(CHANGE, {"form_token": other.token, "image_tag": "v1"}),
        admin.post(CHANGE, {"form_token": "", "image_tag": "v1"}),
        admin.post(CHANGE, {"image_tag": "v1"}, origin="https://example.com"),
    ):
        assert (answer.status, answer.heading) == (403, "Forbidden")


def test_viewers_see_and_change_nothing(admin: Person) -> None:
    """They have no buttons, and the server refuses what they send all the same."""
    viewer = admin.signed_in("viewer")
    assert viewer.get("/console").forms("/console/sync") == []
    assert len(admin.get("/console").forms("/console/sync")) == 1
    assert viewer.post(CHANGE, {"image_tag": "v1"}).status == 403
