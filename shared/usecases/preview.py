"""Preview a change: which users would run another image at their next upgrade.

A preview refuses what the change would refuse, by the same checks. Its transaction is
read-only, so it writes nothing and locks no row. docs/architecture.md says how it counts.
"""

from collections.abc import Generator, Iterable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import NamedTuple

from shared.catalog.facts import images_within
from shared.catalog.fleet import InForce
from shared.catalog.transaction import Catalog, Transaction
from shared.domain.errors import KVUnavailable
from shared.domain.etags import variant_etag
from shared.domain.impact import (
    FleetClass,
    Impact,
    Move,
    Situation,
    rollout_in_force,
    weigh,
)
from shared.domain.model import Image
from shared.domain.pointer import Pointer, StoredPointer
from shared.domain.values import ImageTag, UserId, Variant
from shared.kv import KV
from shared.kv.entries import image_of
from shared.usecases.foresee import agreed, as_stored
from shared.usecases.moves import PointerMove, wanted_pointer
from shared.usecases.reconcile import Copies
from shared.usecases.situations import Situations, read_situations

SAMPLE = 20
GROUPING_SECONDS = 20.0
"""Grouping two million instances takes a few seconds."""


class MoveCount(NamedTuple):
    """How many users would run `to_tag` instead of `from_tag`; None where nothing may run."""

    from_tag: ImageTag | None
    to_tag: ImageTag | None
    users: int


class MovedUser(NamedTuple):
    """A user who would run another image."""

    user_id: UserId
    from_tag: ImageTag | None
    to_tag: ImageTag | None


