"""Statements about pins, and about who a user is in the log."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, LiteralString, cast
from uuid import UUID

from shared.catalog.connection import RawConnection, fetch
from shared.domain.model import Initiator, Pin
from shared.domain.values import ImageTag, UserId

PIN: LiteralString = """
SELECT p.user_id, p.image_tag, p.reason, p.pinned_by, p.expires_at,
       CASE WHEN p.expires_at <= now() THEN 'expired'
            WHEN v.status = 'disabled' THEN 'suspended'
            ELSE 'applied' END AS state,
       p.revision, p.created_at, p.updated_at
  FROM kiloclaw_version_pins p
  JOIN kiloclaw_available_versions v ON v.image_tag = p.image_tag
"""

PAGE: LiteralString = """
 WHERE (%(image_tag)s::text IS NULL OR p.image_tag = %(image_tag)s)
   AND (%(state)s::text IS NULL OR %(state)s =
        CASE WHEN p.expires_at <= now() THEN 'expired'
             WHEN v.status = 'disabled' THEN 'suspended'
             ELSE 'applied' END)
   AND (%(q)s::text IS NULL
        OR strpos(lower(p.user_id), lower(%(q)s)) > 0
        OR strpos(lower(p.reason), lower(%(q)s)) > 0)
   AND (%(created_at)s::timestamptz IS NULL
        OR (p.created_at, p.user_id) < (%(created_at)s::timestamptz, %(user_id)s::text))
 ORDER BY p.created_at DESC, p.user_id DESC
 LIMIT %(limit)s
"""


@dataclass(frozen=True, slots=True)
class PinFilter:
    """`q` is part of a user id or of a reason, in either case."""

    image_tag: ImageTag | None = None
    state: Literal["applied", "expired", "suspended"] | None = None
    q: str | None = None


@dataclass(frozen=True, slots=True)
class Pins:
    """The pins, inside one transaction."""

    connection: RawConnection

    def find(self, user_id: UserId) -> Pin | None:
        return self.find_all([user_id]).get(user_id)

    def lock(self, user_id: UserId) -> None:
        """Wait for whoever is moving the user's pin, and keep others from moving it."""
        self.connection.execute(
            "SELECT FROM kiloclaw_version_pins WHERE user_id = %(user)s FOR UPDATE",
            {"user": user_id},
        )

    def find_all(self, user_ids: list[UserId]) -> dict[UserId, Pin]:
        """The pins of these users, whoever has one."""
        query: LiteralString = PIN + "WHERE p.user_id = ANY(%(users)s)"
        pins = fetch(self.connection, Pin, query, {"users": user_ids})
        return {pin.user_id: pin for pin in pins}

    def page(
        self, wanted: PinFilter, after: tuple[str, UserId] | None, limit: int
    ) -> list[Pin]:
        """Up to `limit` pins behind `after`: time (as text) and user of the last one."""
        created_at, user_id = after or (None, None)
        parameters = {
            "image_tag": wanted.image_tag, "state": wanted.state, "q": wanted.q,
            "created_at": created_at, "user_id": user_id, "limit": limit,
        }  # fmt: skip
        query: LiteralString = PIN + PAGE
        return fetch(self.connection, Pin, query, parameters)

    def count(self, tag: ImageTag) -> int:
        """Return how many users are pinned to `tag` by pins that have not expired."""
        [(count,)] = self.connection.execute(
            "SELECT count(*) FROM kiloclaw_version_pins"
            " WHERE image_tag = %(tag)s AND (expires_at IS NULL OR expires_at > now())",
            {"tag": tag},
        ).fetchall()
        return int(count)

    def put(
        self,
        user_id: UserId,
        tag: ImageTag,
        by: Initiator,
        expires_at: datetime | None,
    ) -> None:
        """Create or replace; equal content changes nothing."""
        self.connection.execute(
            """
            INSERT INTO kiloclaw_version_pins AS p
                   (user_id, image_tag, reason, pinned_by, expires_at)
            VALUES (%(user)s, %(tag)s, %(reason)s, %(by)s, %(expires_at)s)
            ON CONFLICT (user_id) DO UPDATE
               SET image_tag = excluded.image_tag, reason = excluded.reason,
                   pinned_by = excluded.pinned_by, expires_at = excluded.expires_at,
                   revision = p.revision + 1, updated_at = now()
             WHERE (p.image_tag, p.reason, p.expires_at)
                   IS DISTINCT FROM (excluded.image_tag, excluded.reason, excluded.expires_at)
            """,
            {
                "user": user_id, "tag": tag, "reason": by.reason, "by": by.actor,
                "expires_at": expires_at,
            },
        )  # fmt: skip

    def remove(self, user_id: UserId) -> bool:
        removed = self.connection.execute(
            "DELETE FROM kiloclaw_version_pins WHERE user_id = %(user)s", {"user": user_id}
        )
        return removed.rowcount == 1

    def move(self, tag: ImageTag, to: ImageTag, by: Initiator) -> int:
        """Move every pin of `tag` that has not expired and log each, in one statement.

        The row of the pin is the lock here: an erasure that comes first leaves nothing to move,
        one that comes later removes what was moved.
        """
        moved = self.connection.execute(
            """
            WITH moved AS (
                UPDATE kiloclaw_version_pins
                   SET image_tag = %(to)s, revision = revision + 1, updated_at = now()
                 WHERE image_tag = %(tag)s AND (expires_at IS NULL OR expires_at > now())
             RETURNING user_id
            )
            INSERT INTO kiloclaw_audit_log
                   (actor, action, subject_kind, subject_id, before, after, reason, request_id)
            SELECT %(by)s, 'pin.set', 'user', a.alias::text,
                   jsonb_build_object('image_tag', %(tag)s::text),
                   jsonb_build_object('image_tag', %(to)s::text), %(reason)s, %(request_id)s
              FROM moved
              JOIN kiloclaw_user_aliases a ON a.user_id = moved.user_id
            """,
            {
                "tag": tag, "to": to, "by": by.actor, "reason": by.reason,
                "request_id": by.request_id,
            },
        )  # fmt: skip
        return moved.rowcount


@dataclass(frozen=True, slots=True)
class Users:
    """Aliases: the only name by which the log knows a user."""

    connection: RawConnection

    def lock(self, user_id: UserId) -> UUID:
        """Lock the user's alias, made if missing. Every write about a user does this first."""
        [(alias,)] = self.connection.execute(
            "INSERT INTO kiloclaw_user_aliases (user_id) VALUES (%(user)s)"
            " ON CONFLICT (user_id) DO UPDATE SET user_id = excluded.user_id"
            " RETURNING alias",
            {"user": user_id},
        ).fetchall()
        return cast("UUID", alias)

    def lock_known(self, user_id: UserId) -> UUID | None:
        """Lock the user's alias if there is one; without one there is no pin either."""
        row = self.connection.execute(
            "SELECT alias FROM kiloclaw_user_aliases WHERE user_id = %(user)s FOR UPDATE",
            {"user": user_id},
        ).fetchone()
        return row[0] if row else None

    def forget(self, user_id: UserId) -> None:
        """From now on nobody can say who the alias was."""
        self.connection.execute(
            "DELETE FROM kiloclaw_user_aliases WHERE user_id = %(user)s", {"user": user_id}
        )
