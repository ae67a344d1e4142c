"""Changes of versions: shown first, confirmed, and refused if the world has moved."""

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from typing import Any

import pytest

from infra.local.postgres import Postgres
from shared.kv import KV
from tests.support.concurrent_actors import Sandbox, digest
from tests.support.console import Person, console_on
from tests.support.failing_clients import closed_database, unreachable
from tests.support.fleet_copy import copy_fleet
from tests.support.stores import Stores, make_stores

HOSTILE = "<b onclick='x'>\"&amp;"
PUBLISH, DISABLE = "/console/changes/publish", "/console/changes/disable"
FIELDS: dict[str, dict[str, str]] = {
    "publish": {"image_tag": "roles", "openclaw_version": "2026.11.1", "set_latest": "true"},
    "promote": {"image_tag": "roles"},
    "deprecate": {"image_tag": "roles"},
    "activate": {"image_tag": "roles"},
    "disable": {"image_tag": "roles"},
    "notes": {"image_tag": "roles", "notes": "new"},
    "retire": {"image_tag": "roles"},
}


@pytest.fixture(scope="module")
def stores(postgres_server: Postgres, dynamodb: Any) -> Stores:
    """Every test uses tags and variants of its own."""
    return make_stores(postgres_server, dynamodb)


@pytest.fixture(scope="module")
def actor(stores: Stores, client: Any) -> Iterator[Sandbox]:
    """Somebody else, past the console."""
    with closing(Sandbox(stores, client)) as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def admin(stores: Stores) -> Iterator[Person]:
    with console_on(stores) as person:
        yield person


def _state(stores: Stores, tag: str) -> tuple[Any, ...]:
    [row] = stores.sql(
        "SELECT v.status, v.notes, v.retired_at IS NOT NULL, m.latest_tag"
        "  FROM kiloclaw_available_versions v JOIN kiloclaw_variants m USING (variant)"
        " WHERE v.image_tag = %(tag)s",
        tag=tag,
    )
    return row


def _events(stores: Stores, subject: str) -> list[tuple[Any, ...]]:
    return stores.sql(
        "SELECT action, actor, reason FROM kiloclaw_audit_log"
        " WHERE subject_id = %(subject)s ORDER BY id DESC",
        subject=subject,
    )


def test_a_form_that_cannot_be_understood_comes_back(admin: Person) -> None:
    """With what was typed, what is wrong beside each field, and nothing published."""
    typed = {
        "image_tag": "-" + HOSTILE, "openclaw_version": "2026.11.1", "image_digest": "sha256:1",
        "notes": HOSTILE, "published_at": "yesterday", "variant": "", "set_latest": "true",
    }  # fmt: skip
    page = admin.post(PUBLISH, typed)
    assert (page.status, page.heading) == (422, "Publish a version")
    [form] = page.forms(PUBLISH)
    assert form | {"notes": form["notes"].strip()} == typed | {"form_token": admin.token}
    invalid = [one.get("id") for one in page.main.iter() if one.get("aria-invalid") == "true"]
    assert invalid == ["image_tag", "published_at", "image_digest"]
    assert "sha256:" in page.text.split("must be an OCI image digest")[1]
    assert "<b onclick" not in page.html


def test_publishing(admin: Person, stores: Stores) -> None:
    """The form leads to a page that says what it does, and back; then to the version."""
    typed = {
        "image_tag": "pub-1", "openclaw_version": "2026.11.1", "variant": "pub",
        "image_digest": digest("pub-1"), "notes": HOSTILE, "set_latest": "true",
    }  # fmt: skip
    shown = admin.post(PUBLISH, typed)
    assert (shown.status, shown.heading) == (200, "Publish pub-1")
    assert "never change afterwards" in shown.text
    back = admin.post(PUBLISH, typed | {"edit": "true"})
    assert back.forms(PUBLISH)[0]["image_digest"] == digest("pub-1")
    made = admin.confirm("publish", typed)
    assert made.location == "/console/versions/pub-1?done=publish"
    page = admin.follow(made)
    assert page.text.startswith("It is published.")
    assert (HOSTILE in page.text, "<b onclick" in page.html) == (True, False)
    assert _state(stores, "pub-1") == ("active", HOSTILE, False, "pub-1")
    refused = admin.post(PUBLISH, typed | {"image_tag": "pub-2"})
    assert refused.status == 409
    assert "This cannot be done" in refused.text
    assert "One digest has one tag." in refused.text
    [form] = refused.forms(PUBLISH)
    assert admin.post(PUBLISH, form | {"edit": "true"}).heading == "Publish a version"


