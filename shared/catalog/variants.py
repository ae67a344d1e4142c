"""Statements about variants: the mirror of the pointer, its lock, and the history of latest."""

from dataclasses import dataclass
from datetime import datetime
from typing import LiteralString

from shared.catalog.connection import RawConnection, fetch
from shared.domain.errors import VariantNotFound
from shared.domain.etags import variant_etag
from shared.domain.model import Initiator
from shared.domain.pointer import Brake, Pointer, Rollout
from shared.domain.values import Actor, ImageTag, Variant

MIRROR: LiteralString = """
SELECT m.variant, m.latest_tag, m.candidate_tag, m.rollout_percent, m.rollout_salt,
       m.held, m.brake_min_failures, m.brake_percent, m.revision, m.cause, m.updated_at
  FROM kiloclaw_variants m
"""
PUBLISHED: LiteralString = """
 WHERE EXISTS (SELECT FROM kiloclaw_available_versions v WHERE v.variant = m.variant)
"""
LISTED: LiteralString = """
 WHERE EXISTS (SELECT FROM kiloclaw_available_versions v
                WHERE v.variant = m.variant AND v.retired_at IS NULL)
"""


@dataclass(frozen=True, slots=True)
class Mirror:
    """A row of the mirror; the columns of a rollout are null together."""

    variant: Variant
    latest_tag: ImageTag | None
    candidate_tag: ImageTag | None
    rollout_percent: int | None
    rollout_salt: str | None
    held: bool
    brake_min_failures: int | None
    brake_percent: int | None
    revision: int
    cause: str | None
    updated_at: datetime

    @property
    def pointer(self) -> Pointer:
        rollout = make_rollout(
            self.candidate_tag,
            self.rollout_percent,
            self.rollout_salt,
            held=self.held,
            brake=_make_brake(self.brake_min_failures, self.brake_percent),
        )
        return Pointer(self.revision, self.latest_tag, rollout, self.cause)

    @property
    def etag(self) -> str:
        return variant_etag(self.variant, self.pointer)


def make_rollout(
    tag: ImageTag | None,
    percent: int | None,
    salt: str | None,
    *,
    held: bool,
    brake: Brake | None,
) -> Rollout | None:
    if tag is None or percent is None or salt is None:
        return None
    return Rollout(tag, percent, salt, held, brake)


def _make_brake(min_failures: int | None, percent: int | None) -> Brake | None:
    if min_failures is None or percent is None:
        return None
    return Brake(min_failures, percent)


@dataclass(frozen=True, slots=True)
class Promotion:
    """A move of latest; `promoted_by` is `kv` for one that was found there."""

    revision: int
    image_tag: ImageTag
    previous_tag: ImageTag | None
    promoted_by: Actor
    reason: str | None
    at: datetime


