"""Statements about pins, and about the aliases by which the log names users."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import LiteralString, cast
from uuid import UUID

from psycopg.types.json import Jsonb

from shared.catalog.connection import RawConnection, fetch
from shared.catalog.pin_pages import PIN, PinFilter
from shared.domain.model import Initiator, Pin, PinContent
from shared.domain.values import ImageTag, UserId


@dataclass(frozen=True, slots=True)
class PinChange:
    """A pin before and after, of the user whom `alias` stands for; None is no pin."""

    user_id: UserId
    alias: UUID
    before: PinContent | None
    after: PinContent | None
    reason: str | None


@dataclass(frozen=True, slots=True)
class Pins:
    """The pins, inside one transaction."""

    connection: RawConnection

    def find(self, user_id: UserId) -> Pin | None:
        return self.find_all([user_id]).get(user_id)

    def lock(self, user_id: UserId) -> None:
        """Lock the user's pin, if there is one, so that nobody moves it."""
        self.connection.execute(
            "SELECT FROM kiloclaw_version_pins WHERE user_id = %(user)s FOR UPDATE",
            {"user": user_id},
        )

    def lock_all(self, user_ids: Collection[UserId]) -> dict[UserId, PinContent]:
        """Lock the pins of these users in the order of their ids; return what each says."""
        rows = self.connection.execute(
            "SELECT user_id, image_tag, reason, expires_at FROM kiloclaw_version_pins"
            " WHERE user_id = ANY(%(users)s) ORDER BY user_id FOR UPDATE",
            {"users": list(user_ids)},
        ).fetchall()
        return {user_id: PinContent(*content) for user_id, *content in rows}

    def find_all(self, user_ids: list[UserId]) -> dict[UserId, Pin]:
        """Find the pins of these users."""
        query: LiteralString = PIN + "WHERE p.user_id = ANY(%(users)s)"
        pins = fetch(self.connection, Pin, query, {"users": user_ids})
        return {pin.user_id: pin for pin in pins}

    def page(
        self, wanted: PinFilter, after: tuple[str, UserId] | None, limit: int
    ) -> list[Pin]:
        """List up to `limit` pins after `after`: time (as text) and user of the last one."""
        created_at, user_id = after or (None, None)
        parameters = {
            "image_tag": wanted.image_tag, "state": wanted.state, "q": wanted.q,
            "ending": wanted.ending, "created_at": created_at, "user_id": user_id,
            "limit": limit,
        }  # fmt: skip
        pins: list[Pin] = []
        for query in wanted.statements:
            pins = fetch(self.connection, Pin, query, parameters)
            if len(pins) == limit:
                break
        return pins

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
        """Create or replace a pin. Equal content changes nothing."""
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

    def write_all(self, changes: Collection[PinChange], by: Initiator) -> None:
        """Make these changes of locked pins and log each, in one statement."""
        afters = [change.after for change in changes]
        self.connection.execute(
            """
            WITH changes AS (
                SELECT * FROM unnest(
                           %(users)s::text[], %(aliases)s::text[], %(tags)s::text[],
                           %(pin_reasons)s::text[], %(expiries)s::timestamptz[],
                           %(befores)s::jsonb[], %(afters)s::jsonb[], %(reasons)s::text[])
                  WITH ORDINALITY
                    AS c (user_id, alias, image_tag, pin_reason, expires_at, before, after,
                          reason, place)
            ), pinned AS (
                INSERT INTO kiloclaw_version_pins AS p
                       (user_id, image_tag, reason, pinned_by, expires_at)
                SELECT user_id, image_tag, pin_reason, %(by)s, expires_at
                  FROM changes WHERE image_tag IS NOT NULL
                    ON CONFLICT (user_id) DO UPDATE
                   SET image_tag = excluded.image_tag, reason = excluded.reason,
                       pinned_by = excluded.pinned_by, expires_at = excluded.expires_at,
                       revision = p.revision + 1, updated_at = now()
            ), unpinned AS (
                DELETE FROM kiloclaw_version_pins p
                 USING changes c WHERE c.image_tag IS NULL AND p.user_id = c.user_id
            )
            INSERT INTO kiloclaw_audit_log
                   (actor, action, subject_kind, subject_id, before, after, reason, request_id)
            SELECT %(by)s, CASE WHEN image_tag IS NULL THEN 'pin.removed' ELSE 'pin.set' END,
                   'user', alias, before, after, reason, %(request_id)s
              FROM changes ORDER BY place
            """,
            {
                "users": [change.user_id for change in changes],
                "aliases": [str(change.alias) for change in changes],
                "tags": [after and after.image_tag for after in afters],
                "pin_reasons": [after and after.reason for after in afters],
                "expiries": [after and after.expires_at for after in afters],
                "befores": [_logged(change.before) for change in changes],
                "afters": [_logged(after) for after in afters],
                "reasons": [change.reason for change in changes],
                "by": by.actor, "request_id": by.request_id,
            },
        )  # fmt: skip

    def move(self, tag: ImageTag, to: ImageTag, by: Initiator) -> int:
        """Move every pin of `tag` that has not expired and log each.

        The pin's row is the lock here. An erasure that comes first leaves nothing to move; one
        that comes later deletes what was moved. All are locked first, in the order of their
        users, so that it does not deadlock with a change of many pins.
        """
        self.connection.execute(
            """
            SELECT count(*)
              FROM (SELECT FROM kiloclaw_version_pins
                     WHERE image_tag = %(tag)s AND (expires_at IS NULL OR expires_at > now())
                     ORDER BY user_id FOR UPDATE) AS locked
            """,
            {"tag": tag},
        )
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
            SELECT %(by)s, 'pin.set', 'user', a.alias, %(before)s, %(after)s, %(reason)s,
                   %(request_id)s
              FROM moved
              JOIN kiloclaw_user_aliases a ON a.user_id = moved.user_id
             ORDER BY a.alias
            """,
            {
                "tag": tag, "to": to, "before": Jsonb({"image_tag": tag}),
                "after": Jsonb({"image_tag": to}), "by": by.actor, "reason": by.reason,
                "request_id": by.request_id,
            },
        )  # fmt: skip
        return moved.rowcount


@dataclass(frozen=True, slots=True)
class Users:
    """Aliases: the log names users by these alone."""

    connection: RawConnection

    def lock(self, user_id: UserId) -> UUID:
        """Lock the user's alias, created if missing. Every write about a user starts here."""
        [(alias,)] = self.connection.execute(
            "INSERT INTO kiloclaw_user_aliases (user_id) VALUES (%(user)s)"
            " ON CONFLICT (user_id) DO UPDATE SET user_id = excluded.user_id"
            " RETURNING alias",
            {"user": user_id},
        ).fetchall()
        return cast("UUID", alias)

    def lock_known(self, user_id: UserId) -> UUID | None:
        """Lock the user's alias if there is one. A user without one has no pin."""
        row = self.connection.execute(
            "SELECT alias FROM kiloclaw_user_aliases WHERE user_id = %(user)s FOR UPDATE",
            {"user": user_id},
        ).fetchone()
        return row[0] if row else None

    def lock_all(self, pinning: Mapping[UserId, bool]) -> dict[UserId, UUID]:
        """Lock the aliases of these users in the order of their ids.

        The value says whether a missing alias is created. A user without one has no pin. One
        who is being erased meanwhile gets a new alias by the insert, which is deleted again.
        """
        rows = self.connection.execute(
            """
            INSERT INTO kiloclaw_user_aliases AS known (user_id)
            SELECT u.user_id
              FROM unnest(%(users)s::text[], %(pinning)s::boolean[]) AS u (user_id, pinning)
             WHERE u.pinning
                OR EXISTS (SELECT FROM kiloclaw_user_aliases a WHERE a.user_id = u.user_id)
             ORDER BY u.user_id COLLATE "C"
                ON CONFLICT (user_id) DO UPDATE SET user_id = excluded.user_id
            RETURNING known.user_id, known.alias, known.xmax = 0 AS is_new
            """,
            {"users": list(pinning), "pinning": list(pinning.values())},
        ).fetchall()
        erased = [user_id for user_id, _, is_new in rows if is_new and not pinning[user_id]]
        if erased:
            self._forget_all(erased)
        return {user_id: alias for user_id, alias, _ in rows if user_id not in erased}

    def forget(self, user_id: UserId) -> None:
        """Delete the alias. From then on nobody can tell whom it stood for."""
        self._forget_all([user_id])

    def _forget_all(self, user_ids: list[UserId]) -> None:
        self.connection.execute(
            "DELETE FROM kiloclaw_user_aliases WHERE user_id = ANY(%(users)s)",
            {"users": user_ids},
        )


def _logged(content: PinContent | None) -> Jsonb | None:
    return Jsonb(content.as_json()) if content else None