def test_who_may_publish(admin: Person, stores: Stores) -> None:
    """Publishers may publish, and set latest only where that is allowed; viewers may not."""
    publisher, viewer = admin.signed_in("publisher"), admin.signed_in("viewer")
    assert viewer.get("/console/publish", 403).heading == "Forbidden"
    assert "set_latest" not in publisher.get("/console/publish").html
    wanted = {"image_tag": "who-1", "openclaw_version": "2026.11.1", "variant": "who"}
    assert publisher.confirm("publish", wanted).status == 303
    latest = wanted | {"set_latest": "true"}
    assert publisher.post(PUBLISH, latest).status == 403
    settings = replace(admin.wired().settings, publisher_may_promote=True)
    allowed = replace(publisher, wired=lambda: replace(admin.wired(), settings=settings))
    assert "set_latest" in allowed.get("/console/publish").html
    assert allowed.confirm("publish", latest).status == 303
    assert _state(stores, "who-1")[3] == "who-1"


@pytest.mark.parametrize("name", FIELDS)
def test_who_may_change(admin: Person, actor: Sandbox, stores: Stores, name: str) -> None:
    """Viewers and publishers are refused, also with a mark that an administrator saw."""
    actor.publish("roles")
    before = _state(stores, "roles")
    shown = admin.post(f"/console/changes/{name}", FIELDS[name])
    seen = {"seen": "0" * 64, "typed": "roles"}
    for form in shown.forms(f"/console/changes/{name}"):
        seen |= form
    seen.pop("form_token", None)
    for person in (admin.signed_in("viewer"), admin.signed_in("publisher")):
        assert person.post(f"/console/changes/{name}", seen).status == 403
    assert admin.post(f"/console/changes/{name}", seen | {"form_token": "no"}).status == 403
    assert _state(stores, "roles") == before


def test_a_status_back_and_forth(admin: Person, actor: Sandbox, stores: Stores) -> None:
    """Deprecated, active and disabled again, each in the log with its reason."""
    actor.publish("st-1", variant="st")
    for name, status in (
        ("deprecate", "deprecated"), ("activate", "active"), ("disable", "disabled"),
        ("activate", "active"),
    ):  # fmt: skip
        made = admin.confirm(name, {"image_tag": "st-1"}, reason=f"because {name}")
        assert made.location == f"/console/versions/st-1?done={name}"
        assert _state(stores, "st-1")[0] == status
        assert _events(stores, "st-1")[0][1:] == ("ada@example.com", f"because {name}")
    history = admin.get("/console/versions/st-1").text
    assert "was deprecated + is active" in history
    assert "“because deprecate”" in history


def test_notes(admin: Person, actor: Sandbox, stores: Stores) -> None:
    """Written anew, emptied, and given back when they are too long."""
    actor.publish("no-1")
    shown = admin.post("/console/changes/notes", {"image_tag": "no-1", "notes": HOSTILE})
    assert (f"“{HOSTILE}”" in shown.text, "<b onclick" in shown.html) == (True, False)
    admin.confirm("notes", {"image_tag": "no-1", "notes": HOSTILE})
    assert _state(stores, "no-1")[1] == HOSTILE
    long = admin.post("/console/changes/notes", {"image_tag": "no-1", "notes": "x" * 2001})
    assert (long.status, long.heading) == (422, "no-1")
    assert long.forms("/console/changes/notes")[0]["notes"].strip() == "x" * 2001
    admin.confirm("notes", {"image_tag": "no-1", "notes": ""})
    assert _state(stores, "no-1")[1] == ""