@dataclass(frozen=True, slots=True)
class Variants:
    """The mirrors, inside one transaction."""

    connection: RawConnection

    def ensure(self, variant: Variant) -> None:
        """Create the variant's row, which moves lock, if it is missing."""
        self.connection.execute(
            "INSERT INTO kiloclaw_variants (variant) VALUES (%(variant)s)"
            " ON CONFLICT (variant) DO NOTHING",
            {"variant": variant},
        )

    def lock(self, variant: Variant) -> Pointer:
        """Lock the variant and read its mirror. Moves and disabling need this lock."""
        self.ensure(variant)
        query: LiteralString = MIRROR + "WHERE m.variant = %(variant)s FOR UPDATE"
        return fetch(self.connection, Mirror, query, {"variant": variant})[0].pointer

    def find_pointer(self, variant: Variant) -> Pointer:
        """Read a variant's mirror without locking it; without one, as `lock` would make it."""
        query: LiteralString = MIRROR + "WHERE m.variant = %(variant)s"
        rows = fetch(self.connection, Mirror, query, {"variant": variant})
        return rows[0].pointer if rows else Pointer()

    def get(self, variant: Variant) -> Mirror:
        """Find a variant. Raises VariantNotFound if no version of it was published."""
        query: LiteralString = MIRROR + PUBLISHED + "AND m.variant = %(variant)s"
        rows = fetch(self.connection, Mirror, query, {"variant": variant})
        if not rows:
            raise VariantNotFound("no version of this variant was published")
        return rows[0]

    def page(self, after: Variant | None, limit: int) -> list[Mirror]:
        """List up to `limit` variants after this one, without those wholly retired."""
        query: LiteralString = (
            MIRROR + LISTED + "AND (%(after)s::text IS NULL OR m.variant > %(after)s)"
            " ORDER BY m.variant LIMIT %(limit)s"
        )
        return fetch(self.connection, Mirror, query, {"after": after, "limit": limit})

    def all(self) -> dict[Variant, Pointer]:
        """Read every mirror."""
        return {m.variant: m.pointer for m in fetch(self.connection, Mirror, MIRROR, {})}

    def count_held(self) -> int:
        """Count the rollouts that are held."""
        [(held,)] = self.connection.execute(
            "SELECT count(*) FROM kiloclaw_variants WHERE held"
        ).fetchall()
        return int(held)

    def save(self, variant: Variant, pointer: Pointer) -> None:
        """Write the mirror's content, revision and cause."""
        rollout = pointer.rollout
        brake = rollout.brake if rollout else None
        self.connection.execute(
            """
            UPDATE kiloclaw_variants
               SET latest_tag = %(latest)s, candidate_tag = %(candidate)s,
                   rollout_percent = %(percent)s, rollout_salt = %(salt)s, held = %(held)s,
                   brake_min_failures = %(min_failures)s, brake_percent = %(brake_percent)s,
                   revision = %(revision)s, cause = %(cause)s, updated_at = now()
             WHERE variant = %(variant)s
            """,
            {
                "variant": variant,
                "latest": pointer.latest_tag,
                "candidate": pointer.candidate_tag,
                "percent": rollout and rollout.percent,
                "salt": rollout and rollout.salt,
                "held": rollout is not None and rollout.held,
                "min_failures": brake and brake.min_failures,
                "brake_percent": brake and brake.percent,
                "revision": pointer.revision,
                "cause": pointer.cause,
            },
        )

    def record_promotion(
        self, variant: Variant, after: Pointer, previous_tag: ImageTag | None, by: Initiator
    ) -> None:
        """Add a move of latest to the history that a rollback walks."""
        self.connection.execute(
            """
            INSERT INTO kiloclaw_promotions
                   (variant, revision, image_tag, previous_tag, promoted_by, reason, cause)
            VALUES (%(variant)s, %(revision)s, %(tag)s, %(previous)s, %(by)s, %(reason)s,
                    %(cause)s)
            """,
            {
                "variant": variant, "revision": after.revision, "tag": after.latest_tag,
                "previous": previous_tag, "by": by.actor, "reason": by.reason,
                "cause": after.cause,
            },
        )  # fmt: skip

    def newest_promotions(self) -> dict[Variant, Promotion]:
        """Find the last move of latest of every variant."""
        rows = self.connection.execute(
            """
            SELECT DISTINCT ON (variant) variant, revision, image_tag, previous_tag,
                   promoted_by, reason, at
              FROM kiloclaw_promotions
             ORDER BY variant, id DESC
            """
        ).fetchall()
        return {variant: Promotion(*move) for variant, *move in rows}

    def was_promoted_by(self, variant: Variant, cause: str) -> bool:
        """Whether the call of this cause is in the history of latest."""
        row = self.connection.execute(
            "SELECT FROM kiloclaw_promotions"
            " WHERE variant = %(variant)s AND cause = %(cause)s LIMIT 1",
            {"variant": variant, "cause": cause},
        ).fetchone()
        return row is not None

    def rollback_target(self, variant: Variant, latest: ImageTag | None) -> ImageTag | None:
        """Find what was latest before `latest` first was: the newest that is still active.

        A `latest` that is not in the history yet comes after all that is.
        """
        row = self.connection.execute(
            """
            SELECT p.image_tag
              FROM kiloclaw_promotions p
              JOIN kiloclaw_available_versions v ON v.image_tag = p.image_tag
             WHERE p.variant = %(variant)s AND v.variant = p.variant AND v.status = 'active'
               AND p.id < coalesce((SELECT min(id) FROM kiloclaw_promotions
                                     WHERE variant = %(variant)s AND image_tag = %(latest)s),
                                   9223372036854775807)
             ORDER BY p.id DESC
             LIMIT 1
            """,
            {"variant": variant, "latest": latest},
        ).fetchone()
        return row[0] if row else None

    def promotions(self, variant: Variant, limit: int = 100) -> list[Promotion]:
        """List the moves of latest, newest first."""
        return fetch(
            self.connection,
            Promotion,
            """
            SELECT revision, image_tag, previous_tag, promoted_by, reason, at
              FROM kiloclaw_promotions
             WHERE variant = %(variant)s
             ORDER BY id DESC
             LIMIT %(limit)s
            """,
            {"variant": variant, "limit": limit},
        )
