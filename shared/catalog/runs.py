"""Statements about the runs of `sync` and what they found."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, cast
from uuid import UUID

from psycopg.types.json import Jsonb

from shared.catalog.connection import RawConnection, fetch
from shared.domain.sync import PastRun
from shared.domain.sync_report import Finding, Outcome, SyncReport
from shared.domain.values import Variant

Trigger = Literal["schedule", "direct", "api"]
PRUNED_AT_ONCE = 1_000


@dataclass(frozen=True, slots=True)
class Run:
    """A stored run. `counts` is its report, perhaps stored by another release."""

    id: UUID
    started_at: datetime
    finished_at: datetime | None
    outcome: Outcome
    counts: dict[str, Any]
    trigger: Trigger

    @property
    def report(self) -> SyncReport:
        return SyncReport.parse(self.id, self.outcome, self.counts)


@dataclass(frozen=True, slots=True)
class OpenFinding:
    """What is wrong with a tag, or with the pointer of a variant, until it is mended."""

    id: int
    image_tag: str
    code: str
    detail: str
    first_seen: datetime
    last_seen: datetime

    @property
    def is_of_pointer(self) -> bool:
        """Whether it is about a variant's pointer; else it is about a tag."""
        return self.code in {"invalid_pointer", "pointer_pending"}


