"""Statements about the audit log: who changed what, when and why."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from psycopg.types.json import Jsonb

from shared.catalog.connection import RawConnection, fetch
from shared.domain.model import Initiator
from shared.domain.values import Actor

SubjectKind = Literal["version", "variant", "user", "sync"]
Action = Literal[
    "version.published",
    "version.updated",
    "version.status_changed",
    "version.notes_changed",
    "version.retired",
    "version.digest_released",
    "latest.promoted",
    "latest.rolled_back",
    "latest.adopted",
    "latest.reverted",
    "rollout.set",
    "rollout.resumed",
    "rollout.aborted",
    "rollout.adopted",
    "rollout.ended",
    "rollout.reverted",
    "pin.set",
    "pin.removed",
    "user.erased",
    "sync.finished",
]
Content = Mapping[str, object] | None
NO_ID = 2**63 - 1
"""Every event's id is lower."""


@dataclass(frozen=True, slots=True)
class Event:
    """An entry of the log. A user is named by id while the alias exists, else by the alias.

    `is_erased`: the alias exists no more.
    """

    id: int
    at: datetime
    actor: Actor
    action: Action
    subject_kind: SubjectKind
    subject_id: str
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    reason: str | None
    request_id: str | None
    is_erased: bool

    @property
    def subject(self) -> dict[str, str]:
        """What the event is about, as answers show it: `{"kind", "id"}`."""
        return {"kind": self.subject_kind, "id": self.subject_id}


@dataclass(frozen=True, slots=True)
class EventFilter:
    """`subject` is a tag, a variant or a user id; `kind` says that it is only one of these.

    `since` is included, `until` is not.
    """

    actor: Actor | None = None
    action: str | None = None
    subject: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    kind: SubjectKind | None = None


@dataclass(frozen=True, slots=True)
class Audit:
    """The log, inside the transaction of the change that is logged."""

    connection: RawConnection

    def record(
        self,
        by: Initiator,
        action: Action,
        kind: SubjectKind,
        subject: str | UUID,
        *,
        before: Content = None,
        after: Content = None,
    ) -> None:
        """Add an event.

        Name a user by alias only, in `before` and `after` as well. An event that says one
        revision of a pointer is refused is kept once; repeating it adds nothing.
        """
        self.connection.execute(
            """
            INSERT INTO kiloclaw_audit_log
                   (actor, action, subject_kind, subject_id, before, after, reason, request_id)
            VALUES (%(actor)s, %(action)s, %(kind)s, %(subject)s, %(before)s, %(after)s,
                    %(reason)s, %(request_id)s)
            ON CONFLICT DO NOTHING
            """,
            {
                "actor": by.actor, "action": action, "kind": kind, "subject": str(subject),
                "before": Jsonb(before) if before is not None else None,
                "after": Jsonb(after) if after is not None else None,
                "reason": by.reason, "request_id": by.request_id,
            },
        )  # fmt: skip

    def page(self, wanted: EventFilter, after: int | None, limit: int) -> list[Event]:
        """List up to `limit` events older than the one with id `after`, newest first.

        A time is turned into bounds of ids, so that every index serves it. `at` is when the
        transaction began, and the id is drawn later, but within the quarter of an hour that a
        function can run at most.
        """
        return fetch(
            self.connection,
            Event,
            """
            SELECT l.id, l.at, l.actor, l.action, l.subject_kind,
                   coalesce(a.user_id, l.subject_id) AS subject_id,
                   l.before, l.after, l.reason, l.request_id,
                   l.subject_kind = 'user' AND a.alias IS NULL AS is_erased
              FROM kiloclaw_audit_log l
              LEFT JOIN kiloclaw_user_aliases a
                ON a.alias = CASE WHEN l.subject_kind = 'user' THEN l.subject_id::uuid END
             WHERE (%(actor)s::text IS NULL OR l.actor = %(actor)s)
               AND (%(action)s::text IS NULL OR l.action = %(action)s)
               AND (%(subject)s::text IS NULL
                    OR l.subject_id = ANY(ARRAY[%(subject)s, (
                        SELECT alias::text FROM kiloclaw_user_aliases
                         WHERE user_id = %(subject)s)]))
               AND (%(kind)s::text IS NULL OR l.subject_kind = %(kind)s)
               AND (%(since)s::timestamptz IS NULL OR l.at >= %(since)s AND l.id > coalesce((
                    SELECT id FROM kiloclaw_audit_log
                     WHERE at <= %(since)s::timestamptz - interval '15 minutes'
                     ORDER BY at DESC, id DESC LIMIT 1), 0))
               AND (%(until)s::timestamptz IS NULL OR l.at < %(until)s AND l.id < coalesce((
                    SELECT id FROM kiloclaw_audit_log
                     WHERE at >= %(until)s::timestamptz + interval '15 minutes'
                     ORDER BY at, id LIMIT 1), %(no_id)s::bigint))
               AND (%(after)s::bigint IS NULL OR l.id < %(after)s)
             ORDER BY l.id DESC
             LIMIT %(limit)s
            """,
            {
                "actor": wanted.actor, "action": wanted.action, "subject": wanted.subject,
                "kind": wanted.kind, "since": wanted.since, "until": wanted.until,
                "no_id": NO_ID, "after": after, "limit": limit,
            },
        )  # fmt: skip
