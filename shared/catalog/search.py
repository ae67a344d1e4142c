"""Statements that find users, variants and exact names by what a person typed."""

from dataclasses import dataclass
from typing import LiteralString

from shared.catalog.connection import RawConnection, fetch
from shared.domain.values import ImageTag, UserId, Variant


@dataclass(frozen=True, slots=True)
class FoundUser:
    """A known user: somebody with an instance, a pin, or both."""

    user_id: UserId
    running_tag: ImageTag | None
    pinned_tag: ImageTag | None


@dataclass(frozen=True, slots=True)
class ExactMatch:
    """Whether a text is a version's tag or a known user's id, and whose digest it is."""

    is_tag: bool
    is_user: bool
    tag_of_digest: ImageTag | None


# A part of an id is in no index. OFFSET 0 has both tables read as they lie.
USERS: LiteralString = """
WITH found AS (
    (SELECT user_id
       FROM (SELECT user_id FROM kiloclaw_instances
              WHERE strpos(lower(user_id), lower(%(q)s)) > 0 OFFSET 0) AS i
      ORDER BY user_id LIMIT %(limit)s)
     UNION
    (SELECT user_id
       FROM (SELECT user_id FROM kiloclaw_version_pins
              WHERE strpos(lower(user_id), lower(%(q)s)) > 0 OFFSET 0) AS p
      ORDER BY user_id LIMIT %(limit)s)
     ORDER BY user_id LIMIT %(limit)s
)
SELECT found.user_id, i.image_tag AS running_tag, p.image_tag AS pinned_tag
  FROM found
  LEFT JOIN kiloclaw_instances i ON i.user_id = found.user_id
  LEFT JOIN kiloclaw_version_pins p ON p.user_id = found.user_id
 ORDER BY found.user_id
"""


def find_users(connection: RawConnection, q: str, limit: int) -> list[FoundUser]:
    """Find up to `limit` users whose id contains `q`, in either case, by user id."""
    return fetch(connection, FoundUser, USERS, {"q": q, "limit": limit})


def find_variants(connection: RawConnection, q: str, limit: int) -> list[Variant]:
    """Find up to `limit` variants that have a version and whose name contains `q`."""
    rows = connection.execute(
        """
        SELECT m.variant FROM kiloclaw_variants m
         WHERE strpos(m.variant, lower(%(q)s)) > 0
           AND EXISTS (SELECT FROM kiloclaw_available_versions v
                        WHERE v.variant = m.variant AND v.retired_at IS NULL)
         ORDER BY m.variant LIMIT %(limit)s
        """,
        {"q": q, "limit": limit},
    ).fetchall()
    return [variant for (variant,) in rows]


def find_exactly(connection: RawConnection, text: str) -> ExactMatch:
    """Say what there is of exactly this name. Versions that are retired do not count."""
    return fetch(
        connection,
        ExactMatch,
        """
        SELECT EXISTS (SELECT FROM kiloclaw_available_versions
                        WHERE image_tag = %(text)s AND retired_at IS NULL) AS is_tag,
               EXISTS (SELECT FROM kiloclaw_instances WHERE user_id = %(text)s)
               OR EXISTS (SELECT FROM kiloclaw_version_pins WHERE user_id = %(text)s)
               AS is_user,
               (SELECT image_tag FROM kiloclaw_available_versions
                 WHERE image_digest = lower(%(text)s) AND retired_at IS NULL) AS tag_of_digest
        """,
        {"text": text},
    )[0]
