"""What the KV may hold beside a mirror of v1 at revision 3, and what becomes of it."""

from dataclasses import dataclass, field
from typing import Any

from tests.support.concurrent_actors import digest

Content = tuple[int, str | None, str | None]
"""Revision, latest, candidate."""
ROLLOUT = {"percent": 25, "salt": "salt"}


@dataclass(frozen=True)
class Case:
    """What the KV holds beside a mirror of v1 at revision 3, and what both hold afterwards."""

    pointer: dict[str, Any]
    then: Content
    wrote: set[str] = field(default_factory=set)
    fault: str | None = None
    entry: dict[str, Any] | None = None
    """The entry of `new`, which the catalog does not know."""


MIRROR = "kiloclaw_variants"
ADOPTED = {MIRROR, "kiloclaw_promotions", "kiloclaw_audit_log"}
FINDING = "kiloclaw_sync_findings"
VERSION = "kiloclaw_available_versions"
BROKEN = {"latest_tag": "latest"}

CASES = {
    "equal": Case({"revision": 3, "latest_tag": "v1"}, (3, "v1", None)),
    "missing": Case({}, (3, "v1", None), {"kv"}),
    "behind": Case({"revision": 2, "latest_tag": "v2"}, (3, "v1", None), {"kv"}),
    "behind and dead": Case(
        {"revision": 2, "latest_tag": "bad"},
        (4, "v1", None),
        {"kv", MIRROR, FINDING},
        "bad is disabled",
    ),
    "equal and dead": Case(
        {"revision": 3, "latest_tag": "bad"},
        (4, "v1", None),
        {"kv", MIRROR, FINDING},
        "bad is disabled",
    ),
    "ahead and retired": Case(
        {"revision": 7, "latest_tag": "gone"},
        (8, "v1", None),
        {"kv", MIRROR, FINDING},
        "gone is disabled",
    ),
    "ahead and malformed": Case(
        {"revision": 7} | BROKEN, (8, "v1", None), {"kv", MIRROR, FINDING}, "latest_tag"
    ),
    "a malformed revision": Case(
        {"revision": "7", "latest_tag": "v2"},
        (4, "v1", None),
        {"kv", MIRROR, FINDING},
        "revision",
    ),
    "no revision": Case(
        {"latest_tag": "v2"}, (4, "v1", None), {"kv", MIRROR, FINDING}, "revision"
    ),
    "a revision too far ahead": Case(
        {"revision": 1_000_004, "latest_tag": "v2"},
        (4, "v1", None),
        {"kv", MIRROR, FINDING},
        "revision",
    ),
    "ahead": Case({"revision": 7, "latest_tag": "v2"}, (7, "v2", None), ADOPTED),
    "ahead with the same": Case({"revision": 7, "latest_tag": "v1"}, (7, "v1", None), {MIRROR}),
    "ahead with a rollout": Case(
        {"revision": 7, "latest_tag": "v1", "candidate_tag": "v2"} | ROLLOUT,
        (7, "v1", "v2"),
        {MIRROR, "kiloclaw_audit_log"},
    ),
    "the same revision with another latest": Case(
        {"revision": 3, "latest_tag": "v2"}, (4, "v2", None), ADOPTED | {"kv"}
    ),
    "a candidate that is disabled": Case(
        {"revision": 7, "latest_tag": "v2", "candidate_tag": "bad"} | ROLLOUT,
        (8, "v2", None),
        ADOPTED | {"kv", FINDING},
        "candidate bad",
    ),
    "a candidate that nobody knows": Case(
        {"revision": 3, "latest_tag": "v1", "candidate_tag": "ghost"} | ROLLOUT,
        (4, "v1", None),
        {"kv", MIRROR, FINDING},
        "candidate ghost",
    ),
    "a latest that nobody knows": Case(
        {"revision": 7, "latest_tag": "ghost"},
        (8, "v1", None),
        {"kv", MIRROR, FINDING},
        "ghost is not in the catalog",
    ),
    "a latest whose entry is invalid": Case(
        {"revision": 7, "latest_tag": "new"},
        (8, "v1", None),
        {"kv", MIRROR, FINDING},
        "new is not in the catalog",
        entry={"published_at": "soon"},
    ),
    "a latest whose entry is of another variant": Case(
        {"revision": 7, "latest_tag": "new"},
        (8, "v1", None),
        {"kv", MIRROR, FINDING},
        "new is not in the catalog",
        entry={"variant": "beta"},
    ),
    "a latest whose digest is another's": Case(
        {"revision": 7, "latest_tag": "new"},
        (8, "v1", None),
        {"kv", MIRROR, FINDING},
        "new is not in the catalog",
        entry={"image_digest": digest("v1")},
    ),
    "a latest that the catalog can take in": Case(
        {"revision": 7, "latest_tag": "new"},
        (7, "new", None),
        {"kv", VERSION, *ADOPTED},
        entry={"image_digest": digest("new")},
    ),
    "a candidate that the catalog can take in": Case(
        {"revision": 7, "latest_tag": "v1", "candidate_tag": "new"} | ROLLOUT,
        (7, "v1", "new"),
        {VERSION, MIRROR, "kiloclaw_audit_log"},
        entry={},
    ),
}
