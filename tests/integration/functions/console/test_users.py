"""The page of a user, and what can be changed there: pin, unpin, erase."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from infra.local.postgres import Postgres
from shared.kv.table import connect
from tests.support.concurrent_actors import Sandbox, digest
from tests.support.console import Page, Person, console_on
from tests.support.statements import statements
from tests.support.stores import Stores, make_stores

ODD = "oauth/google:o'brien&co@example.com"
HOSTILE = "<script>alert('x')</script> & \"quotes\" {{ 7 * 7 }}"


@pytest.fixture(scope="module")
def stores(postgres_server: Postgres, dynamodb: Any) -> Stores:
    return make_stores(postgres_server, dynamodb)


@pytest.fixture(scope="module")
def actors(stores: Stores) -> Iterator[Sandbox]:
    """Publishes `v1` (deprecated), `v2` and `v3` (the latest)."""
    sandbox = Sandbox(stores, connect())
    for tag in ("v1", "v2", "v3"):
        sandbox.publish(tag, digest(tag))
    sandbox.promote("v3")
    sandbox.deprecate("v1")
    yield sandbox
    sandbox.close()


@pytest.fixture(scope="module")
def admin(stores: Stores, actors: Sandbox) -> Iterator[Person]:
    with console_on(stores) as person:
        yield person


def path(user_id: str) -> str:
    return f"/console/users/{user_id}"


def decides(page: Page) -> str:
    """The rule that decides, in the page's words."""
    [line] = [one for one in page.main.iter("li") if one.get("class") == "decides"]
    return " ".join("".join(line.itertext()).split())


def test_a_user_of_whom_nothing_is_known(admin: Person) -> None:
    """The page is no error: it says what a first start would run, and offers the pin."""
    page = admin.get(path("nobody"))
    assert (page.heading, page.title) == ("nobody", "nobody · KiloClaw versions")
    assert "Nothing is known of this user." in page.text
    assert "Not pinned; no instance has started yet." in page.text
    assert decides(page) == "Latest, v3. Everybody of the variant default gets v3."
    [form] = page.forms("/console/changes/pin")
    assert (form["user_id"], form["image_tag"]) == ("nobody", "")
    assert page.forms("/console/changes/erase") == page.forms("/console/changes/unpin") == []


def test_pinning_and_unpinning(admin: Person, actors: Sandbox) -> None:
    """Previewed, confirmed, explained, logged and undone; any id and reason is safe."""
    actors.provision(ODD)
    page = admin.get(path(ODD))
    [form] = page.forms("/console/changes/pin")
    wanted = form | {"image_tag": "v1", "reason": HOSTILE}
    preview = admin.post("/console/changes/pin", wanted)
    assert preview.status == 200
    assert preview.rows() == [["v3", "v1", "1"]]
    assert "v1 is deprecated." in preview.text
    assert "It works at the next start of the instance." in preview.text
    assert admin.get(path(ODD)).forms("/console/changes/unpin") == []
    done = admin.follow(admin.confirm("pin", wanted))
    assert done.reply.status == 200
    assert "The pin is set." in done.text
    assert "Drift: it runs v3; a restart would run v1." in done.text
    assert "the next start moves this instance." in done.text
    assert decides(done) == "Pinned. The pin to v1 applies; it has no end."
    assert "Latest, v3 · not asked: the pin decides" in done.text
    assert "<script>alert" not in done.html
    assert HOSTILE in done.text
    [filled] = done.forms("/console/changes/pin")
    assert (filled["image_tag"], filled["reason"]) == ("v1", HOSTILE)
    assert done.rows()[0][1:] == ["ada@example.com", "pinned to v1", HOSTILE]
    gone = admin.follow(admin.confirm("unpin", {"user_id": ODD}, reason="solved"))
    assert "The pin is removed." in gone.text
    assert [row[2:] for row in gone.rows()] == [
        ["unpinned from v1", "solved"],
        ["pinned to v1", HOSTILE],
    ]
    again = admin.post("/console/changes/unpin", {"user_id": ODD})
    assert (again.status, "the user has no pin" in again.text) == (404, True)


