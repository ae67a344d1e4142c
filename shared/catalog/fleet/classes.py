"""Classes of users: the fleet grouped by all that a decision depends on."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, LiteralString, NamedTuple

from shared.catalog.connection import RawConnection
from shared.catalog.fleet.pages import (
    BEHIND,
    EVERYBODY,
    FILTER,
    GROUPS,
    IN_GROUP,
    ORDER,
    InstanceFilter,
    InstanceSort,
    Place,
    filter_parameters,
    place_parameters,
)
from shared.domain.impact import FleetClass
from shared.domain.pointer import Rollout
from shared.domain.values import ImageTag, UserId, Variant

EITHER, ANY = {(True, False), (False, False)}, {(None, None)}
"""Both buckets of a rollout that does not change, and how the statement says so."""
SEPARATOR = "\x1f"
CANDIDATES = 100
MANY, LOOKED_AT = 10_000, 2_000
"""With so many wanted users, a page of them is looked for among so many instances first."""


class InForce(NamedTuple):
    """The rollouts in force for a variant before and after a change; None for none.

    `switched` are the versions that may run only before the change, or only after it.
    """

    variant: Variant
    before: Rollout | None
    after: Rollout | None
    switched: Collection[ImageTag] = ()


@dataclass(frozen=True, slots=True)
class PageOfUsers:
    """Up to `limit` users behind `after`, as a page of instances has them."""

    after: Place | None
    limit: int
    wanted: InstanceFilter = EVERYBODY
    sort: InstanceSort = "user_id"


# The variant that a user is decided for: that of a pin that has not expired, else the record's.
DECIDED: LiteralString = """
CASE WHEN p.expires_at <= now() OR v.variant IS NULL THEN i.variant ELSE v.variant END
"""
PIN_EXPIRED: LiteralString = "coalesce(p.expires_at <= now(), false)"
# CASE, because a user is hashed even for a salt that is NULL.
BEFORE: LiteralString = """
CASE WHEN f.salt_before IS NULL THEN false
     ELSE kiloclaw_bucket(f.salt_before, i.user_id) < f.percent_before * 100 END
"""
AFTER: LiteralString = """
CASE WHEN f.salt_after IS NULL THEN false
     ELSE kiloclaw_bucket(f.salt_after, i.user_id) < f.percent_after * 100 END
"""
IN_FORCE: LiteralString = """
SELECT * FROM unnest(%(variants)s::text[], %(salts_before)s::text[],
                     %(percents_before)s::integer[], %(salts_after)s::text[],
                     %(percents_after)s::integer[])
    AS f (variant, salt_before, percent_before, salt_after, percent_after)
"""
PINS: LiteralString = "LEFT JOIN kiloclaw_version_pins p ON p.user_id = i.user_id"
# Hashing is dear. A pin that applies before and after the change decides whatever the bucket,
# so its user has no rollout here.
WITH_PINS: LiteralString = f"""
  {PINS}
  LEFT JOIN kiloclaw_available_versions v ON v.image_tag = p.image_tag
  LEFT JOIN ({IN_FORCE}) AS f
         ON f.variant = {DECIDED}
        AND (p.image_tag IS NULL OR p.expires_at <= now() OR v.status = 'disabled'
             OR p.image_tag = ANY(%(switched)s))
"""


def _classes(
    joins: LiteralString, before: LiteralString, after: LiteralString
) -> LiteralString:
    """The statement for classes. What depends on the pinned version alone is joined last.

    Few columns tell the groups apart then, and several processes group the fleet.
    """
    return f"""
SELECT g.variant, v.variant, g.image_tag, g.is_pinned, g.pin_tag, g.pin_expired, g.before,
       g.after, g.user_id, g.users
  FROM (SELECT i.variant, i.image_tag, i.is_pinned, p.image_tag AS pin_tag,
               {PIN_EXPIRED} AS pin_expired, {before} AS before, {after} AS after,
               min(i.user_id) AS user_id, count(*) AS users
          FROM (SELECT * FROM kiloclaw_instances i {FILTER}) AS i
        {joins}
         GROUP BY 1, 2, 3, 4, 5, 6, 7) AS g
  LEFT JOIN kiloclaw_available_versions v ON v.image_tag = g.pin_tag
