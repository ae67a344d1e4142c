"""What must hold between the two stores, and within each, whatever happened before."""

from collections.abc import Callable, Iterator
from typing import Any, LiteralString

from tests.support.stores import Stores

Write = tuple[str, int, tuple[object, ...]]
"""A variant, a revision, and the content that was written under it."""
Rows = Callable[[LiteralString], list[tuple[Any, ...]]]
Items = dict[str, Any]
CONTENT = (
    "latest_tag", "candidate_tag", "percent", "salt", "held", "brake_min_failures",
    "brake_percent",
)  # fmt: skip


def write_of(item: dict[str, Any]) -> Write:
    """What a pointer item says."""
    held = {"held": {"BOOL": False}} if "candidate_tag" in item else {}
    given = held | item
    content = tuple(
        next(iter(given[name].values())) if name in given else None for name in CONTENT
    )
    return item["sk"]["S"], int(item["revision"]["N"]), content


def pointers(stores: Stores) -> set[Write]:
    """What the KV points to."""
    return {write_of(item) for item in stores.items("POINTER")}


MIRRORS: LiteralString = """
SELECT variant, revision, latest_tag, candidate_tag, rollout_percent::text, rollout_salt,
       CASE WHEN candidate_tag IS NOT NULL THEN held END, brake_min_failures::text,
       brake_percent::text
  FROM kiloclaw_variants WHERE latest_tag IS NOT NULL
"""


def mirrors(stores: Stores) -> set[Write]:
    """What the catalog believes that the KV points to."""
    return _mirrors(stores.sql(MIRRORS))


def _mirrors(rows: list[tuple[Any, ...]]) -> set[Write]:
    return {(variant, revision, tuple(content)) for variant, revision, *content in rows}


def faults(stores: Stores) -> list[str]:
    """Everything that must hold once `sync` has run and does not."""
    items: dict[str, dict[str, Any]] = {}
    for item in stores.items():
        items.setdefault(item["pk"]["S"], {})[item["sk"]["S"]] = item
    with stores.server_connection() as connection:

        def rows(query: LiteralString) -> list[tuple[Any, ...]]:
            return connection.execute(query).fetchall()

        return [
            *_pointer_faults(rows, items.get("POINTER", {})),
            *_entry_faults(rows, items.get("IMAGE", {}), items.get("DIGEST", {})),
            *_history_faults(rows),
        ]


def _pointer_faults(rows: Rows, found: Items) -> Iterator[str]:
    for write in {write_of(item) for item in found.values()} ^ _mirrors(rows(MIRRORS)):
        yield f"one copy of the pointer alone says {write}"
    named = rows(
        "SELECT m.variant, v.image_tag FROM kiloclaw_variants m"
        "  JOIN kiloclaw_available_versions v"
        "    ON v.image_tag IN (m.latest_tag, m.candidate_tag) WHERE v.status = 'disabled'"
    )
    yield from (f"{variant} names disabled {tag}" for variant, tag in named)


def _entry_faults(rows: Rows, entries: Items, claimed: Items) -> Iterator[str]:
    claims = {image_digest: item["image_tag"]["S"] for image_digest, item in claimed.items()}
    reported = {tag for (tag,) in rows("SELECT image_tag FROM kiloclaw_sync_findings")}
    versions = rows(
        "SELECT image_tag, image_digest, retired_at IS NOT NULL"
        "  FROM kiloclaw_available_versions"
    )
    for tag, image_digest, retired in versions:
        if image_digest and claims.get(image_digest) != tag:
            yield f"{tag} does not hold the claim of its digest"
        if tag not in entries or retired != ("deleted_at" in entries[tag]):
            yield f"the entry of {tag} is not as its row"
    known = {tag for tag, _, _ in versions}
    yield from (f"{tag} was lost" for tag in entries.keys() - known - reported)
    for image_digest, tag in claims.items():
        if entries.get(tag, {}).get("image_digest") != {"S": image_digest}:
            yield f"{tag} holds a claim that is not its own"


def _history_faults(rows: Rows) -> Iterator[str]:
    moves = rows(
        """
        SELECT variant, image_tag FROM (
            SELECT variant, image_tag, revision, previous_tag,
                   lag(image_tag) OVER history AS before,
                   lag(revision, 1, 0::bigint) OVER history AS revision_before
              FROM kiloclaw_promotions WINDOW history AS (PARTITION BY variant ORDER BY id)
        ) AS moves
         WHERE previous_tag IS DISTINCT FROM before OR revision < revision_before
        """
    )
    yield from (f"the history of {variant} breaks at {tag}" for variant, tag in moves)
    latest = rows(
        """
        SELECT variant FROM kiloclaw_variants m
         WHERE latest_tag IS DISTINCT FROM (
            SELECT image_tag FROM kiloclaw_promotions p
             WHERE p.variant = m.variant ORDER BY id DESC LIMIT 1)
        """
    )
    yield from (f"the history of {variant} does not end at its latest" for (variant,) in latest)
    changes = rows(
        """
        SELECT v.image_tag,
               (SELECT count(*) FROM kiloclaw_audit_log l
                 WHERE l.subject_id = v.image_tag AND l.action = 'version.published'),
               v.status = CASE WHEN v.retired_at IS NOT NULL THEN 'disabled' ELSE coalesce(
                   (SELECT l.after ->> 'status' FROM kiloclaw_audit_log l
                     WHERE l.subject_id = v.image_tag AND l.action = 'version.status_changed'
                     ORDER BY l.id DESC LIMIT 1), 'active') END
          FROM kiloclaw_available_versions v
        """
    )
    for tag, published, told in changes:
        if published != 1 or not told:
            yield f"the log does not tell what became of {tag}"
