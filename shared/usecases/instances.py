"""List instances with what they run and what they would run now."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from shared.catalog.facts import images_within
from shared.catalog.transaction import Catalog, Transaction
from shared.domain.errors import InstanceNotFound
from shared.domain.model import Image, Instance, Pin
from shared.domain.pointer import Pointer, StoredPointer
from shared.domain.resolution import Facts, PinFact, Resolution, decide, variant_of
from shared.domain.values import ImageTag, UserId, Variant
from shared.kv import KV
from shared.kv.entries import image_of


@dataclass(frozen=True, slots=True)
class InstanceState:
    """A record, the user's pin, and what a restart would run (`expected`, None if nothing).

    `drift`: a restart would change what runs. `outdated`: an upgrade would.
    """

    instance: Instance
    pin: Pin | None
    expected: Resolution | None
    drift: bool
    outdated: bool


@dataclass(frozen=True, slots=True)
class InstancePage:
    """A page, and where the next one starts."""

    items: list[InstanceState]
    next: tuple[ImageTag, UserId] | None


@dataclass(frozen=True, slots=True)
class _Surroundings:
    """The facts that decisions about several users share."""

    pins: dict[UserId, Pin]
    mirrors: dict[Variant, Pointer]
    stored: dict[Variant, StoredPointer]
    images: dict[ImageTag, Image | None]


def list_instances(
    tag: ImageTag | None,
    after: tuple[ImageTag, UserId] | None,
    limit: int,
    *,
    catalog: Catalog,
    kv: KV,
) -> InstancePage:
    """List a page of instances. Raises CatalogUnavailable, KVUnavailable."""
    page = kv.instances.page(tag, after, limit)
    found = kv.instances.find_all(page.users) if page.users else {}
    instances = [found[user] for user in page.users if user in found]
    return InstancePage(_states(instances, catalog, kv), page.next)


def get_instance(user_id: UserId, *, catalog: Catalog, kv: KV) -> InstanceState:
    """Find one. Raises InstanceNotFound, CatalogUnavailable, KVUnavailable."""
    instance = kv.instances.find(user_id)
    if instance is None:
        raise InstanceNotFound("the user has no instance on record")
    return _states([instance], catalog, kv)[0]


def _states(instances: list[Instance], catalog: Catalog, kv: KV) -> list[InstanceState]:
    with catalog.transaction() as tx:
        around = _surroundings(instances, tx, kv)
    now = datetime.now(UTC)
    return [_state(instance, around, now) for instance in instances]


def _surroundings(instances: list[Instance], tx: Transaction, kv: KV) -> _Surroundings:
    pins = tx.pins.find_all([instance.user_id for instance in instances])
    mirrors = tx.variants.all()
    pinned = images_within(tx.connection, {pin.image_tag for pin in pins.values()})
    variants = {image.variant for image in pinned.values()}
    variants.update(instance.variant for instance in instances)
    stored = {
        variant: kv.pointers.read(variant, mirrors.get(variant, Pointer()))
        for variant in sorted(variants)
    }
    tags = {instance.image_tag for instance in instances}
    tags.update(tag for variant in variants for tag in _tags(variant, mirrors, stored))
    images = images_within(tx.connection, tags) | pinned
    unknown = tags.difference(images)
    entries = kv.entries.find_all(unknown, datetime.now(UTC)) if unknown else {}
    in_kv = {tag: image_of(entry) for tag, entry in entries.items()}
    return _Surroundings(pins, mirrors, stored, {**in_kv, **images})


def _tags(
    variant: Variant, mirrors: dict[Variant, Pointer], stored: dict[Variant, StoredPointer]
) -> Iterable[ImageTag]:
    yield from mirrors.get(variant, Pointer()).tags
    yield from stored[variant].tags


def _state(instance: Instance, around: _Surroundings, now: datetime) -> InstanceState:
    pin = around.pins.get(instance.user_id)
    decides = pin is not None and pin.state != "expired"
    pinned = around.images.get(pin.image_tag) if pin and decides else None
    variant = variant_of(pinned, None, instance)
    restart = Facts(
        instance.user_id,
        "restart",
        now,
        pin=PinFact(pin.image_tag, pin.expires_at) if pin else None,
        mirror=around.mirrors.get(variant, Pointer()),
        stored=around.stored[variant],
        images=around.images,
        instance=instance,
        record_read=True,
        variant=variant,
    )
    expected = decide(restart)
    upgraded = decide(replace(restart, intent="upgrade"))
    return InstanceState(
        instance,
        pin,
        expected if isinstance(expected, Resolution) else None,
        drift=_tag(expected) != instance.image_tag,
        outdated=_tag(upgraded) != instance.image_tag,
    )


def _tag(decision: object) -> ImageTag | None:
    return decision.image.image_tag if isinstance(decision, Resolution) else None
