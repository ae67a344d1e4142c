"""Rollouts on the variant's page: started, changed, held, resumed, aborted; and rolled back."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from typing import Any

import pytest

from infra.local.postgres import Postgres
from shared.domain.pointer import Brake
from shared.kv import KV
from tests.support.concurrent_actors import Sandbox
from tests.support.console import Person, console_on
from tests.support.failing_clients import unreachable
from tests.support.fleet_copy import copy_fleet
from tests.support.statements import statements
from tests.support.stores import Stores, make_stores

ROLLOUT = "/console/changes/rollout"
BRAKE = {"min_failures": "3", "brake_percent": "30"}


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


def _publish(actor: Sandbox, variant: str) -> None:
    """Two versions, of which the first is latest."""
    for number in (1, 2):
        actor.publish(f"{variant}-{number}", variant=variant)
    actor.promote(f"{variant}-1")


def _hold(stores: Stores, actor: Sandbox, variant: str) -> None:
    """The brake has seen 4 of 9 starts fail; sync has adopted what it did."""
    [pointer] = [item for item in stores.items("POINTER") if item["sk"]["S"] == variant]
    stores.put("ROLLOUT", pointer["salt"]["S"], ok=5, failed=4)
    revision = {"N": str(int(pointer["revision"]["N"]) + 1)}
    held = pointer | {"held": {"BOOL": True}, "revision": revision, "moved_by": {"S": "brake"}}
    stores.client.put_item(TableName=stores.table, Item=held)
    actor.sync()


def _mirror(stores: Stores, variant: str) -> tuple[Any, ...]:
    [row] = stores.sql(
        "SELECT latest_tag, candidate_tag, rollout_percent, held, brake_min_failures,"
        "       brake_percent FROM kiloclaw_variants WHERE variant = %(variant)s",
        variant=variant,
    )
    return row


def test_from_the_first_percent_to_everybody(
    admin: Person, actor: Sandbox, stores: Stores
) -> None:
    """Started as an estimate, raised exactly, and promoted; the page follows each step."""
    _publish(actor, "way")
    for number in range(12):
        actor.provision(f"way-{number}", variant="way")
    copy_fleet(stores)
    page = admin.get("/console/variants/way")
    [form] = page.forms(ROLLOUT)
    assert (form["step"], form["min_failures"], form["brake_percent"]) == ("1", "3", "30")
    [link] = [
        one for one in admin.get("/console/versions/way-2").addresses if "#rollout" in one
    ]
    [form] = admin.get(link.removesuffix("#rollout")).forms(ROLLOUT)
    assert form["image_tag"] == "way-2"
    wanted = form | {"step": "25"}
    shown = admin.post(ROLLOUT, wanted)
    assert shown.heading == "Roll way-2 out to 25 %"
    assert "About 3 users would get another image" in shown.text
    assert "This is an estimate" in shown.text
    made = admin.confirm("rollout", wanted, reason="canary")
    assert made.location == "/console/variants/way?done=rollout"
    assert _mirror(stores, "way") == ("way-1", "way-2", 25, False, 3, 30)
    page = admin.follow(made)
    assert "no start was reported yet" in page.text
    [form] = page.forms(ROLLOUT)
    raised = admin.post(
        ROLLOUT, form | {"step": "1", "percent": "100", **dict.fromkeys(BRAKE, "")}
    )
    assert raised.heading == "Roll way-2 out to 100 %"
    assert "an estimate" not in raised.text
    assert "one that runs keeps its own" in raised.text
    confirm = raised.forms(ROLLOUT)[0]
    assert admin.post(ROLLOUT, confirm).status == 303
    assert _mirror(stores, "way") == ("way-1", "way-2", 100, False, 3, 30)
    [promote, *_] = admin.get("/console/variants/way").forms("/console/changes/promote")
    assert admin.confirm("promote", promote).status == 303
    assert _mirror(stores, "way")[:2] == ("way-2", None)
    log = admin.get("/console/audit?subject=way").text
    assert "set the candidate of way to way-2" in log
    assert "canary" in log


@pytest.mark.parametrize(
    ("typed", "faults"),
    [
        ({"percent": "101"}, ["percent"]),
        ({"percent": "ten"}, ["percent"]),
        ({}, ["percent"]),
        ({"step": "2"}, ["step"]),
        ({"step": "5", "min_failures": "3"}, ["brake_percent"]),
        (
            {"step": "5", "min_failures": "0", "brake_percent": "101"},
            ["min_failures", "brake_percent"],
        ),
    ],
)
def test_a_rollout_that_cannot_be_understood(
    admin: Person, actor: Sandbox, typed: dict[str, str], faults: list[str]
) -> None:
    """The variant's page comes back with what was typed, and nothing is rolled out."""
    _publish(actor, "odd")
    page = admin.post(ROLLOUT, {"variant": "odd", "image_tag": "odd-2"} | typed)
    assert (page.status, page.heading) == (422, "Variant odd")
    assert [one for one in page.addresses if one.startswith("#")] == [
        f"#{one}" for one in faults
    ]
    [form] = page.forms(ROLLOUT)
    assert form["image_tag"] == "odd-2"
    assert [form.get(name, "") for name in typed if name != "step"] == [
        typed[name] for name in typed if name != "step"
    ]


