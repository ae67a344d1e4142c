"""What the KV may hold beside a mirror of v1 at revision 3, and what becomes of it."""

from dataclasses import dataclass, field
from typing import Any

from tests.support.concurrent_actors import digest

Content = tuple[int, str | None, str | None]
"""Revision, latest, candidate."""
ROLLOUT = {"percent": 25, "salt": "salt"}


@dataclass(frozen=True)
class PointerCase:
    """What the KV holds beside a mirror of v1 at revision 3, and what both hold afterwards."""

    pointer: dict[str, Any]
    then: Content
    wrote: set[str] = field(default_factory=set)
    fault: str | None = None
    entry: dict[str, Any] | None = None
    """The entry of `new`, which the catalog does not know."""
    kv: Content | None = None
    """What the KV holds afterwards where that is not what the mirror holds."""


MIRROR = "kiloclaw_variants"
ADOPTED = {MIRROR, "kiloclaw_promotions", "kiloclaw_audit_log"}
FINDING = "kiloclaw_sync_findings"
VERSION = "kiloclaw_available_versions"
REVERTED = {"kv", MIRROR, FINDING, "kiloclaw_audit_log"}
PENDING = {FINDING}
BROKEN = {"latest_tag": "latest"}

CASES = {
    "equal": PointerCase({"revision": 3, "latest_tag": "v1"}, (3, "v1", None)),
    "missing": PointerCase({}, (3, "v1", None), {"kv"}),
    "behind": PointerCase({"revision": 2, "latest_tag": "v2"}, (3, "v1", None), {"kv"}),
    "equal and dead": PointerCase(
        {"revision": 3, "latest_tag": "bad"},
        (4, "v1", None),
        REVERTED,
        "bad is disabled",
    ),
    "ahead and retired": PointerCase(
        {"revision": 7, "latest_tag": "gone"},
        (8, "v1", None),
        REVERTED,
        "gone is disabled",
    ),
    "ahead and malformed": PointerCase(
        {"revision": 7} | BROKEN, (8, "v1", None), REVERTED, "latest_tag"
    ),
    "a malformed revision": PointerCase(
        {"revision": "7", "latest_tag": "v2"},
        (4, "v1", None),
        REVERTED,
        "revision",
    ),
    "ahead": PointerCase({"revision": 7, "latest_tag": "v2"}, (7, "v2", None), ADOPTED),
    "ahead with the same": PointerCase(
        {"revision": 7, "latest_tag": "v1"}, (7, "v1", None), {MIRROR}
    ),
    "ahead with a rollout": PointerCase(
        {"revision": 7, "latest_tag": "v1", "candidate_tag": "v2"} | ROLLOUT,
        (7, "v1", "v2"),
        {MIRROR, "kiloclaw_audit_log"},
    ),
    "the same revision with another latest": PointerCase(
        {"revision": 3, "latest_tag": "v2"}, (4, "v2", None), ADOPTED | {"kv"}
    ),
    "a candidate that is disabled": PointerCase(
        {"revision": 7, "latest_tag": "v2", "candidate_tag": "bad"} | ROLLOUT,
        (8, "v2", None),
        ADOPTED | REVERTED,
        "candidate bad",
    ),
    "a candidate without an entry so far": PointerCase(
        {"revision": 7, "latest_tag": "v2", "candidate_tag": "ghost"} | ROLLOUT,
        (7, "v2", None),
        ADOPTED | PENDING,
        "candidate ghost",
        kv=(7, "v2", "ghost"),
    ),
    "a latest without an entry so far": PointerCase(
        {"revision": 7, "latest_tag": "ghost"},
        (3, "v1", None),
        PENDING,
        "ghost has no valid entry yet",
        kv=(7, "ghost", None),
    ),
    "a latest whose publish time is still ahead": PointerCase(
        {"revision": 7, "latest_tag": "new"},
        (3, "v1", None),
        PENDING,
        "new has no valid entry yet",
        entry={"published_at": "2999-01-01T00:00:00Z"},
        kv=(7, "new", None),
    ),
    "a latest whose entry is invalid": PointerCase(
        {"revision": 7, "latest_tag": "new"},
        (8, "v1", None),
        REVERTED,
        "new is not in the catalog",
        entry={"published_at": "soon"},
    ),
    "a latest whose entry is of another variant": PointerCase(
        {"revision": 7, "latest_tag": "new"},
        (8, "v1", None),
        REVERTED,
        "new is not in the catalog",
        entry={"variant": "beta"},
    ),
    "a latest whose digest is another's": PointerCase(
        {"revision": 7, "latest_tag": "new"},
        (8, "v1", None),
        REVERTED,
        "new is not in the catalog",
        entry={"image_digest": digest("v1")},
    ),
    "a latest that the catalog can take in": PointerCase(
        {"revision": 7, "latest_tag": "new"},
        (7, "new", None),
        {"kv", VERSION, *ADOPTED},
        entry={"image_digest": digest("new")},
    ),
    "a candidate that the catalog can take in": PointerCase(
        {"revision": 7, "latest_tag": "v1", "candidate_tag": "new"} | ROLLOUT,
        (7, "v1", "new"),
        {VERSION, MIRROR, "kiloclaw_audit_log"},
        entry={},
    ),
}