def test_the_world_moves_between_preview_and_confirmation(
    admin: Person, actors: Sandbox
) -> None:
    """Nothing is changed, and the page says who has done what meanwhile."""
    fields = {"user_id": "moved", "image_tag": "v2"}
    [seen] = admin.post("/console/changes/pin", fields).forms("/console/changes/pin")
    actors.pin("moved", "v3", "was faster")
    stale = admin.post("/console/changes/pin", seen)
    assert stale.status == 412
    assert "Nothing was changed: what you saw has changed meanwhile." in stale.text
    assert "ada@example.com pinned moved to v3" in stale.text
    assert "It takes the place of the pin to v3" in stale.text
    made_up = admin.post("/console/changes/pin", seen | {"seen_event": "1" * 5000})
    assert made_up.status == 412
    [seen] = stale.forms("/console/changes/pin")
    actors.deprecate("v2")
    assert admin.post("/console/changes/pin", seen).status == 412
    actors.enable("v2")
    assert admin.confirm("pin", fields).status == 303
    assert actors.provision("moved").resolution.image.image_tag == "v2"


def test_a_form_that_must_be_corrected(admin: Person) -> None:
    """It comes back as it was filled in, with what is wrong beside the fields."""
    fields = {"user_id": "careful", "image_tag": "", "reason": "kept", "expires_at": "soon"}
    back = admin.post("/console/changes/pin", fields)
    assert (back.status, back.heading) == (422, "careful")
    [form] = back.forms("/console/changes/pin")
    assert (form["reason"], form["expires_at"]) == ("kept", "soon")
    assert "Image tag is required" in back.text
    assert "must be a date and a time in UTC" in back.text
    past = admin.post(
        "/console/changes/pin", fields | {"image_tag": "v2", "expires_at": "2020-01-01T00:00"}
    )
    assert (past.status, "must be in the future" in past.text) == (422, True)
    for path_of_nobody in ("a%20b", "..", "a//b"):
        assert admin.get(path(path_of_nobody), 404).heading == "Not found"


def test_pins_that_do_not_apply(admin: Person, actors: Sandbox, stores: Stores) -> None:
    """A suspended pin and one that has ended say so plainly, and what happens instead."""
    actors.publish("v0", digest("v0"))
    for user in ("suspended", "ended"):
        actors.provision(user)
        actors.pin(user, "v0", expires_at=datetime.now(UTC) + timedelta(days=3))
    pinned = admin.get(path("ended"))
    assert "2 days from now" in pinned.text
    assert pinned.forms("/console/changes/pin")[0]["expires_at"] != ""
    actors.disable("v0", force=True)
    stores.sql(
        "UPDATE kiloclaw_version_pins SET expires_at = now() - interval '1 day'"
        " WHERE user_id = 'ended'"
    )
    suspended = admin.get(path("suspended"))
    assert "The pin is suspended: v0 is disabled." in suspended.text
    assert "Pin · the pin to v0 is suspended" in suspended.text
    assert decides(suspended).startswith("Restart keeps what runs. No pin decides")
    assert suspended.forms("/console/changes/pin")[0]["image_tag"] == ""
    ended = admin.get(f"{path('ended')}?intent=upgrade")
    assert "The pin ended a day ago." in ended.text
    assert "Pin · the pin to v0 has ended" in ended.text
    assert decides(ended).startswith("Latest, v3.")


