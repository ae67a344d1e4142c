"""Statements that list versions, by each order in which a list can be."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, LiteralString

from shared.domain.model import Status
from shared.domain.values import Variant

VERSION: LiteralString = """
SELECT v.id, v.image_tag, v.image_digest, v.openclaw_version, v.variant, v.status,
       coalesce(m.latest_tag = v.image_tag, false) AS is_latest,
       CASE WHEN m.candidate_tag = v.image_tag THEN m.rollout_percent END AS rollout_percent,
       coalesce(m.candidate_tag = v.image_tag AND m.held, false) AS is_held,
       v.published_at, v.published_by, v.notes, v.revision, v.missing_since, v.retired_at,
       v.created_at, v.updated_at
  FROM kiloclaw_available_versions v
  LEFT JOIN kiloclaw_variants m ON m.variant = v.variant
"""

Sort = Literal["published_at", "created_at", "image_tag", "openclaw_version"]
Order = Literal["asc", "desc"]

_PAGE: LiteralString = """
 WHERE v.retired_at IS NULL
   AND (%(status)s::text IS NULL OR v.status = %(status)s)
   AND (%(variant)s::text IS NULL OR v.variant = %(variant)s)
   AND (%(q)s::text IS NULL
        OR strpos(lower(v.image_tag), lower(%(q)s)) > 0
        OR strpos(v.openclaw_version, lower(%(q)s)) > 0
        OR strpos(lower(v.notes), lower(%(q)s)) > 0)
   AND (%(tag)s::text IS NULL OR ({columns}) {beyond} ({key}))
 ORDER BY {order}
 LIMIT %(limit)s
"""


def _pages(columns: LiteralString, key: LiteralString) -> dict[Order, LiteralString]:
    descending: LiteralString = columns.replace(",", " DESC,") + " DESC"
    return {
        "asc": VERSION + _PAGE.format(columns=columns, key=key, beyond=">", order=columns),
        "desc": VERSION + _PAGE.format(columns=columns, key=key, beyond="<", order=descending),
    }


PAGES: Mapping[Sort, Mapping[Order, LiteralString]] = {
    "published_at": _pages(
        "v.published_at, v.image_tag", "%(published_at)s::timestamptz, %(tag)s::text"
    ),
    "created_at": _pages(
        "v.created_at, v.image_tag", "%(created_at)s::timestamptz, %(tag)s::text"
    ),
    "image_tag": _pages("v.image_tag", "%(tag)s::text"),
    "openclaw_version": _pages(
        "v.openclaw_order, v.published_at, v.tag_order, v.image_tag",
        "%(openclaw_order)s::integer[], %(published_at)s::timestamptz,"
        " %(tag_order)s::text, %(tag)s::text",
    ),
}

SORTED_BY: Mapping[Sort, tuple[str, ...]] = {
    "published_at": ("published_at", "image_tag"),
    "created_at": ("created_at", "image_tag"),
    "image_tag": ("image_tag",),
    "openclaw_version": ("openclaw_version", "published_at", "image_tag"),
}
"""The fields of a version that place it in a list."""


@dataclass(frozen=True, slots=True)
class VersionFilter:
    """`q` is part of a tag, a version or notes, in either case."""

    status: Status | None = None
    variant: Variant | None = None
    q: str | None = None
