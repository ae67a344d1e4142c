"""What a change would do to the fleet, decided once for each class of users."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple

from shared.domain.model import Image, Instance, Intent
from shared.domain.pointer import Pointer, Rollout, StoredPointer
from shared.domain.resolution import (
    Facts,
    PinFact,
    Refusal,
    Resolution,
    decide,
    pointer_in_force,
)
from shared.domain.rollout import find_example
from shared.domain.values import ImageTag, UserId, Variant


class FleetClass(NamedTuple):
    """Users whom no rule can tell apart.

    `variant` is the one they are decided for. `before` and `after` say whether their bucket is
    below the percent of the rollout in force before and after a change. `user_id` is one of
    them, `users` how many there are.
    """

    variant: Variant
    running_tag: ImageTag
    was_pinned: bool
    pin_tag: ImageTag | None
    pin_expired: bool
    before: bool
    after: bool
    user_id: UserId
    users: int


@dataclass(frozen=True, slots=True)
class Situation:
    """What both stores say of one variant and of every tag that its users run or are pinned to.

    `moved_pins` are pins that a change moves from one tag to another.
    """

    mirror: Pointer
    stored: StoredPointer | None
    images: Mapping[ImageTag, Image | None]
    moved_pins: Mapping[ImageTag, ImageTag] = field(default_factory=dict)


class Move(NamedTuple):
    """Users who would run another image; None where nothing may run."""

    from_tag: ImageTag | None
    to_tag: ImageTag | None


@dataclass(slots=True)
class Impact:
    """How many users' next upgrade would run another image, and how many stay by pin."""

    moves: Counter[Move] = field(default_factory=Counter)
    moving: list[tuple[FleetClass, Move]] = field(default_factory=list)
    pinned: int = 0

    @property
    def users(self) -> int:
        return self.moves.total()


def rollout_in_force(variant: Variant, situation: Situation, now: datetime) -> Rollout | None:
    """Return the rollout that decides for the variant's users, whether or not it is held."""
    facts = Facts(
        "",
        "upgrade",
        now,
        mirror=situation.mirror,
        stored=situation.stored,
        images=situation.images,
        variant=variant,
    )
    return pointer_in_force(facts).rollout


def split_by_bucket(
    classes: Iterable[FleetClass], rollouts: Mapping[Variant, Rollout | None]
) -> list[FleetClass]:
    """Split classes of both buckets in two, each with a made-up user of that bucket.

    `rollouts` are those in force. Where there is none, nobody is in.
    """
    examples = {name: _examples(rollout) for name, rollout in rollouts.items()}
    return [
        one._replace(before=inside, after=inside, user_id=user_id)
        for one in classes
        for inside, user_id in examples[one.variant].items()
    ]


def _examples(rollout: Rollout | None) -> dict[bool, UserId]:
    if rollout is None:
        return {False: "anybody"}
    return {
        inside: find_example(rollout.salt, rollout.percent, inside=inside)
        for inside in (False, True)
    }


def weigh(
    classes: Iterable[FleetClass], before: Situation, after: Situation, now: datetime
) -> Impact:
    """Ask `decide` about each class with the facts before and after a change."""
    impact = Impact()
    for one in classes:
        old = decide_class(one, before, now, "upgrade")
        new = decide_class(one, after, now, "upgrade")
        move = Move(tag_of(old), tag_of(new))
        if move.from_tag != move.to_tag:
            impact.moves[move] += one.users
            impact.moving.append((one, move))
        elif isinstance(new, Resolution) and new.source == "pin":
            impact.pinned += one.users
    return impact


def decide_class(
    one: FleetClass, situation: Situation, now: datetime, intent: Intent
) -> Resolution | Refusal:
    """Decide for the users of a class; any of them gets the same answer."""
    pin = None
    if one.pin_tag is not None:
        tag = situation.moved_pins.get(one.pin_tag, one.pin_tag)
        expires_at = now - timedelta(seconds=1) if one.pin_expired else None
        pin = PinFact(one.pin_tag if one.pin_expired else tag, expires_at)
    facts = Facts(
        one.user_id,
        intent,
        now,
        pin=pin,
        mirror=situation.mirror,
        stored=situation.stored,
        images=situation.images,
        instance=_instance(one, situation.images.get(one.running_tag)),
        record_read=True,
        variant=one.variant,
    )
    return decide(facts)


def tag_of(decision: Resolution | Refusal) -> ImageTag | None:
    return decision.image.image_tag if isinstance(decision, Resolution) else None


def _instance(one: FleetClass, image: Image | None) -> Instance:
    """The record of a class. An image that neither store knows is what its record says."""
    return Instance(
        user_id=one.user_id,
        image_tag=one.running_tag,
        image_digest=image.image_digest if image else None,
        openclaw_version=image.openclaw_version if image else "",
        variant=image.variant if image else one.variant,
        source="instance",
        is_pinned=one.was_pinned,
        resolved_at="",
        decided_at="",
    )
