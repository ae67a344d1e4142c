"""Changes of many pins: those that are ticked on the page of pins, and a file of them."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from infra.local.postgres import Postgres
from shared.domain.model import PinContent
from shared.http.forms import FORM_TOKEN
from shared.kv.table import connect
from shared.usecases import bulk_pins
from tests.support.concurrent_actors import Sandbox, digest
from tests.support.console import ORIGIN, Page, Person, console_on
from tests.support.fleet_copy import copy_fleet
from tests.support.statements import statements
from tests.support.stores import Stores, make_stores

TICKED = "/console/changes/change-pins"
IMPORT = "/console/changes/import"
SOON = datetime.now(UTC).replace(microsecond=123456) + timedelta(days=5)


@pytest.fixture(scope="module")
def stores(postgres_server: Postgres, dynamodb: Any) -> Stores:
    return make_stores(postgres_server, dynamodb)


@pytest.fixture(scope="module")
def actors(stores: Stores) -> Iterator[Sandbox]:
    """Publishes `v1` (the latest), `v2`, `old` (deprecated) and `bad` (disabled)."""
    sandbox = Sandbox(stores, connect())
    for tag in ("old", "bad", "v1", "v2"):
        sandbox.publish(tag, digest(tag))
    sandbox.promote("v1")
    sandbox.deprecate("old")
    sandbox.disable("bad")
    yield sandbox
    sandbox.close()


@pytest.fixture(scope="module")
def admin(stores: Stores, actors: Sandbox) -> Iterator[Person]:
    with console_on(stores) as person:
        yield person


@pytest.fixture(autouse=True)
def three_pins(stores: Stores, actors: Sandbox) -> None:
    """Three pins to `v1`, each with a reason, and nothing else."""
    stores.sql("DELETE FROM kiloclaw_version_pins")
    actors.pin("=a", "v1", "first")
    actors.pin("b/c", "v1", "second\nline", expires_at=SOON)
    actors.pin("d", "v1")


def pinned(actors: Sandbox) -> dict[str, PinContent]:
    """What every pin says, by user."""
    with actors.catalog.transaction() as tx:
        users = ["=a", "b/c", "d", "new"]
        return {user: pin.content for user, pin in tx.pins.find_all(users).items()}


def upload(person: Person, content: bytes, csv: str = "") -> Page:
    """Send the form of the import as a browser does when a file is chosen."""
    parts = [
        (f'name="{FORM_TOKEN}"', person.token.encode()),
        ('name="csv"', csv.encode()),
        ('name="file"; filename="pins.csv"\r\nContent-Type: text/csv', content),
    ]
    body = b"".join(
        f"--edge\r\nContent-Disposition: form-data; {name}\r\n\r\n".encode() + value + b"\r\n"
        for name, value in parts
    )
    kind = {"content-type": "multipart/form-data; boundary=edge", "origin": ORIGIN}
    return person.send("POST", IMPORT, body + b"--edge--\r\n", kind)


def confirm(person: Person, shown: Page, address: str) -> Page:
    """Confirm what a page shows, with every field of its form."""
    [form] = [one for one in shown.main.iter("form") if one.get("action") == address]
    filled = [(one.get("name", ""), one.get("value", "")) for one in form.iter("input")]
    assert "seen" in dict(filled), shown.text
    names = {name for name, _ in filled}
    return person.post(
        address, {name: [value for one, value in filled if one == name] for name in names}
    )


def test_unpinning_some(admin: Person, actors: Sandbox, stores: Stores) -> None:
    """All ticked ones at once, previewed, with the reason in every event."""
    for user in ("=a", "d"):
        actors.provision(user, "upgrade")
    actors.pin("d", "v2")
    actors.provision("d", "upgrade")
    copy_fleet(stores)
    shown = admin.post(TICKED, {"op": "unpin", "user_id": ["d", "=a"], "reason": "all done"})
    assert shown.heading == "Unpin 2 users"
    assert shown.rows() == [["v2", "v1", "1"]]
    assert "Users: =a, d." in shown.text
    done = admin.follow(confirm(admin, shown, TICKED))
    assert "The pins are changed." in done.text
    assert list(pinned(actors)) == ["b/c"]
    for user in ("=a", "d"):
        row = admin.get(f"/console/users/{user}").rows()[0]
        assert (row[2][:8], row[3]) == ("unpinned", "all done")


def test_moving_and_ending_some(admin: Person, actors: Sandbox) -> None:
    """A pin keeps what is not changed: its reason, its end, its version."""
    moved = admin.post(
        TICKED, {"op": "move", "user_id": ["=a", "b/c", "gone"], "image_tag": "old"}
    )
    assert moved.heading == "Move the pins of 3 users to old"
    assert "old is deprecated." in moved.text
    assert "no pin any more: 1 user." in moved.text
    assert confirm(admin, moved, TICKED).status == 303
    assert pinned(actors) == {
        "=a": PinContent("old", "first", None),
        "b/c": PinContent("old", "second\nline", SOON),
        "d": PinContent("v1", None, None),
    }
    ended = admin.post(TICKED, {"op": "end", "user_id": "d", "image_tag": "", "reason": "why",
                                "expires_at": "2100-01-01T12:00"})  # fmt: skip
    assert confirm(admin, ended, TICKED).status == 303
    assert pinned(actors)["d"] == PinContent("v1", "why", datetime(2100, 1, 1, 12, tzinfo=UTC))


def test_what_must_be_corrected(admin: Person) -> None:
    """Nothing ticked, no version, no end: the form comes back with those who were ticked."""
    nothing = admin.post(TICKED, {"op": "unpin"})
    assert (nothing.status, nothing.heading) == (422, "Pins")
    assert "Pins must be ticked first" in nothing.text
    for op, fault in (("move", "Image tag is required"), ("end", "Expires at is required")):
        back = admin.post(TICKED, {"op": op, "user_id": ["d", "=a"]})
        assert (back.status, back.heading) == (422, "Change several pins")
        assert fault in back.text
        fields = [one for one in back.main.iter("input") if one.get("name") == "user_id"]
        assert [one.get("value") for one in fields] == ["d", "=a"]
    past = admin.post(TICKED, {"op": "end", "user_id": "d", "expires_at": "2020-01-01T00:00"})
    assert (past.status, "must be in the future" in past.text) == (422, True)
    bad = admin.post(TICKED, {"op": "move", "user_id": ["d", "=a"], "image_tag": "bad"})
    assert (bad.status, "=a nobody can be pinned to a disabled version" in bad.text) == (
        422,
        True,
    )
    assert admin.post(TICKED, {"op": "unpin", "user_id": ["gone"]}).status == 404


def test_a_pin_changes_between_preview_and_confirmation(
    admin: Person, actors: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is done then, not even if it changes at the last moment."""
    end = "2100-01-01T12:00"
    shown = admin.post(TICKED, {"op": "end", "user_id": ["=a", "d"], "expires_at": end})
    actors.pin("d", "v2", "meanwhile")
    stale = confirm(admin, shown, TICKED)
    assert (stale.status, "pinned d to v2" in stale.text) == (412, True)
    check = bulk_pins.check_items

    def after_another(*args: Any) -> Any:
        monkeypatch.setattr(bulk_pins, "check_items", check)
        actors.pin("d", "v1", "at the last moment")
        return check(*args)

    monkeypatch.setattr(bulk_pins, "check_items", after_another)
    assert confirm(admin, stale, TICKED).status == 412
    assert pinned(actors)["d"] == PinContent("v1", "at the last moment", None)
    assert pinned(actors)["=a"].expires_at is None