@dataclass(frozen=True, slots=True)
class Runs:
    """Runs and findings, inside one transaction."""

    connection: RawConnection

    def try_lock(self) -> bool:
        """Claim to be the only run, until this transaction ends. False if another one is."""
        [(locked,)] = self.connection.execute(
            "SELECT pg_try_advisory_xact_lock(hashtext('kiloclaw_sync'))"
        ).fetchall()
        return bool(locked)

    def now(self) -> datetime:
        """Read the database's clock now, not as of the start of the transaction."""
        [(moment,)] = self.connection.execute("SELECT clock_timestamp()").fetchall()
        return cast("datetime", moment)

    def record(
        self, run_id: UUID, started_at: datetime, outcome: Outcome, trigger: Trigger
    ) -> None:
        self.connection.execute(
            "INSERT INTO kiloclaw_sync_runs (id, started_at, outcome, counts, trigger)"
            " VALUES (%(id)s, %(started_at)s, %(outcome)s, '{}', %(trigger)s)",
            {"id": run_id, "started_at": started_at, "outcome": outcome, "trigger": trigger},
        )

    def finish(self, run_id: UUID, counts: Mapping[str, object], *, changed: bool) -> None:
        """Store the report. A run that `changed` nothing is deleted sooner."""
        self.connection.execute(
            "UPDATE kiloclaw_sync_runs"
            "   SET finished_at = clock_timestamp(), counts = %(counts)s, changed = %(changed)s"
            " WHERE id = %(id)s",
            {"id": run_id, "counts": Jsonb(counts), "changed": changed},
        )

    def prune(self) -> int:
        """Delete what nobody needs any more: up to a thousand rows of each kind; how many.

        Runs that changed nothing are kept for 7 days, other runs and resolved findings for 400.
        The last good run stays: the next one compares its counts with it.
        """
        runs = self.connection.execute(
            """
            WITH without_effect AS (
                SELECT id FROM kiloclaw_sync_runs
                 WHERE NOT changed AND started_at < now() - interval '7 days'
                 ORDER BY started_at LIMIT %(most)s
            ), old AS (
                SELECT id FROM kiloclaw_sync_runs
                 WHERE started_at < now() - interval '400 days'
                 ORDER BY started_at LIMIT %(most)s
            ), last_good AS (
                SELECT id FROM kiloclaw_sync_runs
                 WHERE outcome = 'ok' AND counts ? 'seen'
                 ORDER BY started_at DESC LIMIT 1
            )
            DELETE FROM kiloclaw_sync_runs
             WHERE id IN (SELECT id FROM kiloclaw_sync_runs
                           WHERE id IN (TABLE without_effect UNION TABLE old)
                             AND id NOT IN (TABLE last_good)
                             FOR UPDATE SKIP LOCKED)
            """,
            {"most": PRUNED_AT_ONCE},
        )
        findings = self.connection.execute(
            """
            DELETE FROM kiloclaw_sync_findings
             WHERE id IN (SELECT id FROM kiloclaw_sync_findings
                           WHERE resolved_at < now() - interval '400 days'
                           ORDER BY resolved_at LIMIT %(most)s
                             FOR UPDATE SKIP LOCKED)
            """,
            {"most": PRUNED_AT_ONCE},
        )
        return runs.rowcount + findings.rowcount

    def age(self) -> float | None:
        """Return the seconds since the last good run ended, None before the first."""
        row = self.connection.execute(
            """
            SELECT extract(epoch FROM clock_timestamp() - finished_at)::float8
              FROM kiloclaw_sync_runs
             WHERE outcome = 'ok' AND finished_at IS NOT NULL
             ORDER BY started_at DESC LIMIT 1
            """
        ).fetchone()
        return row[0] if row else None

    def past(self) -> list[PastRun]:
        """Find the latest runs that read the KV: two of any outcome, and the last good one."""
        rows = self.connection.execute(
            """
            (SELECT outcome, (counts ->> 'seen')::integer, started_at
               FROM kiloclaw_sync_runs
              WHERE outcome <> 'skipped_locked' AND counts ? 'seen'
              ORDER BY started_at DESC LIMIT 2)
            UNION
            (SELECT outcome, (counts ->> 'seen')::integer, started_at
               FROM kiloclaw_sync_runs
              WHERE outcome = 'ok' AND counts ? 'seen'
              ORDER BY started_at DESC LIMIT 1)
            ORDER BY started_at DESC
            """
        ).fetchall()
        return [PastRun(outcome, seen) for outcome, seen, _ in rows]

    def find(self, run_id: UUID) -> Run | None:
        """Find a run that has ended; runs are not kept for ever."""
        runs = fetch(
            self.connection,
            Run,
            "SELECT id, started_at, finished_at, outcome, counts, trigger"
            "  FROM kiloclaw_sync_runs WHERE finished_at IS NOT NULL AND id = %(id)s",
            {"id": run_id},
        )
        return runs[0] if runs else None

    def page(self, after: tuple[str, UUID] | None, limit: int) -> list[Run]:
        """List up to `limit` runs before `after`: start (as text) and id of the last one."""
        started_at, run_id = after or (None, None)
        return fetch(
            self.connection,
            Run,
            """
            SELECT id, started_at, finished_at, outcome, counts, trigger
              FROM kiloclaw_sync_runs
             WHERE finished_at IS NOT NULL
               AND (%(started_at)s::timestamptz IS NULL
                    OR (started_at, id) < (%(started_at)s::timestamptz, %(id)s::uuid))
             ORDER BY started_at DESC, id DESC
             LIMIT %(limit)s
            """,
            {"started_at": started_at, "id": run_id, "limit": limit},
        )

    def report(self, findings: Collection[Finding], at: datetime) -> None:
        """Open these findings, or keep them open. Equal ones count as one."""
        self.connection.execute(
            """
            INSERT INTO kiloclaw_sync_findings AS f
                   (image_tag, code, detail, first_seen, last_seen)
            SELECT DISTINCT tag, code, detail, %(at)s::timestamptz, %(at)s::timestamptz
              FROM unnest(%(tags)s::text[], %(codes)s::text[], %(details)s::text[])
                   AS found (tag, code, detail)
             ORDER BY tag, code, detail
            ON CONFLICT (image_tag, code, detail) WHERE resolved_at IS NULL
            DO UPDATE SET last_seen = greatest(f.last_seen, excluded.last_seen)
            """,
            {
                "at": at,
                "tags": [finding.image_tag for finding in findings],
                "codes": [finding.code for finding in findings],
                "details": [finding.detail for finding in findings],
            },
        )

    def resolve(self, at: datetime, *, pointers: bool, keep: Collection[Variant] = ()) -> None:
        """Close what was found in pointers, or in entries, before `at` and not since.

        Findings about the pointers of the variants in `keep` stay open: nobody looked at them.
        Rows are locked in the order in which `report` does.
        """
        self.connection.execute(
            """
            UPDATE kiloclaw_sync_findings SET resolved_at = %(at)s
             WHERE id IN (
                SELECT id FROM kiloclaw_sync_findings
                 WHERE resolved_at IS NULL AND last_seen < %(at)s
                   AND (code IN ('invalid_pointer', 'pointer_pending')) = %(pointers)s
                   AND NOT (%(pointers)s AND image_tag = ANY(%(keep)s))
                 ORDER BY image_tag, code, detail
                   FOR NO KEY UPDATE)
            """,
            {"at": at, "pointers": pointers, "keep": list(keep)},
        )

    def count_open(self) -> int:
        """Count the open findings."""
        [(number,)] = self.connection.execute(
            "SELECT count(*) FROM kiloclaw_sync_findings WHERE resolved_at IS NULL"
        ).fetchall()
        return int(number)

    def findings(self, after: int | None, limit: int) -> list[OpenFinding]:
        """List up to `limit` open findings, newest first."""
        return fetch(
            self.connection,
            OpenFinding,
            """
            SELECT id, image_tag, code, detail, first_seen, last_seen
              FROM kiloclaw_sync_findings
             WHERE resolved_at IS NULL AND (%(after)s::bigint IS NULL OR id < %(after)s)
             ORDER BY id DESC
             LIMIT %(limit)s
            """,
            {"after": after, "limit": limit},
        )

    def findings_about(self, name: str) -> list[OpenFinding]:
        """List the open findings about a tag, or about the variant of this name."""
        return fetch(
            self.connection,
            OpenFinding,
            """
            SELECT id, image_tag, code, detail, first_seen, last_seen
              FROM kiloclaw_sync_findings
             WHERE resolved_at IS NULL AND image_tag = %(name)s
             ORDER BY id DESC
            """,
            {"name": name},
        )