"""  # noqa: S608  constants alone


CLASSES = _classes(WITH_PINS, BEFORE, AFTER)
CLASSES_OF_BOTH_BUCKETS = _classes(PINS, "false", "false")

# What the users of a class have in common, as one text.
LIKE: LiteralString = f"""
concat_ws(chr(31), {DECIDED}, i.image_tag, i.is_pinned, coalesce(p.image_tag, ''),
          {PIN_EXPIRED})
"""
KEY: LiteralString = f"concat_ws(chr(31), {LIKE}, {BEFORE}, {AFTER})"
# The wanted classes as rows; no bucket means either. Only users are hashed who are like a
# wanted class in all else, and only where the bucket matters.
WANTED: LiteralString = """
SELECT * FROM unnest(%(likes)s::text[], %(befores)s::boolean[], %(afters)s::boolean[])
    AS w (like_it, before, after)
"""
IN_CLASS: LiteralString = f"""
w.like_it = {LIKE} AND (w.before IS NULL OR w.before = {BEFORE})
AND (w.after IS NULL OR w.after = {AFTER})
"""


def _users(sort: InstanceSort, some: LiteralString) -> LiteralString:
    """The statement for users of wanted classes; OFFSET 0 has the fleet read as it lies."""
    return f"""
SELECT user_id
  FROM (SELECT i.user_id, i.resolved_at
          FROM (SELECT * FROM kiloclaw_instances i {FILTER} {BEHIND[sort]} {some}) AS i
        {WITH_PINS}
          JOIN ({WANTED}) AS w ON {IN_CLASS}
        OFFSET 0) AS i
{ORDER[sort]}
"""  # noqa: S608  constants alone


# Among the next instances of the list, or all: the wanted may be few, or at its very end.
NEAR = {sort: _users(sort, ORDER[sort].replace("%(limit)s", "%(near)s")) for sort in ORDER}
ALL = {sort: _users(sort, "") for sort in ORDER}

# A few users of each tag are looked at, so that a sample costs the same in every fleet.
SAMPLE: LiteralString = f"""
{GROUPS}
SELECT user_id, key
  FROM (SELECT i.user_id, {KEY} AS key
          FROM groups g
         CROSS JOIN LATERAL (SELECT * FROM kiloclaw_instances i WHERE {IN_GROUP}
                              ORDER BY i.user_id LIMIT %(candidates)s) AS i
        {WITH_PINS}
         WHERE g.image_tag = ANY(%(tags)s)) AS i
 WHERE key = ANY(%(keys)s)
 ORDER BY user_id LIMIT %(limit)s