def test_an_export_is_imported_again(admin: Person, actors: Sandbox) -> None:
    """What is as the file says stays untouched, even what could not be pinned anew."""
    exported = admin.get("/console/pins.csv").reply.body
    admin.stores.sql("UPDATE kiloclaw_version_pins SET expires_at = now() WHERE user_id = 'd'")
    before = pinned(actors)
    changed = admin.get("/console/pins.csv").reply.body
    shown = upload(admin, changed)
    assert shown.heading == "Import the pins of 3 users"
    assert "0 new, 0 replaced, 3 left as they are." in shown.text
    assert confirm(admin, shown, IMPORT).status == 303
    assert pinned(actors) == before
    actors.unpin("b/c")
    shown = upload(admin, exported)
    assert "1 new, 1 replaced, 1 left as they are." in shown.text
    assert confirm(admin, shown, IMPORT).status == 303
    assert pinned(actors) == before | {"d": PinContent("v1", None, None)}


def test_importing_a_text(admin: Person, actors: Sandbox) -> None:
    """It may be pasted, from a spreadsheet too."""
    text = 'user_id\timage_tag\treason\r\n\'=a\tv2\t"two\r\nlines"\r\nnew\tv1\t\r\n'
    shown = upload(admin, b"", text)
    assert "1 new, 1 replaced, 0 left as they are." in shown.text
    assert confirm(admin, shown, IMPORT).status == 303
    assert pinned(actors)["=a"] == PinContent("v2", "two\nlines", None)
    assert pinned(actors)["new"] == PinContent("v1", None, None)


