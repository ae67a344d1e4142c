"""Pages of the fleet's copy: filters, orders and where a page begins."""

from dataclasses import dataclass
from typing import Literal, LiteralString

from shared.domain.model import Source
from shared.domain.values import ImageTag, UserId, Variant

COLUMNS: LiteralString = """
SELECT i.user_id, i.image_tag, i.image_digest, i.openclaw_version, i.variant, i.source,
       i.is_pinned, to_char(i.resolved_at, 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS resolved_at,
       to_char(i.decided_at, 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS decided_at
"""

FILTER: LiteralString = """
 WHERE (%(image_tag)s::text IS NULL OR i.image_tag = %(image_tag)s)
   AND (%(variant)s::text IS NULL OR i.variant = %(variant)s)
   AND (%(source)s::text IS NULL OR i.source = %(source)s)
   AND (%(q)s::text IS NULL OR strpos(lower(i.user_id), lower(%(q)s)) > 0)
"""

InstanceSort = Literal["user_id", "resolved_at"]
Place = tuple[str | None, UserId]
"""Where a page begins: the last instance's time of resolution (as text) and user."""

BEHIND: dict[InstanceSort, LiteralString] = {
    "user_id": "AND (%(user_id)s::text IS NULL OR i.user_id > %(user_id)s)",
    "resolved_at": """
   AND (%(key)s::timestamptz IS NULL
        OR (i.resolved_at, i.user_id) < (%(key)s, %(user_id)s::text))
""",
}
ORDER: dict[InstanceSort, LiteralString] = {
    "user_id": "ORDER BY i.user_id LIMIT %(limit)s",
    "resolved_at": "ORDER BY i.resolved_at DESC, i.user_id DESC LIMIT %(limit)s",
}
PAGES: dict[InstanceSort, LiteralString] = {
    sort: f"{COLUMNS} FROM kiloclaw_instances i WHERE true {BEHIND[sort]} {ORDER[sort]}"
    for sort in ORDER
}
# Instances with the same tag, variant and source are a group: a part of an index, in which one
# look finds the next. There are few, as an image has one variant and there are four sources.
GROUPS: LiteralString = """
WITH RECURSIVE groups AS (
    (SELECT image_tag, variant, source
       FROM kiloclaw_instances
      WHERE %(image_tag)s::text IS NULL OR image_tag = %(image_tag)s
      ORDER BY image_tag, variant, source LIMIT 1)
     UNION ALL
    SELECT following.*
      FROM groups g
     CROSS JOIN LATERAL (
           SELECT i.image_tag, i.variant, i.source
             FROM kiloclaw_instances i
            WHERE (i.image_tag, i.variant, i.source) > (g.image_tag, g.variant, g.source)
              AND (%(image_tag)s::text IS NULL OR i.image_tag = %(image_tag)s)
            ORDER BY i.image_tag, i.variant, i.source LIMIT 1) AS following
)
"""
IN_GROUP: LiteralString = """
i.image_tag = g.image_tag AND i.variant = g.variant AND i.source = g.source
"""
# Read a page of each matching group, then merge them.
FILTERED_PAGES: dict[InstanceSort, LiteralString] = {
    sort: f"""
{GROUPS}, found AS (
    SELECT i.user_id
      FROM groups g
     CROSS JOIN LATERAL (
           SELECT i.user_id, i.resolved_at
             FROM kiloclaw_instances i
            WHERE {IN_GROUP} {BEHIND[sort]}
           {ORDER[sort]}) AS i
     WHERE (%(variant)s::text IS NULL OR g.variant = %(variant)s)
       AND (%(source)s::text IS NULL OR g.source = %(source)s)
    {ORDER[sort]}
)
{COLUMNS}
  FROM found JOIN kiloclaw_instances i USING (user_id)
{ORDER[sort]}
"""  # noqa: S608  constants alone
    for sort in ORDER
}
# A part of an id is in no index. OFFSET 0 has the table read as it lies.
SEARCHES: dict[InstanceSort, LiteralString] = {
    sort: f"""
{COLUMNS}
  FROM (SELECT i.* FROM kiloclaw_instances i {FILTER} {BEHIND[sort]} OFFSET 0) AS i
{ORDER[sort]}
"""  # noqa: S608  constants alone
    for sort in ORDER
}


@dataclass(frozen=True, slots=True)
class InstanceFilter:
    """`q` is part of a user id, in either case."""

    image_tag: ImageTag | None = None
    variant: Variant | None = None
    source: Source | None = None
    q: str | None = None


EVERYBODY = InstanceFilter()


def page_query(wanted: InstanceFilter, sort: InstanceSort) -> LiteralString:
    """Choose the statement that reads no more than it must."""
    if wanted.q:
        return SEARCHES[sort]
    return (PAGES if wanted == EVERYBODY else FILTERED_PAGES)[sort]


def filter_parameters(wanted: InstanceFilter) -> dict[str, object]:
    return {
        "image_tag": wanted.image_tag,
        "variant": wanted.variant,
        "source": wanted.source,
        "q": wanted.q,
    }


def place_parameters(after: Place | None) -> dict[str, object]:
    key, user_id = after or (None, None)
    return {"key": key, "user_id": user_id}