"""  # noqa: S608  constants alone


def group_users(
    connection: RawConnection,
    in_force: Collection[InForce],
    wanted: InstanceFilter,
    *,
    by_bucket: bool,
) -> list[FleetClass]:
    """Group the wanted instances that are decided for these variants into classes.

    Without `by_bucket` a class has the users of both buckets.
    """
    parameters = _rollouts(in_force) | filter_parameters(wanted)
    query = CLASSES if by_bucket else CLASSES_OF_BOTH_BUCKETS
    rows = connection.execute(query, parameters).fetchall()
    unchanged = {one.variant: one.before == one.after for one in in_force}
    classes: dict[tuple[Any, ...], FleetClass] = {}
    for recorded, pinned, *rest in rows:
        pin_expired = rest[3]
        variant = recorded if pin_expired or pinned is None else pinned
        if variant in unchanged:
            one = FleetClass(variant, *rest)
            one = one._replace(after=one.before) if unchanged[variant] else one
            same = classes.get(one[:7])
            classes[one[:7]] = one._replace(users=one.users + same.users) if same else one
    return list(classes.values())


def find_users(
    connection: RawConnection,
    in_force: Collection[InForce],
    classes: Collection[FleetClass],
    page: PageOfUsers,
) -> list[UserId]:
    """List wanted users of these classes, a page of them."""
    if not classes:
        return []
    parameters = _rollouts(in_force) | _wanted(in_force, classes)
    parameters |= filter_parameters(page.wanted) | place_parameters(page.after)
    parameters |= {"limit": page.limit, "near": LOOKED_AT}
    are_many = page.wanted == EVERYBODY and sum(one.users for one in classes) >= MANY
    rows: list[tuple[UserId]] = []
    for statements in (NEAR, ALL) if are_many else (ALL,):
        rows = connection.execute(statements[page.sort], parameters).fetchall()
        if len(rows) == page.limit:
            break
    return [user_id for (user_id,) in rows]


def sample_users(
    connection: RawConnection,
    in_force: Collection[InForce],
    classes: Collection[FleetClass],
    limit: int,
) -> dict[UserId, FleetClass]:
    """Find up to `limit` users of these classes, at least one of each that fits, by user id."""
    by_key = _by_key(in_force, classes)
    largest = sorted(classes, key=lambda one: -one.users)
    parameters = _rollouts(in_force) | filter_parameters(EVERYBODY)
    parameters |= {
        "tags": list(dict.fromkeys(one.running_tag for one in largest))[:limit],
        "candidates": CANDIDATES,
        "keys": list(by_key),
        "limit": limit,
    }
    rows = connection.execute(SAMPLE, parameters).fetchall() if by_key else []
    users = {one.user_id: one for one in largest[:limit]}
    for user_id, key in rows:
        if len(users) < limit:
            users.setdefault(user_id, by_key[key])
    return dict(sorted(users.items()))


def _wanted(
    in_force: Collection[InForce], classes: Collection[FleetClass]
) -> dict[str, object]:
    """The classes as columns. Where both buckets are wanted, nobody has to be hashed."""
    buckets: dict[str, set[tuple[bool | None, bool | None]]] = {}
    for key, one in _by_key(in_force, classes).items():
        like = key.rsplit(SEPARATOR, 2)[0]
        buckets.setdefault(like, set()).add((one.before, key.endswith("t")))
    rows = [
        (like, before, after)
        for like, found in buckets.items()
        for before, after in (ANY if found >= EITHER else found)
    ]
    likes, befores, afters = map(list, zip(*rows, strict=True))
    return {"likes": likes, "befores": befores, "afters": afters}


def _by_key(
    in_force: Collection[InForce], classes: Collection[FleetClass]
) -> dict[str, FleetClass]:
    unchanged = {one.variant for one in in_force if one.before == one.after}
    return {_key(one, one.variant in unchanged): one for one in classes}


def _key(one: FleetClass, unchanged: bool) -> str:
    """What the statement calls a class; an unchanged rollout has no second bucket there."""
    parts = (
        one.variant, one.running_tag, one.was_pinned, one.pin_tag or "", one.pin_expired,
        one.before, one.after and not unchanged,
    )  # fmt: skip
    flags = {True: "t", False: "f"}
    return SEPARATOR.join(flags[part] if isinstance(part, bool) else part for part in parts)


def _rollouts(in_force: Collection[InForce]) -> dict[str, object]:
    """The rollouts as columns. One that does not change is not hashed a second time."""
    befores = [one.before for one in in_force]
    afters = [None if one.after == one.before else one.after for one in in_force]
    return {
        "variants": [one.variant for one in in_force],
        "salts_before": [rollout and rollout.salt for rollout in befores],
        "percents_before": [rollout and rollout.percent for rollout in befores],
        "salts_after": [rollout and rollout.salt for rollout in afters],
        "percents_after": [rollout and rollout.percent for rollout in afters],
        "switched": [tag for one in in_force for tag in one.switched],
    }
