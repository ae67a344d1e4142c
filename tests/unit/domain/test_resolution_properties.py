"""Properties of the decision: every start in every drawn state of the stores."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from itertools import product
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from shared.domain import resolution
from shared.domain.model import Image, Instance
from shared.domain.pointer import Pointer, Rollout, StoredPointer

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
USER = "ana"
MIRRORED_AT = 2
PINNED, RUNNING, BELIEVED = "pinned", "running", "believed"
TAGS = (PINNED, RUNNING, BELIEVED, "other")
RULES = ["pin", "restart", "rollout", "latest", "keep"]

PINS = (None, (PINNED, NOW), (PINNED, NOW + SECOND))
RECORDS = [
    Instance(
        USER, RUNNING, f"sha256:{'0' * 64}", "2025.1.1", "default", "latest",
        is_pinned=is_pinned, resolved_at="", decided_at="",
    )
    for is_pinned in (False, True)
]  # fmt: skip
BELIEFS = ((None, None), (None, BELIEVED), *((record, BELIEVED) for record in RECORDS))
STARTS: list[tuple[Any, ...]] = [
    *product(("provision", "restart"), PINS, BELIEFS),
    *product(("upgrade",), (None,), BELIEFS),
]


@dataclass(frozen=True)
class StoresState:
    """What both stores say of a variant and of the images there are."""

    mirror: Pointer
    stored: StoredPointer | None
    images: dict[str, Image | None]

    def starts(self) -> Iterator[Any]:
        """The facts of every start in this state, with the catalog up and with it down."""
        for intent, pin, (record, believed) in STARTS:
            for up in (True, False) if intent == "upgrade" else (True,):
                for record_read in self.readings(record):
                    yield resolution.Facts(
                        USER, intent, NOW, up, resolution.PinFact(*pin) if pin else None,
                        self.mirror, self.stored, self.images, record, record_read, believed,
                    )  # fmt: skip

    def readings(self, record: Instance | None) -> tuple[bool, ...]:
        """Whether the record was read: it was where there is one, else the KV may be silent."""
        if record is not None:
            return (True,)
        return (False,) if self.stored is None else (True, False)


def _image(tag: str, status: Any, variant: str) -> Image:
    return Image(tag, None, "2026.11.1", variant, status)


FATES = [
    *product((None, "active", "active", "deprecated", "disabled"), ("default",)),
    ("active", "gpu"),
    None,
]
IMAGES = st.tuples(*[st.sampled_from(FATES)] * len(TAGS)).map(
    lambda fates: {
        tag: _image(tag, *fate) if fate else None for tag, fate in zip(TAGS, fates, strict=True)
    }
)
ROLLOUTS = st.builds(
    Rollout,
    st.sampled_from(TAGS),
    st.sampled_from([0, 30, 60, 100]),
    st.sampled_from("st"),
    st.booleans(),
)
POINTERS = st.builds(Pointer, st.just(MIRRORED_AT), st.sampled_from(TAGS), st.none() | ROLLOUTS)


def may_run(facts: Any, tag: str | None) -> bool:
    image = facts.images.get(tag)
    return image is not None and image.status != "disabled"


def is_valid(facts: Any) -> bool:
    """Does the pin hold?"""
    pin = facts.pin
    if pin is None or (pin.expires_at is not None and facts.now >= pin.expires_at):
        return False
    return may_run(facts, pin.image_tag)


def pointed(facts: Any) -> Pointer:
    """The pointer that counts: the KV's if it is there, alive and not behind."""
    mirror: Pointer = facts.mirror
    kv = in_kv(facts)
    if kv is None or kv.revision < mirror.revision or not may_run(facts, kv.latest_tag):
        return mirror
    return kv if is_own(facts, kv.latest_tag) else mirror


def in_kv(facts: Any) -> Pointer | None:
    pointer: Pointer | None = facts.stored.pointer if facts.stored else None
    return pointer


def is_own(facts: Any, tag: str | None) -> bool:
    return bool(facts.images[tag].variant == "default")


def chosen(facts: Any, rollout: Rollout | None) -> str | None:
    """The candidate, if the user is among those who get it and nothing holds it."""
    if rollout is None or not may_run(facts, rollout.candidate_tag):
        return None
    if is_held(facts, rollout):
        return None
    place = (
        int(sha256(f"{rollout.salt}\0{facts.user_id}".encode()).hexdigest()[:16], 16) % 10_000
    )
    mine = place < rollout.percent * 100 and is_own(facts, rollout.candidate_tag)
    return rollout.candidate_tag if mine else None


def is_held(facts: Any, rollout: Rollout) -> bool:
    """Whether the brake holds the rollout, or may have held it unseen."""
    if facts.stored is None:
        return rollout.held
    kv = in_kv(facts)
    if kv is None or kv.rollout is None or kv.rollout.salt != rollout.salt:
        return True
    behind = kv.revision < facts.mirror.revision
    return kv.rollout.held or (behind and rollout.held)


def kept(facts: Any) -> str | None:
    """What may go on running: what the record says, else what the caller believes."""
    record = facts.instance
    tag = record.image_tag if record else facts.running_tag
    forgotten = record is not None and facts.images.get(tag) is None
    return tag if may_run(facts, tag) or forgotten else None


