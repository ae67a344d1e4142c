"""Preview pinning and unpinning many users: `decide` is asked about each of them."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from shared.catalog.facts import images_within
from shared.catalog.transaction import Catalog, Transaction
from shared.domain.impact import Move, tag_of
from shared.domain.model import Instance, PinContent
from shared.domain.resolution import PinFact, Resolution, decide
from shared.domain.values import UserId
from shared.kv import KV
from shared.usecases.bulk_pins import BulkItem, Mode, check_items
from shared.usecases.preview import SAMPLE, MovedUser, Preview, rank_moves, snapshot
from shared.usecases.situations import Situations, read_situations

Pins = Mapping[UserId, PinContent | None]


class _Decided(NamedTuple):
    """A user's move; `stays` says that the pin keeps the user where it is."""

    user_id: UserId
    move: Move
    stays: bool


def preview_change_pins(
    items: Sequence[BulkItem], mode: Mode, *, catalog: Catalog, kv: KV
) -> Preview:
    """Preview `change_pins`; items that would fail change nothing. Raises the same."""
    tags = {item.content.image_tag for item in items if item.content}
    with snapshot(catalog) as tx:
        refusals = check_items(items, mode, tx.versions.find_all(tags))
        users = [item.user_id for item in items]
        before = {user_id: pin.content for user_id, pin in tx.pins.find_all(users).items()}
        wanted = {item.user_id: item.content for item in items if item.user_id not in refusals}
        after = {**before, **wanted}
        instances = tx.fleet.find_all(users)
        situations = _situations(instances.values(), [before, after], tx, kv)
        as_of = tx.fleet.as_of()
    decided = list(_decide(instances, before, after, situations))
    moves = Counter(one.move for one in decided if one.move.from_tag != one.move.to_tag)
    moved = [MovedUser(one.user_id, *one.move) for one in decided if one.move in moves]
    return Preview(
        users=moves.total(),
        moves=rank_moves(moves),
        pinned=sum(one.stays for one in decided),
        sample=sorted(moved)[:SAMPLE],
        as_of=as_of,
    )


def _situations(
    instances: Iterable[Instance], pins: Iterable[Pins], tx: Transaction, kv: KV
) -> Situations:
    """Read the situations of all variants that the users run or are pinned to."""
    instances = list(instances)
    tags = {pin.image_tag for some in pins for pin in some.values() if pin}
    pinned = images_within(tx.connection, tags)
    variants = {instance.variant for instance in instances}
    variants.update(image.variant for image in pinned.values())
    running = {instance.image_tag for instance in instances}
    return read_situations(variants, running, tx=tx, kv=kv).with_images(pinned)


def _decide(
    instances: Mapping[UserId, Instance], before: Pins, after: Pins, situations: Situations
) -> Iterator[_Decided]:
    for user_id, instance in instances.items():
        old, new = (
            decide(situations.facts(instance, _fact(pins.get(user_id)), "upgrade"))
            for pins in (before, after)
        )
        move = Move(tag_of(old), tag_of(new))
        is_pinned = isinstance(new, Resolution) and new.source == "pin"
        yield _Decided(user_id, move, is_pinned and move.from_tag == move.to_tag)


def _fact(pin: PinContent | None) -> PinFact | None:
    return PinFact(pin.image_tag, pin.expires_at) if pin else None
