"""The page of the audit log: filters, differences, and links to what was changed."""

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from typing import Any

import pytest

from infra.local.postgres import Postgres
from shared.usecases.seal import seal_events
from tests.support.concurrent_actors import Sandbox
from tests.support.console import Page, Person, console_on, text_of
from tests.support.statements import statements
from tests.support.stores import Stores, make_stores

PAGE = "/console/audit"
HOSTILE = "<img src=x onerror=alert(1)>{{7*7}}'\""


@pytest.fixture(scope="module")
def admin(postgres_server: Postgres, dynamodb: Any, client: Any) -> Iterator[Person]:
    """Versions published, promoted and disabled; a pin set, moved and removed; one erased."""
    stores = make_stores(postgres_server, dynamodb)
    with closing(Sandbox(stores, client)) as sandbox:
        sandbox.publish("one", set_latest=True)
        sandbox.publish("two", notes=HOSTILE)
        sandbox.promote("two")
        sandbox.pin("ana@example.com", "one", reason=HOSTILE)
        sandbox.pin("ana@example.com", "two", expires_at=datetime(2099, 1, 1, tzinfo=UTC))
        sandbox.unpin("ana@example.com")
        sandbox.pin("zoe", "one")
        sandbox.erase("zoe")
        stores.put_entry("three")
        sandbox.sync()
    with console_on(stores) as person:
        yield person


def actions(page: Page) -> list[str]:
    return [
        text_of(one).rpartition(" ")[2]
        for one in page.main.iter("td")
        if "What" in one.attrib.values()
    ]


def changes(page: Page, action: str) -> list[tuple[str, str]]:
    """Removed and added texts of the newest event of this action."""
    row = next(row for row in page.main.iter("tr") if action in text_of(row))
    return [(one.tag, text_of(one)) for one in row.iter() if one.tag in {"del", "ins"}]


def test_before_and_after(admin: Person) -> None:
    """Only members that differ are shown, what was removed and added in words too."""
    page = admin.signed_in("viewer").get(PAGE)
    assert ("del", "was one") in changes(page, "latest.promoted")
    assert ("ins", "is two") in changes(page, "latest.promoted")
    moved = admin.get(f"{PAGE}?action=pin.set&subject=ana@example.com")
    assert {"was one", "is two", f"was {HOSTILE}"} <= {
        text for _, text in changes(moved, "pin.set")
    }
    assert changes(page, "pin.removed")[0] == ("del", "was two")
    counted = [text for _, text in changes(page, "sync.finished")]
    assert "is 3" in counted
    assert not any("rejected" in text or "is 0" in text for text in counted)


def test_links_and_names(admin: Person) -> None:
    """What was changed is linked; whoever was erased is named no more."""
    page = admin.get(PAGE)
    for link in (
        ("ana@example.com", "/console/users/ana@example.com"),
        ("one", "/console/versions/one"),
        ("default", "/console/variants/default"),
    ):
        assert link in page.links
    assert any(address.startswith("/console/sync?run=") for address in page.addresses)
    assert "zoe" not in page.html
    assert "pinned an erased person to one" in page.text
    assert HOSTILE in page.text
    assert HOSTILE not in page.html


def test_filters(admin: Person) -> None:
    """By action, subject, actor and time, alone and together; the form keeps what was asked."""
    everything = actions(admin.get(PAGE))
    assert everything[0] == "sync.finished"
    assert len(everything) == 11
    for query, found in {
        "?action=latest.promoted": ["latest.promoted"] * 2,
        "?subject=ana@example.com": ["pin.removed", "pin.set", "pin.set"],
        "?subject=two": ["version.published"],
        "?actor=kv&subject=three": ["version.published"],
        "?since=2099-01-01T00:00": [],
        "?until=2000-01-01T00:00:00Z": [],
        "?since=2020-01-01T00:00&until=2099-01-01T00:00&action=user.erased": ["user.erased"],
    }.items():
        assert actions(admin.get(PAGE + query)) == found, query
    [_, form] = admin.get(f"{PAGE}?since=2099-01-01T10:30&actor=%22%3E&action=pin.set").forms(
        PAGE
    )
    assert form == {
        "subject": "", "actor": '">', "action": "pin.set", "since": "2099-01-01T10:30:00",
        "until": "",
    }  # fmt: skip
    assert "No matching events" in admin.get(f"{PAGE}?subject=nobody").text
    assert admin.get(f"{PAGE}?since=yesterday", 422).heading == "Invalid request"


def test_pages(admin: Person) -> None:
    """The links go through the whole log once, each page at the same cost."""
    seen: list[str] = []
    costs = set()
    path = f"{PAGE}?limit=4&since=2020-01-01T00:00"
    while path:
        with statements() as run:
            page = admin.get(path)
        costs.add(len(run))
        seen += actions(page)
        path = dict(page.links).get("Next page", "")
    assert seen == actions(admin.get(PAGE))
    assert costs == {2}


def test_nothing_to_show(admin: Person, stores: Stores) -> None:
    """An empty log and a catalog that is down say so in words of their own."""
    with console_on(stores) as person:
        assert "Nothing was changed yet" in person.get(PAGE).text
    down = admin.without_catalog().get(f"{PAGE}?action=pin.set")
    assert "The catalog does not answer, so the log cannot be shown now." in down.text
    assert "sealed" not in down.text
    assert admin.without_kv().get(PAGE).rows()


def test_the_verification(stores: Stores, client: Any) -> None:
    """The log says through which event it verifies, and names the first one that was forged."""
    with closing(Sandbox(stores, client, "sync")) as runner, console_on(stores) as person:
        assert "No event is sealed yet" in person.get(PAGE).text
        stores.put_entry("one")
        runner.sync()
        seal_events(runner.catalog, 60)
        runner.sync()
        stores.put_entry("two")
        runner.sync()
        page = person.signed_in("viewer").get(f"{PAGE}?verify=true")
        assert "Verified through event 2. 2 events under 1 seal are as they were" in page.text
        assert "2 not sealed yet" in page.text
        assert "verify" not in "".join(page.addresses)
        stores.sql(
            "ALTER TABLE kiloclaw_audit_log DISABLE TRIGGER ALL;"
            "UPDATE kiloclaw_audit_log SET actor = 'mallory' WHERE id = 1;"
            "ALTER TABLE kiloclaw_audit_log ENABLE TRIGGER ALL"
        )
        forged = person.get(f"{PAGE}?verify=true")
        assert "The log does not verify. The first event" in forged.text
        assert "put in is 1." in forged.text