def the_first_rule_that_hits_wins(facts: Any, answer: Any) -> None:
    """Who offers what, in their order."""
    pointer = pointed(facts)
    stays = facts.intent == "restart" and not (facts.instance and facts.instance.is_pinned)
    offers = [
        ("pin", facts.pin.image_tag if is_valid(facts) else None),
        ("instance", kept(facts) if stays else None),
        ("rollout", chosen(facts, pointer.rollout)),
        ("latest", pointer.latest_tag if may_run(facts, pointer.latest_tag) else None),
        ("instance", kept(facts)),
    ]
    expected = next(((source, tag) for source, tag in offers if tag), None)
    image = getattr(answer, "image", None)
    assert (image and (answer.source, image.image_tag)) == expected
    if image is None:
        assert answer.code == "no_version_available"
    else:
        assert answer.is_pinned == (answer.source == "pin")


def what_is_served_is_what_the_stores_know(facts: Any, answer: Any) -> None:
    """Digest and version are theirs; the record's only for what they have both forgotten."""
    if hasattr(answer, "image"):
        known = facts.images.get(answer.image.image_tag)
        assert answer.image == (known or facts.instance.image)


def a_pin_that_does_not_hold_is_named(facts: Any, answer: Any) -> None:
    """One both expired and suspended is expired; one that ends now has ended."""
    if facts.pin is None:
        expected = "none"
    elif facts.pin.expires_at == NOW:
        expected = "expired"
    else:
        expected = "applied" if may_run(facts, PINNED) else "suspended"
    assert answer.pin_state == expected


def a_kv_that_was_needed_and_silent_degrades(facts: Any, answer: Any) -> None:
    """And nothing else does."""
    if hasattr(answer, "image"):
        settled = {"pin": True, "restart": facts.record_read}.get(answer.trace[-1].rule)
        answered = facts.record_read and facts.stored is not None
        assert answer.degraded is not (answered if settled is None else settled)
        assert answer.degraded in {True, False}


def the_trace_ends_with_the_rule_that_hit(_facts: Any, answer: Any) -> None:
    """Rules are asked in their order until one hits."""
    assert [step.rule for step in answer.trace] == RULES[: len(answer.trace)]
    hit = [step.matched for step in answer.trace]
    assert hit == [False] * (len(hit) - 1) + [hasattr(answer, "image")]
    assert hit[-1] or len(hit) == len(RULES)


def nothing_turns_on_what_was_not_asked_for(facts: Any, answer: Any) -> None:
    """The statement covers pin and mirror; `uncovered` asks for whatever else counts."""
    covered = {tag: facts.images[tag] for tag in (PINNED, *facts.mirror.tags)}
    fewer = replace(facts, images=covered)
    asked = resolution.uncovered(fewer)
    assert asked.isdisjoint(covered)
    assert not (asked and is_valid(facts))
    images = covered | {tag: facts.images[tag] for tag in asked}
    assert resolution.decide(replace(facts, images=images)) == answer
    if facts.intent != "restart" and may_run(fewer, pointed(fewer).latest_tag):
        kv = in_kv(facts)
        assert asked <= set(kv.tags if kv else ())


def without_the_catalog_an_instance_stays(facts: Any, answer: Any) -> None:
    """Its record is repeated, and whoever has none is told to come again."""
    record = facts.instance
    assert answer.pin_state == "unknown"
    if record is None:
        assert answer.code == "catalog_unavailable"
    else:
        assert (answer.image, answer.source) == (record.image, "instance")
        assert (answer.is_pinned, answer.degraded) == (record.is_pinned, True)
        assert answer.image.status is None
    [step] = answer.trace
    assert (step.rule, step.matched) == ("keep", record is not None)


UP = (
    the_first_rule_that_hits_wins,
    what_is_served_is_what_the_stores_know,
    a_pin_that_does_not_hold_is_named,
    a_kv_that_was_needed_and_silent_degrades,
    the_trace_ends_with_the_rule_that_hit,
    nothing_turns_on_what_was_not_asked_for,
)
DOWN = (without_the_catalog_an_instance_stays,)


@settings(max_examples=30)
@given(POINTERS, POINTERS, IMAGES)
def test_resolution_properties(
    kv: Pointer, mirror: Pointer, images: dict[str, Image | None]
) -> None:
    """Every start is decided as the rules say, whatever the stores say or leave unsaid.

    The KV may be behind, level, empty, silent or in another variant, the mirror empty.
    """
    behind, level = (
        StoredPointer(kv.at(at), revision=at) for at in (MIRRORED_AT - 1, MIRRORED_AT)
    )
    tag = kv.latest_tag or ""
    stopped = images | {RUNNING: _image(RUNNING, "disabled", "default")}
    foreign = images | {tag: _image(tag, "active", "gpu")}
    for state in (
        *(
            StoresState(mirror, stored, images)
            for stored in (behind, level, StoredPointer(), None)
        ),
        StoresState(mirror, level, foreign),
        StoresState(Pointer(), level, images),
        StoresState(Pointer(), StoredPointer(fault="damage"), stopped),
    ):
        for facts in state.starts():
            answer = resolution.decide(facts)
            for law in UP if facts.catalog_up else DOWN:
                law(facts, answer)
