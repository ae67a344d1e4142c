"""The statement that provisioning reads by, and the look-up of tags it did not cover."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, LiteralString

from shared.catalog.connection import Database, RawConnection
from shared.catalog.variants import make_rollout
from shared.domain.model import Image
from shared.domain.pointer import Pointer
from shared.domain.resolution import PinFact
from shared.domain.values import ImageTag, UserId, Variant

FACTS: LiteralString = """
SELECT statement_timestamp(), p.image_tag, p.expires_at,
       m.latest_tag, m.candidate_tag, m.rollout_percent, m.rollout_salt, m.held, m.revision,
       pinned.image_digest, pinned.openclaw_version, pinned.variant, pinned.status,
       latest.image_digest, latest.openclaw_version, latest.variant, latest.status,
       candidate.image_digest, candidate.openclaw_version, candidate.variant, candidate.status
  FROM (SELECT) AS always
  LEFT JOIN kiloclaw_version_pins p ON p.user_id = %(user)s
  LEFT JOIN kiloclaw_available_versions pinned ON pinned.image_tag = p.image_tag
  LEFT JOIN kiloclaw_variants m ON m.variant = coalesce(
            CASE WHEN p.expires_at <= statement_timestamp() THEN NULL ELSE pinned.variant END,
            %(variant)s)
  LEFT JOIN kiloclaw_available_versions latest ON latest.image_tag = m.latest_tag
  LEFT JOIN kiloclaw_available_versions candidate ON candidate.image_tag = m.candidate_tag
"""

IMAGES: LiteralString = """
SELECT image_tag, image_digest, openclaw_version, variant, status
  FROM kiloclaw_available_versions
 WHERE image_tag = ANY(%(tags)s)
"""


@dataclass(frozen=True, slots=True)
class CatalogFacts:
    """What the catalog knows about a starting user. `now` is the statement's time."""

    now: datetime
    pin: PinFact | None
    mirror: Pointer
    images: dict[ImageTag, Image]


def read_facts(database: Database, user_id: UserId | None, variant: Variant) -> CatalogFacts:
    """Read the pin, its version and the mirror of one variant, in one statement.

    Without a user no pin is read. The variant is that of a pin that has not expired, else
    `variant`.

    Raises CatalogUnavailable.
    """
    row = database.read(FACTS, {"user": user_id, "variant": variant})[0]
    now, pin_tag, expires_at, latest_tag, candidate_tag, percent, salt, held, revision = row[:9]
    tags = (pin_tag, latest_tag, candidate_tag)
    parts = (row[9:13], row[13:17], row[17:21])
    images = {tag: Image(tag, *part) for tag, part in zip(tags, parts, strict=True) if tag}
    rollout = make_rollout(candidate_tag, percent, salt, held=bool(held), brake=None)
    return CatalogFacts(
        now=now,
        pin=PinFact(pin_tag, expires_at) if pin_tag else None,
        mirror=Pointer(revision or 0, latest_tag, rollout),
        images=images,
    )


def read_images(database: Database, tags: Iterable[ImageTag]) -> dict[ImageTag, Image]:
    """Find the images among `tags` that the catalog knows. Raises CatalogUnavailable."""
    return _images(database.read(IMAGES, {"tags": list(tags)}))


def images_within(connection: RawConnection, tags: Iterable[ImageTag]) -> dict[ImageTag, Image]:
    """Find them inside a transaction."""
    return _images(connection.execute(IMAGES, {"tags": list(tags)}).fetchall())


def _images(rows: list[tuple[Any, ...]]) -> dict[ImageTag, Image]:
    return {row[0]: Image(*row) for row in rows}