def test_behind_and_nothing_may_run(admin: Person, actors: Sandbox) -> None:
    """An upgrade's target is named; where nothing may run, the page says what to do."""
    for tag in ("gpu-1", "gpu-2"):
        actors.publish(tag, variant="gpu")
    actors.promote("gpu-1")
    actors.provision("behind", variant="gpu")
    actors.promote("gpu-2")
    assert (
        "Outdated: it runs gpu-1; an upgrade would run gpu-2." in admin.get(path("behind")).text
    )
    actors.publish("lost-1", variant="lost")
    actors.pin("stuck", "lost-1")
    actors.provision("stuck")
    actors.unpin("stuck")
    actors.disable("lost-1")
    stuck = admin.get(path("stuck"))
    assert "nothing may run" in stuck.text
    assert "Restart keeps what runs · a pin chose lost-1" in stuck.text
    assert "Otherwise keep what runs · lost-1 is disabled" in stuck.text


def test_erasing(admin: Person, actors: Sandbox) -> None:
    """The id must be typed; then nothing is known, and the log's alias leads to no user."""
    actors.provision("forget/me")
    actors.pin("forget/me", "v2", "a reason")
    [form] = admin.get(path("forget/me")).forms("/console/changes/erase")
    shown = admin.post("/console/changes/erase", form)
    assert "This cannot be undone." in shown.text
    wrong = admin.confirm("erase", form, typed="forget/you")
    assert (wrong.status, "Type it once more" in wrong.text) == (422, True)
    page = admin.follow(admin.confirm("erase", form, typed="forget/me"))
    assert "Nothing is known of this user." in page.text
    assert page.forms("/console/changes/erase") == []
    assert actors.instance("forget/me") is None
    [(alias,)] = admin.stores.sql(
        "SELECT DISTINCT subject_id FROM kiloclaw_audit_log WHERE action = 'user.erased'"
    )
    trace = admin.get(path(alias))
    assert "This is no user" in trace.text
    assert trace.rows()[0][2] == "erased the person"
    assert trace.forms("/console/changes/pin") == []


def test_viewers_see_the_page_without_its_forms(admin: Person, actors: Sandbox) -> None:
    """And what they post all the same is refused."""
    actors.pin("watched", "v2")
    viewer = admin.signed_in("viewer")
    assert viewer.get(path("watched")).html.count("<form") == 2
    for name in ("pin", "unpin", "erase"):
        fields = {"user_id": "watched", "image_tag": "v3"}
        assert viewer.post(f"/console/changes/{name}", fields).status == 403
        forged = fields | {"form_token": viewer.token}
        assert admin.post(f"/console/changes/{name}", forged).status == 403


def test_a_page_costs_a_fixed_number_of_statements(admin: Person, actors: Sandbox) -> None:
    """However long a user's history is, and however many versions may be pinned."""
    costs = []
    for _ in range(2):
        with statements() as run:
            admin.get(path("busy"))
        costs.append(len(run))
        for number in range(12):
            actors.pin("busy", ("v2", "v3")[number % 2])
            actors.publish(f"busy-{number}")
        actors.unpin("busy")
    assert costs[0] == costs[1] <= 12


def test_the_kv_does_not_answer(admin: Person, actors: Sandbox) -> None:
    """The catalog's part is shown: pin, history, and what the mirror says."""
    actors.pin("in-the-dark", "v2")
    with console_on(admin.stores, TABLE_NAME="there-is-none") as person:
        page = person.get(path("in-the-dark"))
        free = person.get(path("nobody"))
    assert "The KV does not answer." in page.text
    assert decides(page).startswith("Pinned. The pin to v2 applies")
    assert "Not known now" in page.text
    assert decides(free).startswith("Latest, v3.")
    assert "Less is known than usual, because the KV does not answer." in free.text


def test_the_catalog_does_not_answer(admin: Person, actors: Sandbox) -> None:
    """The record from the KV is shown, and what is missing is said."""
    actors.provision("recorded")
    with console_on(admin.stores, DATABASE_CONNINFO="host=127.0.0.1 port=1") as person:
        page = person.get(path("recorded"))
        stranger = person.get(path("stranger"))
    assert "The catalog does not answer." in page.text
    assert (
        decides(page) == "Otherwise keep what runs. The catalog does not answer, so v3 stays."
    )
    assert page.forms("/console/changes/pin") == []
    assert "A start would be refused until the catalog answers" in stranger.text