def test_a_held_rollout(admin: Person, actor: Sandbox, stores: Stores) -> None:
    """In red on its page and on the overview, with the reports; resumed by a person alone."""
    _publish(actor, "held")
    actor.roll_out("held-2", 20, variant="held", brake=Brake(3, 30))
    _hold(stores, actor, "held")
    page = admin.get("/console/variants/held")
    assert "Held by its brake" in page.text
    log = admin.get("/console/audit?subject=held").text
    assert "learned that the brake held the rollout of held" in log
    assert "4 of 9 starts failed; your limit is 3 and 30 %" in page.text
    assert page.forms(ROLLOUT) == []
    overview = admin.get("/console")
    assert "held-2: the rollout was held" in overview.text
    assert "4 of 9 starts failed; your limit is 3 and 30 %" in overview.text
    buttons = overview.forms("/console/changes/resume")
    assert "held" in [button["variant"] for button in buttons]
    viewer = admin.signed_in("viewer")
    assert viewer.get("/console").forms("/console/changes/resume") == []
    shown = admin.post("/console/changes/resume", {"variant": "held"})
    assert "held-2 was held because starts failed." in shown.text
    refused = admin.post(ROLLOUT, {"variant": "held", "image_tag": "held-2", "step": "50"})
    assert (refused.status, "resume or abort" in refused.text) == (409, True)
    assert admin.confirm("resume", {"variant": "held"}).status == 303
    assert _mirror(stores, "held")[:4] == ("held-1", "held-2", 20, False)
    assert "no start was reported yet" in admin.get("/console/variants/held").text
    assert admin.post("/console/changes/resume", {"variant": "held"}).status == 409


def test_abort(admin: Person, actor: Sandbox, stores: Stores) -> None:
    """Everybody is back at latest; a limit reached that no sync has seen yet is shown."""
    _publish(actor, "stop")
    actor.roll_out("stop-2", 100, variant="stop", brake=Brake(3, 30))
    actor.provision("stop-user", variant="stop")
    copy_fleet(stores)
    [pointer] = [item for item in stores.items("POINTER") if item["sk"]["S"] == "stop"]
    stores.put("ROLLOUT", pointer["salt"]["S"], failed=3)
    assert "limit reached" in admin.get("/console/variants/stop").text
    shown = admin.post("/console/changes/abort", {"variant": "stop"})
    assert shown.rows() == [["stop-2", "stop-1", "1"]]
    assert admin.confirm("abort", {"variant": "stop"}, reason="crashes").status == 303
    assert _mirror(stores, "stop")[:2] == ("stop-1", None)


def test_rollback(admin: Person, actor: Sandbox, stores: Stores) -> None:
    """The button says what it leads to, and so does the page that confirms it."""
    _publish(actor, "back")
    assert "Roll back" not in admin.get("/console/variants/back").text
    assert admin.post("/console/changes/rollback", {"variant": "back"}).status == 409
    actor.promote("back-2")
    assert "Roll back to back-1" in admin.get("/console/variants/back").text
    shown = admin.post("/console/changes/rollback", {"variant": "back"})
    assert "back-1 becomes the latest in the place of back-2." in shown.text
    made = admin.confirm("rollback", {"variant": "back"}, reason="slow")
    assert admin.follow(made).text.startswith("Latest is rolled back.")
    assert _mirror(stores, "back")[0] == "back-1"
    assert "rolled back back to back-1" in admin.get("/console/audit?subject=back").text


ROLLS: dict[str, dict[str, str]] = {
    "rollout": {"step": "50"}, "resume": {}, "abort": {}, "rollback": {}
}  # fmt: skip


@pytest.mark.parametrize("name", ROLLS)
def test_who_may_and_a_moved_world(
    admin: Person, actor: Sandbox, stores: Stores, name: str
) -> None:
    """Others than administrators are refused; so is what was confirmed of another state."""
    variant = f"mw-{name}"
    _publish(actor, variant)
    actor.publish(f"{variant}-0", variant=variant)
    actor.promote(f"{variant}-0")
    actor.roll_out(f"{variant}-2", 10, variant=variant, brake=Brake(3, 30))
    if name == "resume":
        _hold(stores, actor, variant)
    fields = {"variant": variant} | ROLLS[name]
    if name == "rollout":
        fields["image_tag"] = f"{variant}-2"
    address = f"/console/changes/{name}"
    [form] = admin.post(address, fields).forms(address)
    before = _mirror(stores, variant)
    unsigned = {field: value for field, value in form.items() if field != "form_token"}
    for person in (admin.signed_in("viewer"), admin.signed_in("publisher")):
        assert person.post(address, unsigned).status == 403
        assert person.get(f"/console/variants/{variant}").forms(address) == []
    assert admin.post(address, form | {"form_token": "no"}).status == 403
    assert _mirror(stores, variant) == before
    actor.promote(f"{variant}-1")
    refused = admin.post(address, form)
    assert refused.status in {409, 412}
    assert "Nothing was changed" in refused.text
    assert "moved latest of" in refused.text
    assert _mirror(stores, variant)[0] == f"{variant}-1"


def test_without_the_kv(admin: Person, actor: Sandbox, stores: Stores) -> None:
    """The page shows what the catalog knows and says that reports are missing; moves wait."""
    _publish(actor, "dark")
    actor.roll_out("dark-2", 10, variant="dark")
    down = replace(admin.wired(), kv=KV(unreachable(), stores.table))
    person = replace(admin, wired=lambda: down)
    page = person.get("/console/variants/dark")
    assert "The KV does not answer, so they are missing" in page.text
    assert person.post("/console/changes/abort", {"variant": "dark"}).status == 503


def test_the_cost(admin: Person, actor: Sandbox, stores: Stores) -> None:
    """The overview takes as many statements with held rollouts as without."""

    def cost() -> int:
        with statements() as run:
            admin.get("/console")
        return len(run)

    before = cost()
    _publish(actor, "cost")
    actor.roll_out("cost-2", 20, variant="cost", brake=Brake(3, 30))
    _hold(stores, actor, "cost")
    assert cost() == before
