"""Which image a user's instance runs: one pure, total function from facts to an answer."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, NamedTuple

from shared.domain.model import Image, Instance, Intent, PinState, Source
from shared.domain.pointer import Pointer, StoredPointer
from shared.domain.rollout import is_in
from shared.domain.values import DEFAULT_VARIANT, ImageTag, UserId, Variant

NO_POINTER = Pointer()


class PinFact(NamedTuple):
    """The user's pin, as much of it as decides."""

    image_tag: ImageTag
    expires_at: datetime | None


@dataclass(frozen=True, slots=True)
class Facts:
    """All that a decision depends on.

    `found` is the KV's pointer of `variant`, None if the KV did not answer; `mirror` the
    catalog's copy. `images` holds every tag that `uncovered` asked for and either store knows.
    `running_tag` is the caller's word, believed only where there is no readable `instance`.
    """

    user_id: UserId
    intent: Intent
    now: datetime
    catalog_up: bool = True
    pin: PinFact | None = None
    mirror: Pointer = NO_POINTER
    found: StoredPointer | None = None
    images: Mapping[ImageTag, Image | None] = field(default_factory=dict)
    instance: Instance | None = None
    running_tag: ImageTag | None = None
    variant: Variant = DEFAULT_VARIANT


class Step(NamedTuple):
    """A rule that was asked, and what it said."""

    rule: Literal["pin", "restart", "rollout", "latest", "keep"]
    matched: bool
    code: str


class Resolution(NamedTuple):
    """The image to run, and why. `degraded`: a store that was needed did not answer."""

    image: Image
    source: Source
    is_pinned: bool
    pin_state: PinState
    degraded: bool
    trace: tuple[Step, ...]


class Refusal(NamedTuple):
    """Nothing may run. `catalog_unavailable` is worth a retry."""

    code: Literal["no_version_available", "catalog_unavailable"]
    pin_state: PinState
    trace: tuple[Step, ...]


def decide(facts: Facts) -> Resolution | Refusal:
    """Ask the rules in order; the first that yields an image wins."""
    if not facts.catalog_up:
        return _fail_static(facts)
    state = pin_state(facts)
    pointer = _pointer_in_force(facts)
    steps: list[Step] = []
    for rule, source, ask in RULES:
        image, code = ask(facts, state, pointer)
        steps.append(Step(rule, image is not None, code))
        if image is not None:
            degraded = facts.found is None and source != "pin"
            return Resolution(image, source, source == "pin", state, degraded, tuple(steps))
    return Refusal("no_version_available", state, tuple(steps))


def variant_of(
    pinned: Image | None, requested: Variant | None, instance: Instance | None
) -> Variant:
    """The variant is the pin's version's, else the request's, else the running image's."""
    if pinned is not None:
        return pinned.variant
    return requested or (instance.variant if instance else DEFAULT_VARIANT)


def pin_state(facts: Facts) -> PinState:
    """What has become of the pin. One both expired and suspended is expired."""
    if facts.pin is None:
        return "none"
    if facts.pin.expires_at is not None and facts.pin.expires_at <= facts.now:
        return "expired"
    return "applied" if _runnable(facts, facts.pin.image_tag) else "suspended"


def uncovered(facts: Facts) -> set[ImageTag]:
    """The tags that the decision may turn on and that `images` says nothing of yet."""
    if pin_state(facts) == "applied":
        return set()
    tags = set(facts.mirror.tags)
    if facts.found and facts.found.pointer:
        tags.update(facts.found.pointer.tags)
    latest = _pointer_in_force(facts).latest_tag
    if facts.intent == "restart" or latest is None or not _runnable(facts, latest):
        running = facts.instance.image_tag if facts.instance else facts.running_tag
        tags.update([running] if running else [])
    return tags.difference(facts.images)


def _runnable(facts: Facts, tag: ImageTag) -> Image | None:
    image = facts.images.get(tag)
    return image if image is not None and image.runnable else None


def _offered(facts: Facts, tag: ImageTag) -> Image | None:
    """What a pointer may offer: a version of its own variant that is not disabled."""
    image = _runnable(facts, tag)
    return image if image is not None and image.variant == facts.variant else None


def _pointer_in_force(facts: Facts) -> Pointer:
    """The KV's, unless it is not there, dead, or older than what the catalog has seen."""
    pointer = facts.found.pointer if facts.found else None
    if pointer is None or pointer.revision < facts.mirror.revision:
        return facts.mirror
    alive = pointer.latest_tag is not None and _offered(facts, pointer.latest_tag)
    return pointer if alive else facts.mirror


Answer = tuple[Image | None, str]


def _pin(facts: Facts, state: PinState, _pointer: Pointer) -> Answer:
    if facts.pin is not None and state == "applied":
        return _runnable(facts, facts.pin.image_tag), state
    return None, state


def _restart(facts: Facts, _state: PinState, _pointer: Pointer) -> Answer:
    if facts.intent != "restart":
        return None, f"intent_{facts.intent}"
    if facts.instance is not None and facts.instance.is_pinned:
        return None, "instance_was_pinned"
    return _keep(facts, _state, _pointer)


def _rollout(facts: Facts, _state: PinState, pointer: Pointer) -> Answer:
    if pointer.rollout is None:
        return None, "no_candidate"
    candidate = _offered(facts, pointer.rollout.candidate_tag)
    if candidate is None:
        return None, "candidate_disabled"
    if is_in(pointer.rollout.salt, facts.user_id, pointer.rollout.percent):
        return candidate, "in_rollout"
    return None, "not_in_rollout"


def _latest(facts: Facts, _state: PinState, pointer: Pointer) -> Answer:
    if pointer.latest_tag is None:
        return None, "no_latest"
    latest = _runnable(facts, pointer.latest_tag)
    return (latest, "latest") if latest else (None, "latest_disabled")


def _keep(facts: Facts, _state: PinState, _pointer: Pointer) -> Answer:
    """What runs may go on; what neither store knows any more is what its record says."""
    running = facts.instance.image_tag if facts.instance else facts.running_tag
    if running is None:
        return None, "no_instance"
    image = facts.images.get(running) or (facts.instance.image if facts.instance else None)
    if image is None:
        return None, "instance_unknown"
    return (image, "instance") if image.runnable else (None, "instance_disabled")


Rule = Callable[[Facts, PinState, Pointer], Answer]
RULES: tuple[
    tuple[Literal["pin", "restart", "rollout", "latest", "keep"], Source, Rule], ...
] = (
    ("pin", "pin", _pin),
    ("restart", "instance", _restart),
    ("rollout", "rollout", _rollout),
    ("latest", "latest", _latest),
    ("keep", "instance", _keep),
)


def _fail_static(facts: Facts) -> Resolution | Refusal:
    """Without the catalog a known instance keeps its image; for anyone else a pin may exist."""
    known = facts.instance
    if known is None:
        step = Step("keep", matched=False, code="no_instance")
        return Refusal("catalog_unavailable", "unknown", (step,))
    return Resolution(
        image=known.image,
        source="instance",
        is_pinned=known.is_pinned,
        pin_state="unknown",
        degraded=True,
        trace=(Step("keep", matched=True, code="catalog_unavailable"),),
    )