def test_faults_of_a_file_are_named_by_line(admin: Person, actors: Sandbox) -> None:
    """Nothing of it is done, and a file is chosen again."""
    head = b"user_id,image_tag,expires_at\n"
    back = upload(admin, head + b"d,v2,\na b,v2,\nnew,v2,<b>soon</b>\n")
    assert (back.status, back.heading) == (422, "Import pins")
    assert "line 3, user_id must be 1 to 255 printable" in back.text
    assert "line 4, expires_at must be an RFC 3339 time" in back.text
    assert "<b>" not in back.html
    assert upload(admin, b"").status == upload(admin, b"\xff").status == 422
    assert "has no pins" in upload(admin, head).text
    unknown = upload(admin, head + b"\nd,v2,\nnew,lost,\n=a,bad,\n")
    assert (unknown.status, unknown.heading) == (422, "Import the pins of 3 users")
    assert "line 4 no version has this tag" in unknown.text
    assert "line 5 nobody can be pinned to a disabled version" in unknown.text
    assert pinned(actors)["d"] == PinContent("v1", None, None)
    cut = {"content-type": "multipart/form-data; boundary=edge", "origin": ORIGIN}
    for body in (b"", b"--edge\r\nContent-Disposition: form-data; name=", b"--other--"):
        assert admin.send("POST", IMPORT, body, cut).status in {403, 422}


def test_viewers_cannot(admin: Person, actors: Sandbox) -> None:
    """They find no form, and what they post all the same is refused."""
    viewer = admin.signed_in("viewer")
    assert "Only administrators change pins." in viewer.get("/console/pins/import").text
    assert viewer.post(TICKED, {"op": "unpin", "user_id": ["d"]}).status == 403
    assert upload(viewer, b"user_id,image_tag\nd,v2\n").status == 403
    assert pinned(actors)["d"] == PinContent("v1", None, None)


def test_many_cost_as_many_statements_as_few(admin: Person, actors: Sandbox) -> None:
    """A thousand pins are previewed and imported by a fixed number of statements."""
    costs = []
    for count in (1, 1000):
        lines = [f"many-{count}-{number},v2" for number in range(count)]
        with statements() as run:
            shown = upload(admin, "\n".join(["user_id,image_tag", *lines]).encode())
            assert confirm(admin, shown, IMPORT).status == 303
        costs.append(len(run))
    assert costs[0] == costs[1]
    assert admin.stores.sql(
        "SELECT count(*) FROM kiloclaw_version_pins WHERE user_id LIKE 'many-1000-%'"
    ) == [(1000,)]
