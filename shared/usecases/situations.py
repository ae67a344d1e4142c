"""What both stores say of variants and tags, for decisions about many users at once."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from shared.catalog.facts import images_within
from shared.catalog.fleet import InForce
from shared.catalog.transaction import Transaction
from shared.domain.errors import KVUnavailable
from shared.domain.impact import Situation, rollout_in_force
from shared.domain.model import Image, Instance, Intent
from shared.domain.pointer import Pointer, StoredPointer
from shared.domain.resolution import Facts, PinFact, variant_of
from shared.domain.values import ImageTag, Variant
from shared.kv import KV
from shared.kv.entries import image_of


@dataclass(frozen=True, slots=True)
class Situations:
    """The situations of some variants, as of the transaction's time `now`.

    `stored` is None if the KV did not answer: then the mirrors stand in.
    """

    now: datetime
    mirrors: Mapping[Variant, Pointer]
    stored: Mapping[Variant, StoredPointer] | None
    images: Mapping[ImageTag, Image | None]

    def __getitem__(self, variant: Variant) -> Situation:
        stored = None if self.stored is None else self.stored[variant]
        return Situation(self.mirrors[variant], stored, self.images)

    @property
    def in_force(self) -> list[InForce]:
        """The rollout in force of each variant."""
        rollouts = [
            (name, rollout_in_force(name, self[name], self.now)) for name in self.mirrors
        ]
        return [InForce(name, rollout, rollout) for name, rollout in rollouts]

    def facts(self, instance: Instance, pin: PinFact | None, intent: Intent) -> Facts:
        """Make the facts about a user with this record and this pin."""
        decides = pin and (pin.expires_at is None or pin.expires_at > self.now)
        pinned = self.images.get(pin.image_tag) if pin and decides else None
        variant = variant_of(pinned, None, instance)
        situation = self[variant]
        return Facts(
            instance.user_id,
            intent,
            self.now,
            pin=pin,
            mirror=situation.mirror,
            stored=situation.stored,
            images=situation.images,
            instance=instance,
            record_read=True,
            variant=variant,
        )

    def with_images(self, images: Mapping[ImageTag, Image | None]) -> "Situations":
        return replace(self, images={**self.images, **images})


def read_situations(
    variants: Iterable[Variant], tags: Iterable[ImageTag], *, tx: Transaction, kv: KV
) -> Situations:
    """Read the pointers of these variants, and the images of `tags` and of all they name."""
    now, known = tx.now(), tx.variants.all()
    mirrors = {variant: known.get(variant, Pointer()) for variant in sorted(set(variants))}
    stored = _read_pointers(mirrors, kv)
    pointers: list[Pointer | StoredPointer] = [*mirrors.values(), *(stored or {}).values()]
    wanted = {*tags, *(tag for pointer in pointers for tag in pointer.tags)}
    images = images_within(tx.connection, wanted)
    unknown = wanted.difference(images)
    if unknown and stored is not None:
        try:
            images |= _images_in_kv(unknown, now, kv)
        except KVUnavailable:
            stored = None
    return Situations(now, mirrors, stored, images)


def _read_pointers(
    mirrors: Mapping[Variant, Pointer], kv: KV
) -> Mapping[Variant, StoredPointer] | None:
    try:
        return kv.pointers.read_all(mirrors)
    except KVUnavailable:
        return None


def _images_in_kv(tags: set[ImageTag], now: datetime, kv: KV) -> dict[ImageTag, Image]:
    entries = kv.entries.find_all(tags, now)
    return {tag: image_of(entry) for tag, entry in entries.items()}
