"""The page of the sync: runs, findings with what to do about each, and a run now."""

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest

from functions.console.words import REMEDIES
from infra.local.postgres import Postgres
from tests.support.concurrent_actors import digest
from tests.support.console import Page, Person, console_on, text_of
from tests.support.statements import statements
from tests.support.stores import make_stores

PAGE = "/console/sync"
HOSTILE = "<script>alert(1)</script>"


@pytest.fixture
def admin(postgres_server: Postgres, dynamodb: Any) -> Iterator[Person]:
    """Five new entries, of which a run takes two, a thief of a digest and a malformed one."""
    stores = make_stores(postgres_server, dynamodb)
    for number in range(5):
        stores.put_entry(f"v-{number}", image_digest=digest(number))
    stores.put_entry("thief", image_digest=digest(0), published_at="2026-11-02T00:00:00Z")
    stores.put_entry(HOSTILE, openclaw_version="{{7*7}}")
    stores.put("POINTER", "gpu", revision=1, latest_tag="nowhere")
    with console_on(stores, SYNC_MAX_NEW="2") as person:
        assert "It has not run yet" in person.get(PAGE).text
        person.follow(person.post(PAGE))
        yield person


def facts(page: Page) -> dict[str, str]:
    names, values = map(text_of, page.main.iter("dt")), map(text_of, page.main.iter("dd"))
    return dict(zip(names, values, strict=True))


def test_sync_now(admin: Person) -> None:
    """The answer leads to a page with the report on top, which does nothing when read again."""
    answer = admin.post(PAGE)
    assert answer.location.startswith(f"{PAGE}?run=")
    page = admin.follow(answer)
    shown = facts(page)
    assert (shown["Entries seen"], shown["New"], shown["Rejected"]) == ("7", "2", "3")
    assert shown["Deferred"] == "1 the next runs take them in"
    assert "Report of the run" in page.text
    runs = len(page.rows(1))
    assert page.rows(1)[0][1:5] == ["ok", "an administrator", "7", "2"]
    assert len(admin.get(answer.location).rows(1)) == runs


def test_a_run_while_another_is_at_work(admin: Person) -> None:
    """The page says that this run did nothing, and why."""
    with admin.stores.server_connection() as busy, busy.transaction():
        busy.execute("SELECT pg_advisory_xact_lock(hashtext('kiloclaw_sync'))")
        page = admin.follow(admin.post(PAGE))
    assert "Another run was going on, so this one did nothing." in page.text
    assert facts(page) == {}


def test_what_to_do_about_findings(admin: Person) -> None:
    """Each says what it is about, with a link if there is such a page, and how to mend it."""
    page = admin.signed_in("viewer").get(PAGE)
    rows = {row[0]: row[1:3] for row in page.rows()}
    assert rows["thief"] == [
        "the digest belongs to v-0 digest in use",
        REMEDIES["digest_in_use"],
    ]
    assert rows[HOSTILE][1] == REMEDIES["invalid_entry"]
    assert rows["variant gpu"][1] == REMEDIES["pointer_pending"]
    assert ("gpu", "/console/variants/gpu") in page.links
    assert "/console/versions/thief" not in page.addresses
    admin.stores.put_entry("v-0", image_digest=digest("other"))
    admin.post(PAGE)
    mended = admin.get(PAGE)
    assert ("v-0", "/console/versions/v-0") in mended.links
    assert HOSTILE not in mended.html


def test_viewers_cannot_run_it(admin: Person) -> None:
    """They see no button, and their post starts no run; nor does one without the token."""
    viewer = admin.signed_in("viewer", "publisher")
    before = viewer.get(PAGE).rows(1)
    assert viewer.get(PAGE).forms(PAGE) == []
    assert viewer.post(PAGE).status == 403
    assert admin.post(PAGE, {"form_token": "no"}).status == 403
    assert len(viewer.get(PAGE).rows(1)) == len(before)


def test_pages_of_runs_and_findings(admin: Person) -> None:
    """Both lists go on behind what is shown, at a fixed number of statements."""
    for _ in range(4):
        admin.post(PAGE)
    admin.stores.sql(
        "INSERT INTO kiloclaw_sync_findings (image_tag, code, detail, first_seen, last_seen)"
        " SELECT 'tag-' || n, 'invalid_entry', 'broken', now(), now()"
        "   FROM generate_series(1, 30) AS n"
    )
    whole = [row[0] for row in admin.get(PAGE).rows(1)]
    links: list[str] = []
    page = admin.get(f"{PAGE}?limit=2")
    costs = set()
    while True:
        links += [one for one in page.addresses if "?run=" in one]
        following = [address for text, address in page.links if text == "Next page"]
        if not following:
            break
        with statements() as run:
            page = admin.get(following[0])
        costs.add(len(run))
    assert len(links) == len(set(links)) == len(whole) > 4
    assert costs == {3}
    first = admin.get(PAGE)
    [more] = [address for text, address in first.links if text == "More findings"]
    assert len(first.rows()) == 25
    older = [row[0] for row in admin.get(more).rows()]
    assert older
    assert not set(older) & {row[0] for row in first.rows()}


def test_a_run_that_is_not_kept(admin: Person) -> None:
    """Its address says so, and the lists are there all the same."""
    page = admin.get(f"{PAGE}?run={uuid4()}")
    assert "The report of this run is not kept any more." in page.text
    assert page.rows(1)
    assert admin.get(f"{PAGE}?run=1", 422).heading == "Invalid request"


def test_stores_that_are_down(admin: Person) -> None:
    """Runs are shown without the KV, but none can be started; without the catalog no list."""
    assert admin.without_kv().get(PAGE).rows(1)
    assert admin.without_kv().post(PAGE).status == 503
    down = admin.without_catalog()
    assert (
        "The catalog does not answer, so the runs cannot be shown now." in down.get(PAGE).text
    )
    assert down.post(PAGE).status == 503
