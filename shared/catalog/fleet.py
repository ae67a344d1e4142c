"""Statements about the fleet's copy: what each instance was last told to run."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, LiteralString, NamedTuple

from shared.catalog.connection import RawConnection, fetch
from shared.domain.fleet import Removal
from shared.domain.impact import FleetClass
from shared.domain.model import Instance, Source
from shared.domain.pointer import Rollout
from shared.domain.values import ImageTag, UserId, Variant

INSTANCE: LiteralString = """
SELECT user_id, image_tag, image_digest, openclaw_version, variant, source, is_pinned,
       to_char(resolved_at, 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS resolved_at,
       to_char(decided_at, 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS decided_at
  FROM kiloclaw_instances
"""

FILTER: LiteralString = """
 WHERE (%(image_tag)s::text IS NULL OR image_tag = %(image_tag)s)
   AND (%(variant)s::text IS NULL OR variant = %(variant)s)
   AND (%(source)s::text IS NULL OR source = %(source)s)
   AND (%(q)s::text IS NULL OR strpos(lower(user_id), lower(%(q)s)) > 0)
"""

InstanceSort = Literal["user_id", "resolved_at"]

PAGES: dict[InstanceSort, LiteralString] = {
    "user_id": INSTANCE
    + FILTER
    + """
   AND (%(user_id)s::text IS NULL OR user_id > %(user_id)s)
 ORDER BY user_id
 LIMIT %(limit)s
""",
    "resolved_at": INSTANCE
    + FILTER
    + """
   AND (%(key)s::timestamptz IS NULL OR (resolved_at, user_id) < (%(key)s, %(user_id)s::text))
 ORDER BY resolved_at DESC, user_id DESC
 LIMIT %(limit)s
""",
}


@dataclass(frozen=True, slots=True)
class InstanceFilter:
    """`q` is part of a user id, in either case."""

    image_tag: ImageTag | None = None
    variant: Variant | None = None
    source: Source | None = None
    q: str | None = None


@dataclass(frozen=True, slots=True)
class Share:
    """How many instances run a tag, and how many users are pinned to it."""

    image_tag: ImageTag
    instances: int
    pins: int


class InForce(NamedTuple):
    """The rollouts in force for a variant before and after a change; None for none."""

    variant: Variant
    before: Rollout | None
    after: Rollout | None


CLASSES: LiteralString = """
WITH in_force AS (
    SELECT * FROM unnest(%(variants)s::text[], %(salts_before)s::text[],
                         %(percents_before)s::integer[], %(salts_after)s::text[],
                         %(percents_after)s::integer[])
        AS f (variant, salt_before, percent_before, salt_after, percent_after)
), fleet AS (
    SELECT i.user_id, i.image_tag AS running_tag, i.is_pinned, p.image_tag AS pin_tag,
           p.expires_at <= now() AS pin_expired,
           CASE WHEN p.expires_at <= now() OR v.variant IS NULL THEN i.variant
                ELSE v.variant END AS variant
      FROM kiloclaw_instances i
      LEFT JOIN kiloclaw_version_pins p ON p.user_id = i.user_id
      LEFT JOIN kiloclaw_available_versions v ON v.image_tag = p.image_tag
), classified AS (
    SELECT fleet.user_id, fleet.variant, running_tag, is_pinned, pin_tag,
           coalesce(pin_expired, false) AS pin_expired,
           coalesce(kiloclaw_bucket(salt_before, user_id) < percent_before * 100, false)
               AS before,
           coalesce(kiloclaw_bucket(salt_after, user_id) < percent_after * 100, false) AS after
      FROM fleet JOIN in_force USING (variant)
)
"""


GROUPS: LiteralString = (
    CLASSES
    + """
SELECT variant, running_tag, is_pinned, pin_tag, pin_expired, before, after,
       min(user_id), count(*)
  FROM classified
 GROUP BY 1, 2, 3, 4, 5, 6, 7
"""
)

USERS: LiteralString = (
    CLASSES  # noqa: S608  constants alone
    + """
, wanted AS (
    SELECT * FROM unnest(%(c0)s::text[], %(c1)s::text[], %(c2)s::boolean[], %(c3)s::text[],
                         %(c4)s::boolean[], %(c5)s::boolean[], %(c6)s::boolean[])
        AS w (variant, running_tag, is_pinned, pin_tag, pin_expired, before, after)
)
SELECT c.user_id, c.variant, c.running_tag, c.is_pinned, c.pin_tag, c.pin_expired, c.before,
       c.after
  FROM classified c
  JOIN wanted w
    ON (w.variant, w.running_tag, w.is_pinned, w.pin_expired, w.before, w.after)
       = (c.variant, c.running_tag, c.is_pinned, c.pin_expired, c.before, c.after)
   AND w.pin_tag IS NOT DISTINCT FROM c.pin_tag
 WHERE %(user_id)s::text IS NULL OR c.user_id > %(user_id)s
 ORDER BY c.user_id
 LIMIT %(limit)s
"""
)


@dataclass(frozen=True, slots=True)
class Fleet:
    """The fleet's copy, inside one transaction."""

    connection: RawConnection

    def lock(self, user_ids: list[UserId]) -> None:
        """Lock the users' rows in order, so that overlapping batches wait for one another."""
        self.connection.execute(
            "SELECT FROM kiloclaw_instances WHERE user_id = ANY(%(users)s)"
            " ORDER BY user_id FOR UPDATE",
            {"users": user_ids},
        )

    def upsert(self, instances: Iterable[Instance]) -> int:
        """Write rows, unless there is an equal one or one decided later; return how many."""
        rows = list(instances)
        written = self.connection.execute(
            """
            INSERT INTO kiloclaw_instances AS i
                   (user_id, image_tag, image_digest, openclaw_version, variant, source,
                    is_pinned, resolved_at, decided_at)
            SELECT * FROM unnest(
                       %(users)s::text[], %(tags)s::text[], %(digests)s::text[],
                       %(versions)s::text[], %(variants)s::text[], %(sources)s::text[],
                       %(pinned)s::boolean[], %(resolved)s::timestamptz[],
                       %(decided)s::timestamptz[])
            ON CONFLICT (user_id) DO UPDATE
               SET image_tag = excluded.image_tag, image_digest = excluded.image_digest,
                   openclaw_version = excluded.openclaw_version, variant = excluded.variant,
                   source = excluded.source, is_pinned = excluded.is_pinned,
                   resolved_at = excluded.resolved_at, decided_at = excluded.decided_at
             WHERE i.decided_at <= excluded.decided_at
               AND (i.image_tag, i.image_digest, i.openclaw_version, i.variant, i.source,
                    i.is_pinned, i.resolved_at, i.decided_at)
                   IS DISTINCT FROM
                   (excluded.image_tag, excluded.image_digest, excluded.openclaw_version,
                    excluded.variant, excluded.source, excluded.is_pinned,
                    excluded.resolved_at, excluded.decided_at)
            """,
            {
                "users": [row.user_id for row in rows],
                "tags": [row.image_tag for row in rows],
                "digests": [row.image_digest for row in rows],
                "versions": [row.openclaw_version for row in rows],
                "variants": [row.variant for row in rows],
                "sources": [row.source for row in rows],
                "pinned": [row.is_pinned for row in rows],
                "resolved": [row.resolved_at for row in rows],
                "decided": [row.decided_at for row in rows],
            },
        )
        return written.rowcount

    def remove(self, removals: Iterable[Removal]) -> int:
        """Delete rows, unless they were decided later; return how many."""
        rows = list(removals)
        removed = self.connection.execute(
            """
            DELETE FROM kiloclaw_instances i
             USING unnest(%(users)s::text[], %(decided)s::timestamptz[]) AS gone (user_id, at)
             WHERE i.user_id = gone.user_id AND i.decided_at <= gone.at
            """,
            {
                "users": [row.user_id for row in rows],
                "decided": [row.decided_at for row in rows],
            },
        )
        return removed.rowcount

    def decided(self, user_ids: list[UserId]) -> dict[UserId, datetime]:
        """When the rows of these users were decided."""
        rows = self.connection.execute(
            "SELECT user_id, decided_at FROM kiloclaw_instances WHERE user_id = ANY(%(users)s)",
            {"users": user_ids},
        ).fetchall()
        return dict(rows)

    def users(self, after: UserId, limit: int) -> list[UserId]:
        """Return up to `limit` users behind `after`, in order."""
        rows = self.connection.execute(
            "SELECT user_id FROM kiloclaw_instances WHERE user_id > %(after)s"
            " ORDER BY user_id LIMIT %(limit)s",
            {"after": after, "limit": limit},
        ).fetchall()
        return [user_id for (user_id,) in rows]

    def forget(self, user_id: UserId) -> None:
        """Delete the row of a user who is being erased."""
        self.connection.execute(
            "DELETE FROM kiloclaw_instances WHERE user_id = %(user)s", {"user": user_id}
        )

    def has(self, user_id: UserId) -> bool:
        """Whether the user has an instance."""
        row = self.connection.execute(
            "SELECT FROM kiloclaw_instances WHERE user_id = %(user)s", {"user": user_id}
        ).fetchone()
        return row is not None

    def page(
        self,
        wanted: InstanceFilter,
        sort: InstanceSort,
        after: tuple[str | None, UserId] | None,
        limit: int,
    ) -> list[Instance]:
        """Up to `limit` instances behind `after`: the sort key (as text) and user of the last.

        By user id, or the latest start first.
        """
        key, user_id = after or (None, None)
        parameters = {
            "image_tag": wanted.image_tag, "variant": wanted.variant, "source": wanted.source,
            "q": wanted.q, "key": key, "user_id": user_id, "limit": limit,
        }  # fmt: skip
        return fetch(self.connection, Instance, PAGES[sort], parameters)

    def count(self, tag: ImageTag) -> int:
        [(count,)] = self.connection.execute(
            "SELECT count(*) FROM kiloclaw_instances WHERE image_tag = %(tag)s", {"tag": tag}
        ).fetchall()
        return int(count)

    def as_of(self) -> datetime | None:
        """When the newest record in the copy was written; None while the copy is empty."""
        [(moment,)] = self.connection.execute(
            "SELECT max(resolved_at) FROM kiloclaw_instances"
        ).fetchall()
        return moment  # type: ignore[no-any-return]

    def distribution(self, variant: Variant | None) -> list[Share]:
        """Instances and pins by tag, the most instances first."""
        return fetch(
            self.connection,
            Share,
            """
            WITH running AS (
                SELECT image_tag, count(*) AS instances
                  FROM kiloclaw_instances
                 WHERE %(variant)s::text IS NULL OR variant = %(variant)s
                 GROUP BY image_tag
            ), pinned AS (
                SELECT p.image_tag, count(*) AS pins
                  FROM kiloclaw_version_pins p
                  JOIN kiloclaw_available_versions v ON v.image_tag = p.image_tag
                 WHERE %(variant)s::text IS NULL OR v.variant = %(variant)s
                 GROUP BY p.image_tag
            )
            SELECT image_tag, coalesce(instances, 0) AS instances, coalesce(pins, 0) AS pins
              FROM running FULL JOIN pinned USING (image_tag)
             ORDER BY instances DESC, pins DESC, image_tag
            """,
            {"variant": variant},
        )

    def classes(self, in_force: Iterable[InForce]) -> list[FleetClass]:
        """Group the instances that are decided for these variants into classes."""
        rows = self.connection.execute(GROUPS, _rollouts(in_force)).fetchall()
        return [FleetClass(*row) for row in rows]

    def users_of(
        self,
        in_force: Iterable[InForce],
        classes: Iterable[FleetClass],
        after: UserId | None,
        limit: int,
    ) -> list[tuple[UserId, FleetClass]]:
        """Return up to `limit` users of these classes behind `after`, by user id."""
        wanted = {one[:7]: one for one in classes}
        keys = list(zip(*wanted, strict=True)) or [[]] * 7
        columns = {f"c{index}": list(column) for index, column in enumerate(keys)}
        parameters = _rollouts(in_force) | columns | {"user_id": after, "limit": limit}
        rows = self.connection.execute(USERS, parameters).fetchall()
        return [(user_id, wanted[tuple(key)]) for user_id, *key in rows]


def _rollouts(in_force: Iterable[InForce]) -> dict[str, object]:
    rows = list(in_force)
    return {
        "variants": [row.variant for row in rows],
        "salts_before": [row.before and row.before.salt for row in rows],
        "percents_before": [row.before and row.before.percent for row in rows],
        "salts_after": [row.after and row.after.salt for row in rows],
        "percents_after": [row.after and row.after.percent for row in rows],
    }
