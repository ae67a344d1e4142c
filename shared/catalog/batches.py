"""The statements of `sync`: one for each purpose, however many entries there are."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from shared.catalog.connection import RawConnection, fetch
from shared.domain.model import ImageEntry
from shared.domain.sync import Known
from shared.domain.values import ImageTag


@dataclass(frozen=True, slots=True)
class Missing:
    """A version that the KV lacks; `use` says why that matters, None if it does not."""

    image_tag: ImageTag
    use: Literal["latest", "pinned"] | None


@dataclass(frozen=True, slots=True)
class Batches:
    """Many versions at once, inside one transaction."""

    connection: RawConnection

    def known(self) -> dict[ImageTag, Known]:
        """Read what the catalog has, retired versions included."""
        rows = self.connection.execute(
            """
            SELECT image_tag, image_digest, openclaw_version, variant,
                   retired_at IS NOT NULL, missing_since IS NOT NULL
              FROM kiloclaw_available_versions
            """
        )
        return {row[0]: Known(*row) for row in rows}

    def insert(self, entries: Sequence[ImageEntry]) -> int:
        """Add versions, log each, and return how many. Known ones are left alone."""
        if not entries:
            return 0
        self.connection.execute(
            "INSERT INTO kiloclaw_variants (variant)"
            ' SELECT DISTINCT variant COLLATE "C"'
            "   FROM unnest(%(variants)s::text[]) AS found (variant)"
            " ORDER BY 1 ON CONFLICT DO NOTHING",
            {"variants": [entry.variant for entry in entries]},
        )
        added = self.connection.execute(
            """
            WITH added AS (
                INSERT INTO kiloclaw_available_versions
                       (image_tag, image_digest, openclaw_version, variant, published_at)
                SELECT tag, digest, version, variant, published_at
                  FROM unnest(%(tags)s::text[], %(digests)s::text[], %(versions)s::text[],
                              %(variants)s::text[], %(published_at)s::timestamptz[])
                       AS found (tag, digest, version, variant, published_at)
                ON CONFLICT DO NOTHING
             RETURNING image_tag, image_digest, openclaw_version, variant
            )
            INSERT INTO kiloclaw_audit_log (actor, action, subject_kind, subject_id, after)
            SELECT 'kv', 'version.published', 'version', image_tag,
                   jsonb_build_object('image_digest', image_digest, 'variant', variant,
                                      'openclaw_version', openclaw_version)
              FROM added
            """,
            _columns(entries)
            | {
                "variants": [entry.variant for entry in entries],
                "published_at": [entry.published_at for entry in entries],
            },
        )
        return added.rowcount

    # Rows that another transaction has locked are left for the next run. So `sync` waits for no
    # row while it holds others, whatever the order in which they were locked.

    def update(self, entries: Sequence[ImageEntry], read_at: datetime) -> int:
        """Update OpenClaw versions, fill in digests, and log each.

        A row that changed after `read_at`, when the KV was read, is newer than the entry.
        """
        changed = self.connection.execute(
            """
            WITH found AS (
                SELECT v.id, v.openclaw_version AS old_version, v.image_digest AS old_digest,
                       b.version, coalesce(v.image_digest, b.digest) AS digest
                  FROM unnest(%(tags)s::text[], %(digests)s::text[], %(versions)s::text[])
                       AS b (tag, digest, version)
                  JOIN kiloclaw_available_versions v ON v.image_tag = b.tag
                 WHERE v.retired_at IS NULL AND v.updated_at < %(read_at)s
                   AND (v.image_digest IS NULL OR b.digest IS NULL OR v.image_digest = b.digest)
                 ORDER BY v.image_tag
                   FOR NO KEY UPDATE OF v SKIP LOCKED
            ), changed AS (
                UPDATE kiloclaw_available_versions v
                   SET openclaw_version = found.version, image_digest = found.digest,
                       revision = v.revision + 1, updated_at = now()
                  FROM found
                 WHERE v.id = found.id
             RETURNING v.image_tag, found.old_version, found.old_digest, found.version,
                       found.digest
            )
            INSERT INTO kiloclaw_audit_log
                   (actor, action, subject_kind, subject_id, before, after)
            SELECT 'kv', 'version.updated', 'version', image_tag,
                   jsonb_build_object('openclaw_version', old_version,
                                      'image_digest', old_digest),
                   jsonb_build_object('openclaw_version', version, 'image_digest', digest)
              FROM changed
            """,
            _columns(entries) | {"read_at": read_at},
        )
        return changed.rowcount

    def mark_missing(self, tags: Sequence[ImageTag], read_at: datetime) -> int:
        """Mark versions that the KV has lost, and return how many.

        A row that changed after `read_at`, when the KV was read, may not be lost.
        """
        marked = self.connection.execute(
            """
            UPDATE kiloclaw_available_versions
               SET missing_since = now(), revision = revision + 1, updated_at = now()
             WHERE id IN (
                SELECT id FROM kiloclaw_available_versions
                 WHERE image_tag = ANY(%(tags)s) AND missing_since IS NULL
                   AND retired_at IS NULL AND updated_at < %(read_at)s
                 ORDER BY image_tag
                   FOR NO KEY UPDATE SKIP LOCKED)
            """,
            {"tags": list(tags), "read_at": read_at},
        )
        return marked.rowcount

    def mark_found(self, tags: Sequence[ImageTag]) -> int:
        """Unmark versions that are back in the KV, and return how many."""
        marked = self.connection.execute(
            """
            UPDATE kiloclaw_available_versions
               SET missing_since = NULL, revision = revision + 1, updated_at = now()
             WHERE id IN (
                SELECT id FROM kiloclaw_available_versions
                 WHERE image_tag = ANY(%(tags)s) AND missing_since IS NOT NULL
                 ORDER BY image_tag
                   FOR NO KEY UPDATE SKIP LOCKED)
            """,
            {"tags": list(tags)},
        )
        return marked.rowcount

    def missing(self) -> list[Missing]:
        """List the versions that the KV lacks, by tag."""
        return fetch(
            self.connection,
            Missing,
            """
            SELECT v.image_tag,
                   CASE WHEN EXISTS (SELECT FROM kiloclaw_variants m
                                      WHERE m.variant = v.variant
                                        AND m.latest_tag = v.image_tag) THEN 'latest'
                        WHEN EXISTS (SELECT FROM kiloclaw_version_pins p
                                      WHERE p.image_tag = v.image_tag) THEN 'pinned'
                   END AS use
              FROM kiloclaw_available_versions v
             WHERE v.missing_since IS NOT NULL AND v.retired_at IS NULL
             ORDER BY v.image_tag
            """,
            {},
        )


def _columns(entries: Sequence[ImageEntry]) -> dict[str, object]:
    return {
        "tags": [entry.image_tag for entry in entries],
        "digests": [entry.image_digest for entry in entries],
        "versions": [entry.openclaw_version for entry in entries],
    }
