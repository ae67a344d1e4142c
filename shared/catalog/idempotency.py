"""Statements about calls that carry an idempotency key."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

from shared.catalog.connection import RawConnection, fetch
from shared.domain.values import ImageTag, UserId

KEPT_HOURS = 24
PRUNED_AT_ONCE = 1000


@dataclass(frozen=True, slots=True)
class RunningCall:
    """A call that has just begun; `target` is that of an attempt of it which died."""

    call_hash: str
    id: UUID
    target: ImageTag | None


@dataclass(frozen=True, slots=True)
class KnownCall:
    """A call that an earlier request began; it has an `answer` once it is done."""

    content_hash: str
    state: Literal["running", "done"]
    answer: str | None
    running_until: datetime
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class IdempotencyKeys:
    """The calls, inside one transaction."""

    connection: RawConnection

    def begin(self, call_hash: str, content_hash: str, seconds: float) -> RunningCall | None:
        """Begin a call that may run for so many seconds; None if it is known already.

        An attempt whose time is over has died. A call with the same content takes its record
        over, and with it the id, by which it finds what that attempt has done.
        """
        rows = fetch(
            self.connection,
            RunningCall,
            """
            INSERT INTO kiloclaw_idempotency_keys AS k
                   (call_hash, content_hash, state, running_until, expires_at)
            VALUES (%(call)s, %(content)s, 'running',
                    now() + make_interval(secs => %(seconds)s),
                    now() + make_interval(hours => %(hours)s))
                ON CONFLICT (call_hash) DO UPDATE
               SET id = CASE WHEN k.expires_at <= now() THEN excluded.id ELSE k.id END,
                   target = CASE WHEN k.expires_at <= now() THEN NULL ELSE k.target END,
                   content_hash = excluded.content_hash, state = 'running', answer = NULL,
                   user_ids = '{}', running_until = excluded.running_until,
                   expires_at = excluded.expires_at
             WHERE k.expires_at <= now()
                OR (k.state = 'running' AND k.running_until <= now()
                    AND k.content_hash = excluded.content_hash)
            RETURNING k.call_hash, k.id, k.target
            """,
            {
                "call": call_hash, "content": content_hash, "seconds": seconds,
                "hours": KEPT_HOURS,
            },
        )  # fmt: skip
        return rows[0] if rows else None

    def find(self, call_hash: str) -> KnownCall | None:
        rows = fetch(
            self.connection,
            KnownCall,
            "SELECT content_hash, state, answer, running_until, expires_at"
            "  FROM kiloclaw_idempotency_keys WHERE call_hash = %(call)s",
            {"call": call_hash},
        )
        return rows[0] if rows else None

    def end(self, call: RunningCall, answer: str) -> None:
        """Keep the answer, unless the record was deleted or taken over and ended by another."""
        self.connection.execute(
            "UPDATE kiloclaw_idempotency_keys SET state = 'done', answer = %(answer)s"
            " WHERE call_hash = %(call)s AND id = %(id)s AND state = 'running'",
            {"call": call.call_hash, "id": call.id, "answer": answer},
        )

    def let_go(self, call: RunningCall) -> None:
        """Let a repeat take the call over at once: nobody knows what it has done."""
        self.connection.execute(
            "UPDATE kiloclaw_idempotency_keys SET running_until = now()"
            " WHERE call_hash = %(call)s AND id = %(id)s AND state = 'running'",
            {"call": call.call_hash, "id": call.id},
        )

    def delete(self, call: RunningCall) -> None:
        """Forget a call that was refused."""
        self.connection.execute(
            "DELETE FROM kiloclaw_idempotency_keys"
            " WHERE call_hash = %(call)s AND id = %(id)s AND state = 'running'",
            {"call": call.call_hash, "id": call.id},
        )

    def keep_target(self, call: RunningCall, target: ImageTag) -> None:
        self.connection.execute(
            "UPDATE kiloclaw_idempotency_keys SET target = %(target)s"
            " WHERE call_hash = %(call)s AND id = %(id)s",
            {"call": call.call_hash, "id": call.id, "target": target},
        )

    def name_users(self, call: RunningCall, user_ids: list[UserId]) -> None:
        """Say whom the answer will name, before there is one: an erasure may come first."""
        self.connection.execute(
            "UPDATE kiloclaw_idempotency_keys SET user_ids = %(users)s"
            " WHERE call_hash = %(call)s AND id = %(id)s",
            {"call": call.call_hash, "id": call.id, "users": user_ids},
        )

    def forget(self, user_id: UserId) -> None:
        """Delete every answer that names a person, also one that is still to be kept."""
        self.connection.execute(
            "DELETE FROM kiloclaw_idempotency_keys WHERE user_ids @> ARRAY[%(user)s::text]",
            {"user": user_id},
        )

    def prune(self) -> int:
        """Delete a thousand expired keys at most; return how many."""
        pruned = self.connection.execute(
            """
            DELETE FROM kiloclaw_idempotency_keys
             WHERE call_hash IN (SELECT call_hash FROM kiloclaw_idempotency_keys
                                  WHERE expires_at <= now()
                                  ORDER BY expires_at LIMIT %(most)s)
               AND expires_at <= now()
            """,
            {"most": PRUNED_AT_ONCE},
        )
        return pruned.rowcount
