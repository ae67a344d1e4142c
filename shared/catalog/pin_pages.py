"""Statements that list pins, the newest first: one for each state, so that each is fast."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, LiteralString

from shared.domain.values import ImageTag

State = Literal["applied", "expired", "suspended"]

COLUMNS: LiteralString = """
SELECT p.id, p.user_id, p.image_tag, p.reason, p.pinned_by, p.expires_at,
       CASE WHEN p.expires_at <= now() THEN 'expired'
            WHEN v.status = 'disabled' THEN 'suspended'
            ELSE 'applied' END AS state,
       p.revision, p.created_at, p.updated_at
"""
PIN: LiteralString = (
    COLUMNS
    + """
  FROM kiloclaw_version_pins p
  JOIN kiloclaw_available_versions v ON v.image_tag = p.image_tag
"""
)

# A page of pins is looked for where its state is. Most pins are applied, so the newest fill the
# page; suspended ones belong to the few disabled versions; expired ones are found by their
# expiry, unless they are so many that the newest pins have enough of them.

_PINS: LiteralString = "SELECT p.* FROM kiloclaw_version_pins p"
_PIN_KEYS: LiteralString = "SELECT p.created_at, p.user_id FROM kiloclaw_version_pins p"
_USERS: LiteralString = "SELECT p.user_id"
_OF_TAG: LiteralString = "(%(image_tag)s::text IS NULL OR p.image_tag = %(image_tag)s)"
_MATCHING: LiteralString = """
(%(q)s::text IS NULL
 OR strpos(lower(p.user_id), lower(%(q)s)) > 0 OR strpos(lower(p.reason), lower(%(q)s)) > 0)
"""
_OLDER: LiteralString = """
(%(created_at)s::timestamptz IS NULL
 OR (p.created_at, p.user_id) < (%(created_at)s::timestamptz, %(user_id)s::text))
"""
_WANTED: LiteralString = f" WHERE {_OF_TAG} AND {_MATCHING} AND {_OLDER}"
_UNEXPIRED: LiteralString = "(p.expires_at IS NULL OR p.expires_at > now())"
_NEWEST: LiteralString = " ORDER BY p.created_at DESC, p.user_id DESC"
_PAGE: LiteralString = f"{_NEWEST} LIMIT %(limit)s"

ALL: LiteralString = f"{PIN} {_WANTED} {_PAGE}"
APPLIED: LiteralString = f"{PIN} {_WANTED} AND {_UNEXPIRED} AND v.status <> 'disabled' {_PAGE}"
# The range of one tag, instead of "=", leaves the planner no index but that of the tags.
SUSPENDED: LiteralString = f"""
{COLUMNS}
  FROM kiloclaw_available_versions v
 CROSS JOIN LATERAL (
    {_PINS}
     WHERE p.image_tag >= v.image_tag
       AND (p.image_tag, p.created_at, p.user_id)
           < (v.image_tag, coalesce(%(created_at)s::timestamptz, 'infinity'),
              coalesce(%(user_id)s::text, ''))
       AND {_UNEXPIRED} AND {_MATCHING}
     ORDER BY p.image_tag DESC, p.created_at DESC, p.user_id DESC LIMIT %(limit)s
 ) AS p
 WHERE v.status = 'disabled' AND {_OF_TAG}
{_PAGE}
"""
EXPIRED_AMONG_NEWEST: LiteralString = f"""
{COLUMNS}
  FROM ({_PINS} WHERE {_OF_TAG} AND {_OLDER} {_NEWEST} LIMIT 1000) AS p
  JOIN kiloclaw_available_versions v ON v.image_tag = p.image_tag
 WHERE p.expires_at <= now() AND {_MATCHING}
{_PAGE}
"""
# OFFSET 0 keeps the planner from walking all pins by their time of creation.
EXPIRED: LiteralString = f"""
{COLUMNS}
  FROM (
    {_USERS}
      FROM ({_PIN_KEYS} {_WANTED} AND p.expires_at <= now() OFFSET 0) AS p
    {_PAGE}
  ) AS expired
  JOIN kiloclaw_version_pins p ON p.user_id = expired.user_id
  JOIN kiloclaw_available_versions v ON v.image_tag = p.image_tag
{_PAGE}
"""
# Two ways to be stale: old pins without an end, in the list's own order, and pins to the few
# deprecated versions. A pin may be both.
_IN_STATE: LiteralString = """
(%(state)s::text IS NULL OR %(state)s = CASE WHEN p.expires_at <= now() THEN 'expired'
                                             WHEN v.status = 'disabled' THEN 'suspended'
                                             ELSE 'applied' END)
"""
_IN_TIME: LiteralString = """
(NOT %(ending)s::boolean
 OR (p.expires_at > now() AND p.expires_at <= now() + interval '7 days'))
"""
STALE: LiteralString = f"""
{COLUMNS}
  FROM (
    (SELECT p.*
       FROM kiloclaw_version_pins p
       JOIN kiloclaw_available_versions v ON v.image_tag = p.image_tag
      {_WANTED} AND p.expires_at IS NULL AND p.created_at < now() - interval '90 days'
        AND {_IN_STATE} AND {_IN_TIME}
    {_PAGE})
     UNION
    (SELECT p.*
       FROM kiloclaw_available_versions v
      CROSS JOIN LATERAL (
            {_PINS}
             WHERE p.image_tag = v.image_tag AND {_MATCHING} AND {_OLDER} AND {_IN_STATE}
               AND {_IN_TIME}
            {_PAGE}
      ) AS p
      WHERE v.status = 'deprecated' AND {_OF_TAG}
    {_PAGE})
  ) AS p
  JOIN kiloclaw_available_versions v ON v.image_tag = p.image_tag
{_PAGE}
"""  # noqa: S608  constants alone
# OFFSET 0, as for expired pins: those that end soon are few among all.
ENDING: LiteralString = f"""
{COLUMNS}
  FROM ({_PINS} {_WANTED} AND p.expires_at > now()
           AND p.expires_at <= now() + interval '7 days' OFFSET 0) AS p
  JOIN kiloclaw_available_versions v ON v.image_tag = p.image_tag
 WHERE {_IN_STATE}
{_PAGE}
"""
PAGES: Mapping[State | None, tuple[LiteralString, ...]] = {
    None: (ALL,),
    "applied": (APPLIED,),
    "suspended": (SUSPENDED,),
    "expired": (EXPIRED_AMONG_NEWEST, EXPIRED),
}
"""Statements to be tried in turn until one fills the page; the last is always right."""


@dataclass(frozen=True, slots=True)
class PinFilter:
    """`q` is part of a user id or of a reason, in either case.

    `stale` asks for pins without an end that are older than 90 days, and for pins to deprecated
    versions; `ending` for those that end within seven days.
    """

    image_tag: ImageTag | None = None
    state: State | None = None
    q: str | None = None
    stale: bool = False
    ending: bool = False

    @property
    def statements(self) -> tuple[LiteralString, ...]:
        """Statements to be tried in turn until one fills the page; the last is always right."""
        if self.stale:
            return (STALE,)
        return (ENDING,) if self.ending else PAGES[self.state]
