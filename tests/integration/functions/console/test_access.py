"""Who may see the console's pages, and who may change something."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from functions.console import handler
from functions.console.application import REFRESH
from functions.console.changes import CHANGES
from functions.console.forms import MOST_FIELDS
from functions.console.rendering import ASSETS, asset_address
from infra.local.postgres import Postgres
from shared.domain.roles import Role
from shared.kv.sessions import Sessions
from shared.kv.table import Table
from tests.support.admin_api import EMAIL
from tests.support.console import ORIGIN, Fields, Person, console_on
from tests.support.failing_clients import unreachable
from tests.support.stores import make_stores

CHANGE = "/console/changes/promote"


def no_sessions() -> Sessions:
    """Sessions that nobody can read."""
    return Sessions(Table(unreachable(), "none"))


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
    assert admin.get("/console/", 303).location == "/console"


def test_files_of_the_pages_need_no_session(admin: Person) -> None:
    """A browser keeps them by the address that names their content, and by no other."""
    nobody = replace(admin, session=None)
    for name, kind in ASSETS.items():
        address = asset_address(name)
        kept, old = (
            nobody.send("GET", path).reply for path in (address, f"/console/assets/0/{name}")
        )
        assert kept.headers["content-type"] == old.headers["content-type"] == kind
        assert kept.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert old.headers["cache-control"] == "no-store"
        assert kept.body == old.body
    assert nobody.send("GET", "/console/assets/0/handler.py").status == 404


def test_posts_need_the_token_of_the_session(admin: Person) -> None:
    """A form of another session changes nothing, nor does one from another site."""
    other = admin.signed_in("admin")
    for answer, advice in (
        (admin.post(CHANGE, {"form_token": other.token, "image_tag": "v1"}), "Load it again"),
        (admin.post(CHANGE, {"form_token": "", "image_tag": "v1"}), "Load it again"),
        (
            admin.post(CHANGE, {"image_tag": "v1"}, origin="https://example.com"),
            "on the console's own page",
        ),
    ):
        assert (answer.status, answer.heading) == (403, "Forbidden")
        assert advice in answer.text


def test_viewers_see_and_change_nothing(admin: Person) -> None:
    """They have no buttons, and the server refuses what they send all the same."""
    viewer = admin.signed_in("viewer")
    assert viewer.get("/console").forms("/console/sync") == []
    assert len(admin.get("/console").forms("/console/sync")) == 1
    refused = viewer.post(CHANGE, {"image_tag": "v1"})
    assert refused.status == 403
    assert "The role admin is needed. Ask an administrator" in refused.text


@pytest.mark.parametrize("role", ["viewer", "publisher", "admin"])
def test_every_role_at_every_post(admin: Person, role: Role) -> None:
    """A role makes the changes for which it is enough, and no other."""
    person, allowed = admin.signed_in(role), set()
    for name in CHANGES:
        if person.post(f"/console/changes/{name}").status != 403:
            allowed.add(name)
    if person.post("/console/sync").status != 403:
        allowed.add("sync")
    expected = {"viewer": set(), "publisher": {"publish"}, "admin": {*CHANGES, "sync"}}
    assert allowed == expected[role]


def test_a_post_after_the_end_of_the_session(admin: Person) -> None:
    """Nobody types it twice: the page shows what was sent, and leads back after a sign-in."""
    person = admin.signed_in("admin")
    assert person.session is not None
    person.wired().sessions.end(person.session.id)
    typed: Fields = {
        "image_tag": "v1",
        "reason": "<b>long & dear</b>",
        "seen": "",
        "user": ["a", "b"],
    }
    page = person.post(CHANGE, typed, referer=f"{ORIGIN}/console/versions/v1?x=1")
    assert (page.status, page.heading) == (403, "Your session has ended")
    assert "Nothing was changed." in page.text
    assert "Reason <b>long & dear</b> User a User b" in page.text
    assert person.token not in page.html
    assert page.addresses == ["/console/sign-in?next=%2Fconsole%2Fversions%2Fv1%3Fx%3D1"]
    elsewhere = person.post(CHANGE, typed, referer="https://example.com/console")
    assert elsewhere.addresses == ["/console/sign-in?next=%2Fconsole"]
    foreign = person.post(CHANGE, typed, origin="https://example.com")
    assert "long" not in foreign.text


def test_somebody_without_a_role(admin: Person) -> None:
    """They are told so on every page, and may sign out; there is nothing else to click."""
    nobody = admin.signed_in()
    for page in (nobody.get("/console", 403), nobody.post(CHANGE, {"image_tag": "v1"})):
        assert page.status == 403
        assert "You are signed in, but have no role here." in page.text
        assert "sign out and sign in again" in page.text
        assert page.links == []
        forms = [form.get("action") for form in page.tree.iter("form")]
        assert forms == ["/console/sign-out"]


def test_refusals_say_what_to_do(admin: Person) -> None:
    """Each in words, with the request that the log names; a path of no page names nobody."""
    unknown = admin.get("/console/nowhere", 404)
    assert "start from the overview" in unknown.text
    assert EMAIL not in unknown.html
    wrong = admin.send("DELETE", "/console")
    assert (wrong.status, wrong.reply.headers["allow"]) == (405, "GET")
    assert "use the page's own buttons" in wrong.text
    broken = admin.get("/console?variant=%3Cb%3E", 422)
    assert broken.text.count("must be a variant") == 1
    too_long = admin.get(f"/console/search?q={'x' * 256}", 422)
    assert "Q must have at most 255 characters Go back" in too_long.text
    down = replace(admin, wired=lambda: replace(admin.wired(), sessions=no_sessions()))
    assert "The KV does not answer. Try again shortly." in down.get("/console", 503).text
    for page in (unknown, wrong, broken):
        assert page.reply.headers["x-request-id"] in page.text


def test_a_page_that_refreshes_itself_is_no_use(admin: Person) -> None:
    """Its script says so, and the end of an idle session stays where it was."""
    sessions, now = admin.wired().sessions, datetime.now(UTC)
    idle = sessions.open("idle", ["viewer"], now - timedelta(minutes=30))
    person = replace(admin, session=idle)
    later = now + timedelta(minutes=45)
    script = (Path(handler.__file__).parent / "assets" / "console.js").read_text("utf-8")
    assert f'"{REFRESH}"' in script
    assert person.send("GET", "/console", headers={REFRESH: "1"}).status == 200
    assert sessions.find(idle.id, later, is_used=False) is None
    assert person.get("/console").status == 200
    assert sessions.find(idle.id, later, is_used=False) == idle


def test_a_file_sent_after_the_end_of_the_session(admin: Person) -> None:
    """What was typed is shown, the file is not."""
    body = (
        '--edge\r\nContent-Disposition: form-data; name="csv"\r\n\r\nuser_id\r\n'
        '--edge\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\nsecret\r\n'
        "--edge--\r\n"
    )
    kind = {"content-type": "multipart/form-data; boundary=edge", "origin": ORIGIN}
    nobody = replace(admin, session=None)
    page = nobody.send("POST", "/console/changes/import", body.encode(), kind)
    assert (page.status, page.heading) == (403, "Your session has ended")
    assert "Csv user_id Sign in again" in page.text


@pytest.mark.parametrize("kind", ["urlencoded", "multipart"])
def test_a_form_of_too_many_fields(admin: Person, kind: str) -> None:
    """It is refused before anything is made of it."""
    fields: Fields = {"x": ["1"] * MOST_FIELDS}
    if kind == "urlencoded":
        page = admin.post(CHANGE, fields)
    else:
        part = '--edge\r\nContent-Disposition: form-data; name="x"\r\n\r\n1\r\n'
        sent = {"content-type": "multipart/form-data; boundary=edge", "origin": ORIGIN}
        body = f"{part * (MOST_FIELDS + 1)}--edge--\r\n".encode()
        page = admin.send("POST", CHANGE, body, sent)
    assert (page.status, "Form cannot be read" in page.text) == (422, True)


def test_what_no_page_sends(admin: Person) -> None:
    """The form of nobody is not found."""
    nobody = admin.post("/console/changes/pin", {"edit": "true"})
    assert nobody.status == 404
