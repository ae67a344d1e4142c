"""Decide which image a user's instance runs: a pure function from facts to an answer.

docs/architecture.md has the rules and every code.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, NamedTuple

from shared.domain.model import Image, Instance, Intent, PinState, Source
from shared.domain.pointer import Pointer, Rollout, StoredPointer, is_held
from shared.domain.rollout import is_in
from shared.domain.values import DEFAULT_VARIANT, ImageTag, UserId, Variant

NO_POINTER = Pointer()

RuleName = Literal["pin", "restart", "rollout", "latest", "keep"]


class PinFact(NamedTuple):
    """The parts of a user's pin that a decision depends on."""

    image_tag: ImageTag
    expires_at: datetime | None

    def has_expired(self, now: datetime) -> bool:
        return self.expires_at is not None and self.expires_at <= now


@dataclass(frozen=True, slots=True)
class Facts:
    """All that a decision depends on.

    `stored` is the KV's pointer of `variant`, None if it was not read; `mirror` the catalog's
    copy. `record_read` says whether the KV answered about the instance record, which may be
    missing. `images` holds every tag that `uncovered` asked for and either store knows.
    `running_tag` is the caller's word, believed only where there is no readable `instance`.
    """

    user_id: UserId
    intent: Intent
    now: datetime
    catalog_up: bool = True
    pin: PinFact | None = None
    mirror: Pointer = NO_POINTER
    stored: StoredPointer | None = None
    images: Mapping[ImageTag, Image | None] = field(default_factory=dict)
    instance: Instance | None = None
    record_read: bool = False
    running_tag: ImageTag | None = None
    variant: Variant = DEFAULT_VARIANT

    @property
    def deciding_pin(self) -> PinFact | None:
        """The pin, unless it has expired: an expired pin decides nothing."""
        return None if self.pin is None or self.pin.has_expired(self.now) else self.pin

    @property
    def running(self) -> ImageTag | None:
        """The tag that the instance runs, as far as anybody knows."""
        return self.instance.image_tag if self.instance else self.running_tag


class Step(NamedTuple):
    """A rule that was asked, and its answer."""

    rule: RuleName
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
    pointer = pointer_in_force(facts)
    steps: list[Step] = []
    for rule, source, ask in RULES:
        image, code = ask(facts, state, pointer)
        steps.append(Step(rule, image is not None, code))
        if image is not None:
            degraded = _is_degraded(facts, rule)
            return Resolution(image, source, source == "pin", state, degraded, tuple(steps))
    return Refusal("no_version_available", state, tuple(steps))


def variant_of(
    pinned: Image | None, requested: Variant | None, instance: Instance | None
) -> Variant:
    """Return the variant to decide for.

    It is that of the pinned version (of a pin that has not expired), else the requested one,
    else that of the running image.
    """
    if pinned is not None:
        return pinned.variant
    return requested or (instance.variant if instance else DEFAULT_VARIANT)


def pin_state(facts: Facts) -> PinState:
    """Say what has become of the pin. One both expired and suspended is expired."""
    if facts.pin is None:
        return "none"
    if facts.deciding_pin is None:
        return "expired"
    return "applied" if _runnable(facts, facts.pin.image_tag) else "suspended"


def is_settled(facts: Facts) -> bool:
    """Whether no pointer is needed: a pin applies, or a restart keeps what its record names."""
    if pin_state(facts) == "applied":
        return True
    if facts.intent != "restart" or facts.instance is None or facts.instance.is_pinned:
        return False
    return facts.running in facts.images and _keep(facts)[0] is not None


def uncovered(facts: Facts) -> set[ImageTag]:
    """Return the tags that the decision may depend on and `images` does not answer yet."""
    if is_settled(facts):
        return set()
    tags = {*facts.mirror.tags, *(facts.stored.tags if facts.stored else ())}
    latest = pointer_in_force(facts).latest_tag
    if facts.intent == "restart" or latest is None or not _runnable(facts, latest):
        tags.update([facts.running] if facts.running else [])
    return tags.difference(facts.images)


def pointer_in_force(facts: Facts) -> Pointer:
    """Return the KV's pointer unless it is missing, dead or behind the mirror; else the mirror.

    Dead: malformed, or its latest is disabled, of another variant or known to neither store.
    """
    pointer = facts.stored.pointer if facts.stored else None
    if pointer is None or pointer.revision < facts.mirror.revision:
        return facts.mirror
    alive = pointer.latest_tag is not None and _offered(facts, pointer.latest_tag)
    return pointer if alive else facts.mirror


def _is_degraded(facts: Facts, rule: RuleName) -> bool:
    """Whether a store that this decision needed did not answer."""
    match rule:
        case "pin":
            return False
        case "restart":
            return not facts.record_read
        case _:
            return not facts.record_read or facts.stored is None


def _runnable(facts: Facts, tag: ImageTag) -> Image | None:
    image = facts.images.get(tag)
    return image if image is not None and image.runnable else None


def _offered(facts: Facts, tag: ImageTag) -> Image | None:
    """The image, if the pointer may serve it: of the same variant, and not disabled."""
    image = _runnable(facts, tag)
    return image if image is not None and image.variant == facts.variant else None


Outcome = tuple[Image | None, str]


def _pin(facts: Facts, state: PinState, _pointer: Pointer) -> Outcome:
    if facts.pin is not None and state == "applied":
        return _runnable(facts, facts.pin.image_tag), state
    return None, state


def _restart(facts: Facts, _state: PinState, _pointer: Pointer) -> Outcome:
    if facts.intent != "restart":
        return None, f"intent_{facts.intent}"
    if facts.instance is not None and facts.instance.is_pinned:
        return None, "instance_was_pinned"
    return _keep(facts)


def _rollout(facts: Facts, _state: PinState, pointer: Pointer) -> Outcome:
    if pointer.rollout is None:
        return None, "no_candidate"
    candidate = _offered(facts, pointer.rollout.candidate_tag)
    if candidate is None:
        return None, "candidate_disabled"
    if _is_held(facts, pointer.rollout, pointer.revision):
        return None, "rollout_held"
    if is_in(pointer.rollout.salt, facts.user_id, pointer.rollout.percent):
        return candidate, "in_rollout"
    return None, "not_in_rollout"


def _is_held(facts: Facts, rollout: Rollout, revision: int) -> bool:
    return is_held(rollout, revision, facts.stored) if facts.stored else rollout.held


def _latest(facts: Facts, _state: PinState, pointer: Pointer) -> Outcome:
    if pointer.latest_tag is None:
        return None, "no_latest"
    latest = _runnable(facts, pointer.latest_tag)
    return (latest, "latest") if latest else (None, "latest_disabled")


def _keep(facts: Facts, _state: PinState = "none", _pointer: Pointer = NO_POINTER) -> Outcome:
    """Keep what runs. If neither store knows that image any more, its record describes it."""
    running = facts.running
    if running is None:
        return None, "no_instance"
    image = facts.images.get(running) or (facts.instance.image if facts.instance else None)
    if image is None:
        return None, "instance_unknown"
    return (image, "instance") if image.runnable else (None, "instance_disabled")


Rule = Callable[[Facts, PinState, Pointer], Outcome]
RULES: tuple[tuple[RuleName, Source, Rule], ...] = (
    ("pin", "pin", _pin),
    ("restart", "instance", _restart),
    ("rollout", "rollout", _rollout),
    ("latest", "latest", _latest),
    ("keep", "instance", _keep),
)


def _fail_static(facts: Facts) -> Resolution | Refusal:
    """Decide without the catalog: keep a known instance's image, else refuse.

    A user without a record may have a pin that cannot be read.
    """
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