@dataclass(frozen=True, slots=True)
class Preview:
    """What a change would do.

    `users` would run another image, by `moves`, most users first; `pinned` users stay because a
    pin says so; `sample` has some of the users. `as_of` is the age of what was counted: when
    the newest record in the fleet's copy was written, None while the copy is empty. With
    `estimate` chance decides which users it will be, and so how many.
    """

    users: int
    moves: list[MoveCount]
    pinned: int
    sample: list[MovedUser]
    as_of: datetime | None
    estimate: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a change would leave of a variant. `stored` is None if the KV was not read.

    `images` are those that the change makes or whose status it sets; `moved_pins` says which
    pins it moves where.
    """

    mirror: Pointer
    stored: StoredPointer | None
    images: Mapping[ImageTag, Image] = field(default_factory=dict)
    moved_pins: Mapping[ImageTag, ImageTag] = field(default_factory=dict)

    @classmethod
    def of(cls, copies: Copies, **images: Image) -> "Outcome":
        return cls(copies.mirror, copies.stored, images)

    def situation(self, images: Mapping[ImageTag, Image | None]) -> Situation:
        """Make the facts of it; `images` are those before the change."""
        images = {**images, **self.images}
        return Situation(self.mirror, self.stored, images, self.moved_pins)


def foresee_move(wanted: PointerMove, copies: Copies, tx: Transaction, kv: KV) -> Outcome:
    """Return what `move` would leave. Raises what it would refuse."""
    start = agreed(copies, tx, wanted.variant, kv)
    wanted.if_match.check(variant_etag(wanted.variant, start.mirror))
    pointer = wanted_pointer(start, tx, wanted.change, wanted.asserts)
    return Outcome.of(start) if pointer is None else Outcome(pointer, as_stored(pointer, ""))


@contextmanager
def snapshot(catalog: Catalog) -> Generator[Transaction]:
    """Open a transaction that can neither write nor lock a row. Raises CatalogUnavailable."""
    with catalog.transaction() as tx:
        tx.connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        yield tx


def weigh_change(
    variant: Variant, before: Outcome, after: Outcome, *, tx: Transaction, kv: KV
) -> Preview:
    """Compare what everybody runs before and after a change of this variant.

    `before` is what the stores hold now.
    """
    now = tx.now()
    tags = {tag for one in (before, after) for tag in _tags(one)}
    images, stored = _images(tags, before.stored, tx, kv, now)
    images = {**images_within(tx.connection, after.images), **images}
    if after.stored == before.stored:
        after = replace(after, stored=stored)
    before = replace(before, stored=stored)
    switched = _switched(images, after.images)
    others = _others(variant, tx, kv) if switched else Situations(now, {}, None, {})
    in_force = [
        InForce(
            variant,
            rollout_in_force(variant, before.situation(images), now),
            rollout_in_force(variant, after.situation(images), now),
            switched,
        ),
        *others.in_force,
    ]
    tx.extend_deadline(GROUPING_SECONDS)
    classes = tx.fleet.classes(in_force)
    named = {tag for one in classes for tag in (one.running_tag, one.pin_tag) if tag}
    images |= images_within(tx.connection, named - images.keys())
    impact = weigh(
        [one for one in classes if one.variant == variant],
        before.situation(images),
        after.situation(images),
        now,
    )
    concerned = [
        one for one in classes if one.variant != variant if one.running_tag in switched
    ]
    _weigh_others(impact, concerned, others.with_images(images), after.images)
    return Preview(
        users=impact.users,
        moves=rank_moves(impact.moves),
        pinned=impact.pinned,
        sample=_sample(impact, in_force, tx),
        as_of=tx.fleet.as_of(),
    )


def _switched(
    before: Mapping[ImageTag, Image | None], after: Mapping[ImageTag, Image]
) -> set[ImageTag]:
    """Find the tags that may run before and not after, or the other way round.

    One that the catalog does not know may run.
    """
    found = ((tag, before.get(tag), image) for tag, image in after.items())
    return {tag for tag, old, new in found if (old is None or old.runnable) != new.runnable}


def _others(variant: Variant, tx: Transaction, kv: KV) -> Situations:
    """Read the situations of all other variants: there a user may run such a version too."""
    names = [name for name in tx.fleet.variants() if name != variant]
    return read_situations(names, (), tx=tx, kv=kv)


def _weigh_others(
    impact: Impact,
    classes: Iterable[FleetClass],
    before: Situations,
    changed: Mapping[ImageTag, Image],
) -> None:
    """Add the users of other variants who can only keep what they run."""
    after = before.with_images(changed)
    for one in classes:
        moved = weigh([one], before[one.variant], after[one.variant], before.now)
        impact.moves += moved.moves
        impact.moving += moved.moving


def _tags(outcome: Outcome) -> set[ImageTag]:
    stored = outcome.stored.tags if outcome.stored else []
    return {*outcome.mirror.tags, *stored, *outcome.moved_pins.values()}


def _images(
    tags: set[ImageTag],
    stored: StoredPointer | None,
    tx: Transaction,
    kv: KV,
    now: datetime,
) -> tuple[dict[ImageTag, Image | None], StoredPointer | None]:
    """Find the images that pointers name: in the catalog, else in the KV, as a start does.

    Where the KV does not answer, its pointer is of no use either.
    """
    known: dict[ImageTag, Image | None] = {**images_within(tx.connection, tags)}
    unknown = tags.difference(known)
    if unknown and stored is not None:
        try:
            entries = kv.entries.find_all(unknown, now)
        except KVUnavailable:
            return known, None
        known |= {tag: image_of(entry) for tag, entry in entries.items()}
    return known, stored


def rank_moves(counts: Mapping[Move, int]) -> list[MoveCount]:
    """List the moves, most users first."""
    moves = [MoveCount(*move, users) for move, users in counts.items()]
    return sorted(moves, key=lambda one: (-one.users, one.from_tag or "", one.to_tag or ""))


def _sample(impact: Impact, in_force: list[InForce], tx: Transaction) -> list[MovedUser]:
    if not impact.moving:
        return []
    moves: dict[FleetClass, tuple[ImageTag | None, ImageTag | None]] = dict(impact.moving)
    users = tx.fleet.sample(in_force, moves, SAMPLE)
    return [MovedUser(user_id, *moves[one]) for user_id, one in users.items()]
