"""Statements about the seals of the audit log, and about the events that they cover."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import LiteralString

from shared.catalog.connection import RawConnection, fetch
from shared.domain.seals import Horizons, LoggedEvent, Seal, SealedEvent, Span

_SEALS: LiteralString = """
SELECT s.id, s.first_event_id, s.last_event_id, s.events, s.previous_hash, s.hash,
       s.sealed_through, s.horizon::text::bigint AS horizon
  FROM kiloclaw_audit_seals s
"""
_PAGE_START: LiteralString = """
SELECT min(counted.id)
  FROM (SELECT latest.id, sum(latest.events) OVER (ORDER BY latest.id DESC) - latest.events
          FROM (SELECT id, events FROM kiloclaw_audit_seals
                 WHERE id <= %(newest)s ORDER BY id DESC LIMIT %(events)s) AS latest
       ) AS counted (id, newer)
 WHERE counted.newer < %(events)s
"""
_COLUMNS: LiteralString = """
       e.id, e.transaction_id::text,
       to_char(e.at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS at,
       e.actor, e.action, e.subject_kind, e.subject_id, e.before::text, e.after::text,
       e.reason, e.request_id
"""
_IN_SPAN: LiteralString = """
       e.transaction_id >= %(first)s::text::xid8 AND e.transaction_id < %(end)s::text::xid8
"""
# Looked up event by event: these are few, however long the log is.
_UNSEALED: LiteralString = f"""
  FROM kiloclaw_audit_log e
 WHERE {_IN_SPAN}
   AND (SELECT c.seal_id FROM kiloclaw_audit_sealed_events c WHERE c.event_id = e.id) IS NULL
"""  # noqa: S608  constants alone
_INSERTED: LiteralString = """
       e.id <= (SELECT p.sealed_through FROM kiloclaw_audit_seals p
                 WHERE p.transaction_id < e.transaction_id
                 ORDER BY p.id DESC LIMIT 1)
"""
_COVERED: LiteralString = f"""
SELECT s.seal_id, s.event_id, s.hash,
       coalesce(s.event_id <= before.sealed_through
                AND s.event_id <= (SELECT p.sealed_through FROM kiloclaw_audit_seals p
                                    WHERE p.id < s.seal_id
                                      AND p.transaction_id < e.transaction_id
                                    ORDER BY p.id DESC LIMIT 1), false),
       {_COLUMNS}
  FROM kiloclaw_audit_sealed_events s
  LEFT JOIN kiloclaw_audit_seals before ON before.id = s.seal_id - 1
  LEFT JOIN kiloclaw_audit_log e ON e.id = s.event_id
 WHERE s.seal_id > %(after)s AND s.seal_id <= %(last)s
 ORDER BY s.seal_id, s.event_id
"""  # noqa: S608


@dataclass(frozen=True, slots=True)
class Unsealed:
    """Events without a seal.

    `overdue` ones are older than a quarter of an hour. `inserted` is the first that was
    inserted with an old id: a seal had passed the id before its transaction began.
    """

    events: int
    overdue: int
    inserted: int | None


@dataclass(frozen=True, slots=True)
class Seals:
    """The chain of seals, inside one transaction."""

    connection: RawConnection

    def try_lock(self) -> bool:
        """Claim to be the only one who seals, until this transaction ends."""
        [(locked,)] = self.connection.execute(
            "SELECT pg_try_advisory_xact_lock(hashtext('kiloclaw_audit_seals'))"
        ).fetchall()
        return bool(locked)

    def horizons(self) -> Horizons:
        """Read which transactions there are. Later statements see all those that had ended."""
        [(oldest, following)] = self.connection.execute(
            "SELECT pg_snapshot_xmin(now)::text::bigint, pg_snapshot_xmax(now)::text::bigint"
            "  FROM pg_current_snapshot() AS now"
        ).fetchall()
        return Horizons(oldest, following)

    def newest(self, below: int | None = None) -> Seal | None:
        """Find the newest seal, or the newest with a smaller id than `below`."""
        found = fetch(
            self.connection,
            Seal,
            f"{_SEALS} WHERE %(below)s::bigint IS NULL OR s.id < %(below)s"
            " ORDER BY s.id DESC LIMIT 1",
            {"below": below},
        )
        return found[0] if found else None

    def page(self, newest: int, events: int) -> list[Seal]:
        """List the seals down from the one with id `newest`, the oldest first.

        They cover at least so many events together, if there are so many.
        """
        return fetch(
            self.connection,
            Seal,
            f"{_SEALS} WHERE s.id <= %(newest)s AND s.id >= ({_PAGE_START}) ORDER BY s.id",
            {"newest": newest, "events": events},
        )

    def unsealed(self, span: Span, limit: int | None) -> list[LoggedEvent]:
        """List the first events of these transactions that no seal covers, by transaction."""
        return fetch(
            self.connection,
            LoggedEvent,
            f"SELECT {_COLUMNS} {_UNSEALED} ORDER BY e.transaction_id, e.id LIMIT %(limit)s",
            {"first": span[0], "end": span[1], "limit": limit},
        )

    def count_unsealed(self, span: Span) -> Unsealed:
        """Count the events of these transactions that no seal covers."""
        [found] = fetch(
            self.connection,
            Unsealed,
            f"""
            SELECT count(*) AS events,
                   count(*) FILTER (WHERE e.at < now() - interval '15 minutes') AS overdue,
                   min(e.id) FILTER (WHERE {_INSERTED}) AS inserted
            {_UNSEALED}
            """,
            {"first": span[0], "end": span[1]},
        )
        return found

    def add(self, seal: Seal, event_ids: Sequence[int], hashes: Sequence[bytes]) -> None:
        """Add a seal over the events with these ids and hashes."""
        self.connection.execute(
            """
            WITH seal AS (
                INSERT INTO kiloclaw_audit_seals
                       (id, first_event_id, last_event_id, events, previous_hash, hash,
                        sealed_through, horizon)
                VALUES (%(id)s, %(first)s, %(last)s, %(events)s, %(previous)s, %(hash)s,
                        %(through)s, %(horizon)s::text::xid8)
            )
            INSERT INTO kiloclaw_audit_sealed_events (event_id, seal_id, hash)
            SELECT event_id, %(id)s, hash
              FROM unnest(%(ids)s::bigint[], %(hashes)b::bytea[]) AS sealed (event_id, hash)
            """,
            {
                "id": seal.id, "first": seal.first_event_id, "last": seal.last_event_id,
                "events": seal.events, "previous": seal.previous_hash, "hash": seal.hash,
                "through": seal.sealed_through, "horizon": seal.horizon,
                "ids": list(event_ids), "hashes": list(hashes),
            },
        )  # fmt: skip

    def covered(self, after: int, last: int) -> dict[int, list[SealedEvent]]:
        """Read what the seals behind the one with id `after` cover, up to `last`: by seal."""
        rows = self.connection.execute(_COVERED, {"after": after, "last": last})
        found: dict[int, list[SealedEvent]] = {}
        for seal_id, event_id, content, is_late, *columns in rows:
            event = None if columns[0] is None else LoggedEvent(*columns)
            found.setdefault(seal_id, []).append(SealedEvent(event_id, content, event, is_late))
        return found

    def first_uncovered(self, low: int, settled: Span) -> int | None:
        """Find the first event from id `low` on that no seal covers, but should.

        Those of settled transactions should, and those that were inserted with an old id.
        """
        [(event_id,)] = self.connection.execute(
            f"""
            SELECT min(e.id) FROM kiloclaw_audit_log e
             WHERE e.id >= %(low)s
               AND NOT EXISTS (SELECT FROM kiloclaw_audit_sealed_events c
                                WHERE c.event_id = e.id AND c.event_id >= %(low)s)
               AND (({_IN_SPAN}) OR {_INSERTED})
            """,  # noqa: S608
            {"low": low, "first": settled[0], "end": settled[1]},
        ).fetchall()
        return None if event_id is None else int(event_id)