def test_the_kill_switch(admin: Person, actor: Sandbox, stores: Stores) -> None:
    """The latest version needs a replacement, which takes its place and its pins."""
    for tag in ("kill-1", "kill-2"):
        actor.publish(tag, variant="kill")
    actor.promote("kill-2")
    actor.pin("kit", "kill-2")
    for user in ("kim", "kit"):
        actor.provision(user, variant="kill")
    copy_fleet(stores)
    page = admin.get("/console/versions/kill-2")
    [form] = page.forms(DISABLE)
    refused = admin.post(DISABLE, form)
    assert refused.status == 409
    assert "name a replacement" in refused.text
    [back] = refused.forms(DISABLE)
    assert admin.post(DISABLE, back | {"edit": "true"}).heading == "kill-2"
    shown = admin.post(DISABLE, form | {"replacement": "kill-1"})
    assert "2 users would get another image" in shown.text
    assert shown.rows() == [["kill-2", "kill-1", "2"]]
    assert "kill-1 becomes the latest of kill in its place." in shown.text
    assert "1 pin will move to kill-1" in shown.text
    made = admin.confirm("disable", form | {"replacement": "kill-1"}, reason="boot loop")
    assert admin.follow(made).text.startswith("It is disabled")
    assert _state(stores, "kill-2") == ("disabled", None, False, "kill-1")
    assert ("latest.promoted", "ada@example.com", "boot loop") in _events(stores, "kill")
    assert stores.sql("SELECT image_tag FROM kiloclaw_version_pins WHERE user_id = 'kit'") == [
        ("kill-1",)
    ]


def test_killing_a_candidate_and_a_change_without_a_form(admin: Person, actor: Sandbox) -> None:
    """The rollout ends, as the page says; a change that only has a button has no form."""
    for tag in ("cand-1", "cand-2"):
        actor.publish(tag, variant="cand")
    actor.promote("cand-1")
    actor.roll_out("cand-2", 10, variant="cand")
    shown = admin.post(DISABLE, {"image_tag": "cand-2", "replacement": "cand-1"})
    assert "Its rollout ends: everybody gets the latest." in shown.text
    promote = "/console/changes/promote"
    assert admin.post(promote, {"image_tag": "cand-2", "edit": "true"}).status == 404
    assert admin.post(promote, {"image_tag": HOSTILE}).heading == "Invalid request"
    assert admin.post("/console/changes/nothing", {"image_tag": "cand-2"}).status == 404


def test_pins_left_suspended(admin: Person, actor: Sandbox, stores: Stores) -> None:
    """Pins stay where they are, the page says so before and after; enabling revives them."""
    actor.publish("force-1", variant="force")
    actor.pin("fay", "force-1")
    assert admin.post(DISABLE, {"image_tag": "force-1"}).status == 409
    shown = admin.post(DISABLE, {"image_tag": "force-1", "force": "true"})
    assert "1 pin will be suspended" in shown.text
    made = admin.confirm("disable", {"image_tag": "force-1", "force": "true"})
    assert "The pins of 1 user are suspended" in admin.follow(made).text
    revive = admin.post("/console/changes/activate", {"image_tag": "force-1"})
    assert "1 suspended pin will apply again" in revive.text


def test_retiring(admin: Person, actor: Sandbox, stores: Stores) -> None:
    """For good, so the tag must be typed; afterwards its page says so."""
    actor.publish("end-1", variant="end", set_latest=True)
    actor.provision("ed", variant="end")
    copy_fleet(stores)
    actor.publish("end-2", variant="end", set_latest=True)
    shown = admin.post("/console/changes/retire", {"image_tag": "end-1"})
    assert "This cannot be undone." in shown.text
    assert "1 instance runs it now, until the next start." in shown.text
    mistyped = admin.confirm("retire", {"image_tag": "end-1"}, typed="end-2")
    assert (mistyped.status, "Type it once more" in mistyped.text) == (422, True)
    made = admin.confirm("retire", {"image_tag": "end-1"}, typed="end-1", reason="leaks")
    assert "Retired" in admin.follow(made).text
    assert _state(stores, "end-1")[2] is True
    assert _events(stores, "end-1")[0] == ("version.retired", "ada@example.com", "leaks")
    assert admin.post("/console/changes/promote", {"image_tag": "end-1"}).status == 404


