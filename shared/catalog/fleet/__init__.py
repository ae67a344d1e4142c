"""Statements about the fleet's copy: what each instance was last told to run."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import LiteralString

from shared.catalog.connection import RawConnection, fetch
from shared.catalog.fleet.classes import (
    InForce,
    PageOfUsers,
    find_users,
    group_users,
    sample_users,
)
from shared.catalog.fleet.pages import (
    COLUMNS,
    EVERYBODY,
    GROUPS,
    InstanceFilter,
    InstanceSort,
    Place,
    filter_parameters,
    page_query,
    place_parameters,
)
from shared.domain.fleet import Removal
from shared.domain.impact import FleetClass
from shared.domain.model import Instance
from shared.domain.values import ImageTag, UserId, Variant

__all__ = [
    "EVERYBODY", "Fleet", "InForce", "InstanceFilter", "InstanceSort", "Place", "Share",
]  # fmt: skip

VARIANTS: LiteralString = f"""
{GROUPS}
SELECT variant FROM groups UNION SELECT variant FROM kiloclaw_available_versions
"""  # noqa: S608  constants alone


@dataclass(frozen=True, slots=True)
class Share:
    """How many instances run a tag, and how many users are pinned to it by pins that hold."""

    image_tag: ImageTag
    instances: int
    pins: int


@dataclass(frozen=True, slots=True)
class Fleet:
    """The fleet's copy, inside one transaction."""

    connection: RawConnection

    def take_turn(self) -> None:
        """Wait for other batches to commit. Two that overlap could deadlock on new rows."""
        self.connection.execute("SELECT pg_advisory_xact_lock(hashtext('kiloclaw_fleet'))")

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

    def find_all(self, user_ids: list[UserId]) -> dict[UserId, Instance]:
        query: LiteralString = (
            COLUMNS + "FROM kiloclaw_instances i WHERE i.user_id = ANY(%(users)s)"
        )
        rows = fetch(self.connection, Instance, query, {"users": user_ids})
        return {row.user_id: row for row in rows}

    def page(
        self, wanted: InstanceFilter, sort: InstanceSort, after: Place | None, limit: int
    ) -> list[Instance]:
        """List up to `limit` instances behind `after`, by user id or the latest start first."""
        query = page_query(wanted, sort)
        parameters = filter_parameters(wanted) | place_parameters(after) | {"limit": limit}
        return fetch(self.connection, Instance, query, parameters)

    def variants(self) -> list[Variant]:
        """List the variants of all instances and of all versions."""
        rows = self.connection.execute(VARIANTS, filter_parameters(EVERYBODY)).fetchall()
        return [variant for (variant,) in rows]

    def variants_of(self, tags: Collection[ImageTag]) -> dict[ImageTag, Variant]:
        """Find the variant of these tags by the instances that run them."""
        rows = self.connection.execute(
            """
            SELECT tag, i.variant
              FROM unnest(%(tags)s::text[]) AS tag
             CROSS JOIN LATERAL (
                   SELECT variant FROM kiloclaw_instances WHERE image_tag = tag
                    ORDER BY variant LIMIT 1) AS i
            """,
            {"tags": list(tags)},
        ).fetchall()
        return dict(rows)

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
                 WHERE (p.expires_at IS NULL OR p.expires_at > now())
                   AND (%(variant)s::text IS NULL OR v.variant = %(variant)s)
                 GROUP BY p.image_tag
            )
            SELECT image_tag, coalesce(instances, 0) AS instances, coalesce(pins, 0) AS pins
              FROM running FULL JOIN pinned USING (image_tag)
             ORDER BY instances DESC, pins DESC, image_tag
            """,
            {"variant": variant},
        )

    def shares(self, tags: Collection[ImageTag]) -> dict[ImageTag, Share]:
        """Instances and pins of these tags alone, in one statement that reads indexes only."""
        shares = fetch(
            self.connection,
            Share,
            """
            WITH running AS (
                SELECT image_tag, count(*) AS instances
                  FROM kiloclaw_instances
                 WHERE image_tag = ANY(%(tags)s)
                 GROUP BY image_tag
            ), pinned AS (
                SELECT image_tag, count(*) AS pins
                  FROM kiloclaw_version_pins
                 WHERE image_tag = ANY(%(tags)s) AND (expires_at IS NULL OR expires_at > now())
                 GROUP BY image_tag
            )
            SELECT tag AS image_tag, coalesce(instances, 0) AS instances,
                   coalesce(pins, 0) AS pins
              FROM unnest(%(tags)s::text[]) AS tag
              LEFT JOIN running r ON r.image_tag = tag
              LEFT JOIN pinned p ON p.image_tag = tag
            """,
            {"tags": list(tags)},
        )
        return {share.image_tag: share for share in shares}

    def classes(
        self,
        in_force: Collection[InForce],
        wanted: InstanceFilter = EVERYBODY,
        *,
        by_bucket: bool = True,
    ) -> list[FleetClass]:
        """Group the wanted instances that are decided for these variants into classes.

        Without `by_bucket` a class has the users of both buckets.
        """
        return group_users(self.connection, in_force, wanted, by_bucket=by_bucket)

    def sample(
        self, in_force: Collection[InForce], classes: Collection[FleetClass], limit: int
    ) -> dict[UserId, FleetClass]:
        """Find up to `limit` users of these classes, by user id."""
        return sample_users(self.connection, in_force, classes, limit)

    def users_of(
        self,
        in_force: Collection[InForce],
        classes: Collection[FleetClass],
        after: Place | None,
        limit: int,
        *,
        wanted: InstanceFilter = EVERYBODY,
        sort: InstanceSort = "user_id",
    ) -> list[UserId]:
        """List up to `limit` wanted users of these classes behind `after`, as `page` does."""
        page = PageOfUsers(after, limit, wanted, sort)
        return find_users(self.connection, in_force, classes, page)
