"""The decision by example: what is served, and how the trace explains it."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from shared.domain.model import Image, Instance, Status
from shared.domain.pointer import Pointer, Rollout, StoredPointer
from shared.domain.resolution import (
    Facts,
    PinFact,
    Refusal,
    Resolution,
    decide,
    is_settled,
    uncovered,
)

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
PAST = datetime(2026, 11, 24, 11, tzinfo=UTC)


def images(**statuses: Status | None) -> dict[str, Image | None]:
    return {
        tag: Image(tag, None, "2026.11.1", "default", status)
        for tag, status in statuses.items()
    }


def record(tag: str, *, is_pinned: bool = False) -> Instance:
    return Instance(
        "ana", tag, None, "2026.11.1", "default", "pin" if is_pinned else "latest",
        is_pinned=is_pinned, resolved_at="", decided_at="",
    )  # fmt: skip


LATEST = StoredPointer(Pointer(5, "new"), revision=5)
START = Facts("ana", "provision", NOW, stored=LATEST, images=images(new="active", old="active"))
RESTART = replace(START, intent="restart")
OLD = record("old")
ALL = Rollout("new", 100, "salt")
NOBODY = Rollout("new", 0, "salt")
OFF = images(new="disabled", old="disabled")


def rolled_out(rollout: Rollout) -> Facts:
    return replace(START, stored=StoredPointer(Pointer(5, "old", rollout), revision=5))


@pytest.mark.parametrize(
    ("facts", "served", "codes"),
    [
        (replace(START, pin=PinFact("old", None)), "old", ["applied"]),
        (START, "new", ["none", "intent_provision", "no_candidate", "latest"]),
        (
            replace(START, pin=PinFact("old", PAST)),
            "new",
            ["expired", "intent_provision", "no_candidate", "latest"],
        ),
        (
            replace(START, pin=PinFact("old", None), images=images(new=None, old="disabled")),
            "new",
            ["suspended", "intent_provision", "no_candidate", "latest"],
        ),
        (replace(RESTART, instance=OLD), "old", ["none", "instance"]),
        (replace(RESTART, running_tag="old"), "old", ["none", "instance"]),
        (RESTART, "new", ["none", "no_instance", "no_candidate", "latest"]),
        (
            replace(RESTART, running_tag="unheard-of"),
            "new",
            ["none", "instance_unknown", "no_candidate", "latest"],
        ),
        (
            replace(RESTART, instance=record("old", is_pinned=True)),
            "new",
            ["none", "instance_was_pinned", "no_candidate", "latest"],
        ),
        (
            replace(RESTART, instance=OLD, images=images(new="active", old="disabled")),
            "new",
            ["none", "instance_disabled", "no_candidate", "latest"],
        ),
        (rolled_out(ALL), "new", ["none", "intent_provision", "in_rollout"]),
        (rolled_out(NOBODY), "old", ["none", "intent_provision", "not_in_rollout", "latest"]),
        (
            rolled_out(Rollout("new", 7, "salt")),
            "new",
            ["none", "intent_provision", "in_rollout"],
        ),
        (
            rolled_out(Rollout("new", 6, "salt")),
            "old",
            ["none", "intent_provision", "not_in_rollout", "latest"],
        ),
        (
            rolled_out(replace(ALL, held=True)),
            "old",
            ["none", "intent_provision", "rollout_held", "latest"],
        ),
        (
            replace(rolled_out(ALL), images=images(new="disabled", old="active")),
            "old",
            ["none", "intent_provision", "candidate_disabled", "latest"],
        ),
        (
            replace(START, stored=None, mirror=Pointer(5, "old")),
            "old",
            ["none", "intent_provision", "no_candidate", "latest"],
        ),
        (
            replace(START, stored=StoredPointer(), instance=OLD),
            "old",
            ["none", "intent_provision", "no_candidate", "no_latest", "instance"],
        ),
        (
            replace(START, mirror=Pointer(5, "new"), images=OFF),
            None,
            ["none", "intent_provision", "no_candidate", "latest_disabled", "no_instance"],
        ),
        (replace(START, catalog_up=False, instance=OLD), "old", ["catalog_unavailable"]),
        (replace(START, catalog_up=False), None, ["no_instance"]),
    ],
)
def test_decisions(facts: Facts, served: str | None, codes: list[str]) -> None:
    """The trace has a code for each rule that was asked, up to the one that hit."""
    decision = decide(facts)
    assert [step.code for step in decision.trace] == codes
    if isinstance(decision, Resolution):
        assert decision.image.image_tag == served
    else:
        assert served is None


@pytest.mark.parametrize(
    ("facts", "code"),
    [
        (replace(START, stored=StoredPointer()), "no_version_available"),
        (replace(START, catalog_up=False), "catalog_unavailable"),
    ],
)
def test_refusals(facts: Facts, code: str) -> None:
    """A refusal says whether nothing may run or nobody knows for now."""
    decision = decide(facts)
    assert isinstance(decision, Refusal)
    assert decision.code == code


@pytest.mark.parametrize(
    ("facts", "tags"),
    [
        (START, set()),
        (replace(START, instance=record("running")), set()),
        (replace(START, intent="restart", instance=record("running")), {"running"}),
        (replace(START, images={}, instance=record("running")), {"new", "running"}),
        (replace(START, mirror=Pointer(4, "before", ALL)), {"before"}),
        (replace(START, pin=PinFact("old", None), mirror=Pointer(4, "before")), set()),
    ],
)
def test_what_is_looked_up_once_more(facts: Facts, tags: set[str]) -> None:
    """Exactly the tags are uncovered that the statement did not cover and that may decide."""
    assert uncovered(facts) == tags


@pytest.mark.parametrize(
    ("facts", "settled"),
    [
        (replace(START, pin=PinFact("old", None)), True),
        (replace(START, pin=PinFact("old", PAST)), False),
        (replace(START, instance=OLD), False),
        (RESTART, False),
        (replace(RESTART, instance=OLD), True),
        (replace(RESTART, instance=record("old", is_pinned=True)), False),
        (replace(RESTART, instance=OLD, images=OFF), False),
        (replace(RESTART, instance=record("not-looked-up")), False),
    ],
)
def test_a_pin_or_the_record_of_a_restart_needs_no_pointer(facts: Facts, settled: bool) -> None:
    """The KV is not asked for a pointer that cannot change the decision."""
    assert is_settled(facts) is settled