def _confirming(admin: Person, name: str, fields: dict[str, str]) -> dict[str, str]:
    [form] = admin.post(f"/console/changes/{name}", fields).forms(f"/console/changes/{name}")
    return form | {"typed": fields["image_tag"]}


@pytest.mark.parametrize("name", [name for name in FIELDS if name != "publish"])
@pytest.mark.parametrize(
    ("moves", "says"),
    [
        (lambda actor, tag: actor.deprecate(tag), "changed the status of"),
        (lambda actor, tag: actor.promote(f"{tag}-b"), "moved latest of"),
    ],
    ids=["version", "variant"],
)
def test_a_moved_world_is_refused(
    admin: Person,
    actor: Sandbox,
    stores: Stores,
    name: str,
    moves: Callable[[Sandbox, str], object],
    says: str,
) -> None:
    """What was confirmed is not what would happen now: the page says what has changed."""
    variant = f"mv-{name}-{len(says)}"
    tag = f"{variant}-a"
    for one in (tag, f"{tag}-b"):
        actor.publish(one, variant=variant)
    form = _confirming(admin, name, FIELDS[name] | {"image_tag": tag})
    moves(actor, tag)
    before = _state(stores, tag)
    refused = admin.post(f"/console/changes/{name}", form)
    cannot_be_done = (name, says) == ("promote", "changed the status of")
    assert refused.status == (409 if cannot_be_done else 412)
    assert "Nothing was changed" in refused.text
    assert says in refused.text
    assert _state(stores, tag) == before


def test_a_pin_since_is_a_moved_world(admin: Person, actor: Sandbox, stores: Stores) -> None:
    """Who retires or kills a version has seen how many pins it has."""
    actor.publish("pin-1", variant="pin")
    forms = {
        name: _confirming(admin, name, {"image_tag": "pin-1"}) for name in ("retire", "disable")
    }
    actor.pin("pia", "pin-1")
    for name, form in forms.items():
        refused = admin.post(f"/console/changes/{name}", form)
        assert (refused.status, "Nothing was changed" in refused.text) == (409, True)
        assert "the version has pins" in refused.text
    assert _state(stores, "pin-1")[0] == "active"


def test_a_publish_that_somebody_else_did(admin: Person, actor: Sandbox) -> None:
    """A tag that was published meanwhile is shown as what it is now."""
    form = _confirming(
        admin, "publish", {"image_tag": "twice", "openclaw_version": "2026.11.2"}
    )
    form.pop("typed")
    actor.publish("twice")
    assert admin.post(PUBLISH, form).status == 412


def test_without_the_kv(admin: Person, actor: Sandbox, stores: Stores) -> None:
    """The kill switch works, with its preview; what needs the KV says that it is down."""
    for tag in ("kv-1", "kv-2"):
        actor.publish(tag, variant="kv")
    actor.promote("kv-2")
    down = replace(admin.wired(), kv=KV(unreachable(), stores.table))
    person = replace(admin, wired=lambda: down)
    refused = person.post("/console/changes/promote", {"image_tag": "kv-1"})
    assert (refused.status, "The KV does not answer" in refused.text) == (503, True)
    made = person.confirm("disable", {"image_tag": "kv-2", "replacement": "kv-1"})
    assert made.location == "/console/versions/kv-2?done=disable"
    assert _state(stores, "kv-2") == ("disabled", None, False, "kv-1")
    assert person.get("/console/variants/kv").status == 200


def test_without_the_catalog(admin: Person) -> None:
    """A change that cannot be previewed says why, and what to do."""
    down = replace(admin.wired(), database=closed_database())
    page = replace(admin, wired=lambda: down).post(
        "/console/changes/promote", {"image_tag": "v1"}
    )
    assert (page.status, "The catalog does not answer" in page.text) == (503, True)
