"""List and count instances by what they run and what they would run now."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from shared.catalog.facts import images_within
from shared.catalog.fleet import InstanceFilter, InstanceSort, Place
from shared.catalog.transaction import Catalog, Transaction
from shared.domain.errors import InstanceNotFound
from shared.domain.impact import FleetClass, decide_class, split_by_bucket, tag_of
from shared.domain.model import Instance, Pin
from shared.domain.resolution import PinFact, Resolution, decide
from shared.domain.values import UserId
from shared.kv import KV
from shared.usecases.situations import Situations, read_situations

FLEET_SECONDS = 15.0
"""How long grouping a fleet of millions may take."""


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
class InstanceQuery:
    """Which instances: `drift` and `outdated` ask for those of which that is true."""

    wanted: InstanceFilter
    drift: bool = False
    outdated: bool = False
    sort: InstanceSort = "user_id"

    def matches(self, group: "ClassState") -> bool:
        """Whether users of the class belong on the list."""
        return (group.drift or not self.drift) and (group.outdated or not self.outdated)


@dataclass(frozen=True, slots=True)
class InstanceList:
    """Instances from the catalog's copy of the fleet, with the copy's age."""

    items: list[InstanceState]
    as_of: datetime | None


@dataclass(frozen=True, slots=True)
class FleetCounts:
    """`pinned` counts the instances whose image a pin chose."""

    total: int
    pinned: int
    drift: int
    outdated: int


@dataclass(frozen=True, slots=True)
class ClassState:
    """A class of users, and what a restart and an upgrade would do to each of them."""

    one: FleetClass
    drift: bool
    outdated: bool


def list_instances(
    query: InstanceQuery,
    after: Place | None,
    limit: int,
    *,
    catalog: Catalog,
    kv: KV,
) -> InstanceList:
    """List up to `limit` instances behind `after`: the last one's sort key and user.

    With the KV down the mirrors decide. Raises CatalogUnavailable.
    """
    with catalog.transaction() as tx:
        if query.drift or query.outdated:
            instances = _page_by_class(query, after, limit, tx, kv)
        else:
            instances = tx.fleet.page(query.wanted, query.sort, after, limit)
        return InstanceList(_states(instances, tx, kv), tx.fleet.as_of())


def get_instance(user_id: UserId, *, catalog: Catalog, kv: KV) -> InstanceState:
    """Read one from the KV. Raises InstanceNotFound, CatalogUnavailable, KVUnavailable."""
    instance = kv.instances.find(user_id)
    if instance is None:
        raise InstanceNotFound("the user has no instance on record")
    with catalog.transaction() as tx:
        return _states([instance], tx, kv)[0]


def count_instances(tx: Transaction, kv: KV) -> FleetCounts:
    """Count the copy of the fleet, asking `decide` once for each class of users."""
    fleet = _read_fleet(tx, kv)
    tx.extend_deadline(FLEET_SECONDS)
    groups = _class_states(tx.fleet.classes(fleet.in_force), fleet, tx)
    return FleetCounts(
        total=_users(groups),
        pinned=_users(group for group in groups if group.one.was_pinned),
        drift=_users(group for group in groups if group.drift),
        outdated=_users(group for group in groups if group.outdated),
    )


def _users(groups: Iterable[ClassState]) -> int:
    return sum(group.one.users for group in groups)


def _page_by_class(
    query: InstanceQuery,
    after: Place | None,
    limit: int,
    tx: Transaction,
    kv: KV,
) -> list[Instance]:
    fleet = _read_fleet(tx, kv)
    tx.extend_deadline(FLEET_SECONDS)
    either = tx.fleet.classes(fleet.in_force, query.wanted, by_bucket=False)
    rollouts = {one.variant: one.before for one in fleet.in_force}
    states = _class_states(split_by_bucket(either, rollouts), fleet, tx)
    classes = [group.one for group in states if query.matches(group)]
    users = tx.fleet.users_of(
        fleet.in_force, classes, after, limit, wanted=query.wanted, sort=query.sort
    )
    found = tx.fleet.find_all(users)
    return [found[user] for user in users if user in found]


def _read_fleet(tx: Transaction, kv: KV) -> Situations:
    """Read the situation of every variant that anybody runs or is pinned to."""
    return read_situations(tx.fleet.variants(), (), tx=tx, kv=kv)


def _class_states(
    classes: Collection[FleetClass], fleet: Situations, tx: Transaction
) -> list[ClassState]:
    tags = {tag for one in classes for tag in (one.running_tag, one.pin_tag) if tag}
    covered = fleet.with_images(images_within(tx.connection, tags))
    return [_class_state(one, covered) for one in classes]


def _class_state(one: FleetClass, fleet: Situations) -> ClassState:
    restart = decide_class(one, fleet[one.variant], fleet.now, "restart")
    upgrade = decide_class(one, fleet[one.variant], fleet.now, "upgrade")
    return ClassState(
        one,
        drift=tag_of(restart) != one.running_tag,
        outdated=tag_of(upgrade) != one.running_tag,
    )


def _states(instances: list[Instance], tx: Transaction, kv: KV) -> list[InstanceState]:
    if not instances:
        return []
    pins = tx.pins.find_all([instance.user_id for instance in instances])
    pinned = images_within(tx.connection, {pin.image_tag for pin in pins.values()})
    variants = {image.variant for image in pinned.values()}
    variants.update(instance.variant for instance in instances)
    tags = {instance.image_tag for instance in instances}
    situations = read_situations(variants, tags, tx=tx, kv=kv).with_images(pinned)
    return [_state(one, pins.get(one.user_id), situations) for one in instances]


def _state(instance: Instance, pin: Pin | None, situations: Situations) -> InstanceState:
    fact = PinFact(pin.image_tag, pin.expires_at) if pin else None
    restart = situations.facts(instance, fact, "restart")
    expected = decide(restart)
    upgraded = decide(replace(restart, intent="upgrade"))
    return InstanceState(
        instance,
        pin,
        expected if isinstance(expected, Resolution) else None,
        drift=tag_of(expected) != instance.image_tag,
        outdated=tag_of(upgraded) != instance.image_tag,
    )
