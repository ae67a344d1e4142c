"""Statuses: the kill switch reaches everybody and strands nobody."""

import pytest

from shared.domain.errors import (
    InvalidReplacement,
    Refused,
    VersionInUse,
    VersionNotFound,
    VersionPinned,
)
from shared.usecases.disable import VersionChange
from tests.support.concurrent_actors import Sandbox
from tests.support.failing_clients import unreachable
from tests.support.invariants import faults
from tests.support.store_dump import dump
from tests.support.stores import Stores
from tests.support.version_fixture import change_by, contents, disabled


def test_notes_and_harmless_statuses(world: Sandbox, stores: Stores) -> None:
    """Each change is one event, and a repeat is none."""
    changed_version = change_by(world, "v4", VersionChange("deprecated", notes="slow"))
    assert (changed_version.status, changed_version.notes) == ("deprecated", "slow")
    before = dump(stores)
    change_by(world, "v4", VersionChange("deprecated", notes="slow"))
    assert dump(stores) == before
    assert change_by(world, "v4", VersionChange("active")).status == "active"
    assert change_by(world, "v1", VersionChange("deprecated")).is_latest
    actions = stores.sql(
        "SELECT action, before, after FROM kiloclaw_audit_log"
        " WHERE subject_id = 'v4' AND action <> 'version.published' ORDER BY id"
    )
    assert actions == [
        (
            "version.status_changed",
            {"status": "active"},
            {"status": "deprecated", "replacement": None},
        ),
        ("version.notes_changed", {"notes": None}, {"notes": "slow"}),
        (
            "version.status_changed",
            {"status": "deprecated"},
            {"status": "active", "replacement": None},
        ),
    ]


def test_notes_of_a_disabled_version(world: Sandbox) -> None:
    """Notes of a disabled version change without a look at the pointer."""
    world.disable("v4")
    version = change_by(world, "v4", VersionChange(notes="broken"), unreachable())
    assert (version.status, version.notes) == ("disabled", "broken")


@pytest.mark.parametrize("kv_is_up", [True, False])
@pytest.mark.parametrize(
    ("tag", "wanted", "error"),
    [
        ("v1", disabled(), VersionInUse),
        ("v1", disabled(force=True), VersionInUse),
        ("v2", disabled(force=True), VersionInUse),
        ("v3", disabled(), VersionPinned),
        ("v3", disabled("old", force=True), InvalidReplacement),
        ("nothing", disabled(), VersionNotFound),
        ("gone", disabled(force=True), VersionNotFound),
    ],
)
def test_nobody_is_stranded(
    world: Sandbox,
    stores: Stores,
    tag: str,
    wanted: VersionChange,
    error: type[Refused],
    *,
    kv_is_up: bool,
) -> None:
    """With the KV up or down, such a change is refused, and nothing is written."""
    for other in ("old", "gone"):
        world.publish(other)
    world.deprecate("old")
    world.retire("gone")
    before = dump(stores)
    with pytest.raises(error) as refused:
        change_by(world, tag, wanted, None if kv_is_up else unreachable())
    assert refused.value.facts == ({"pin_count": 1} if error is VersionPinned else {})
    assert dump(stores) == before


def test_a_latest_gives_way_to_its_replacement(world: Sandbox, stores: Stores) -> None:
    """The replacement becomes latest in both copies and gets the pins; a rollout goes on."""
    world.pin("bob", "v1")
    assert world.disable("v1", "v4").status == "disabled"
    assert contents(stores) == ((3, "v4", "v2"), (3, "v4", "v2"))
    pins = stores.sql(
        "SELECT user_id, image_tag, revision FROM kiloclaw_version_pins ORDER BY user_id"
    )
    assert pins == [("ana", "v3", 1), ("bob", "v4", 2)]
    events = stores.sql(
        "SELECT action, subject_kind, reason, after ->> 'replacement', after ->> 'moved_pins'"
        "  FROM kiloclaw_audit_log ORDER BY id DESC LIMIT 3"
    )
    assert events == [
        ("version.status_changed", "version", None, "v4", "1"),
        ("latest.promoted", "variant", "v1 was disabled", None, None),
        ("pin.set", "user", None, None, None),
    ]
    assert faults(stores) == []


def test_a_candidate_gives_way(world: Sandbox, stores: Stores) -> None:
    """Disabling a candidate ends its rollout, and latest stays."""
    world.disable("v2", "v1")
    assert contents(stores) == ((3, "v1", None), (3, "v1", None))
    actions = stores.sql("SELECT action FROM kiloclaw_audit_log ORDER BY id DESC LIMIT 2")
    assert actions == [("version.status_changed",), ("rollout.ended",)]
    assert faults(stores) == []


def test_a_candidate_as_the_replacement_of_latest(world: Sandbox, stores: Stores) -> None:
    """A candidate that replaces latest ends its own rollout."""
    world.disable("v1", "v2")
    assert contents(stores) == ((3, "v2", None), (3, "v2", None))


def test_pins_are_suspended_by_force_and_resume(world: Sandbox, stores: Stores) -> None:
    """With force the pins stay and resume later; a replacement wins over force."""
    world.disable("v3", force=True)
    assert stores.sql("SELECT image_tag FROM kiloclaw_version_pins") == [("v3",)]
    assert world.provision("ana").resolution.pin_state == "suspended"
    world.enable("v3")
    assert world.provision("ana").resolution.pin_state == "applied"
    world.disable("v3", "v4", force=True)
    assert stores.sql("SELECT image_tag FROM kiloclaw_version_pins") == [("v4",)]


def test_what_is_disabled_may_be_disabled_again(world: Sandbox, stores: Stores) -> None:
    """A repeat writes nothing, and can still move the pins."""
    world.disable("v3", force=True)
    before = dump(stores)
    world.disable("v3")
    assert dump(stores) == before
    world.disable("v3", "v4")
    assert stores.sql("SELECT image_tag FROM kiloclaw_version_pins") == [("v4",)]
