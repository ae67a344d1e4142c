"""The rules of the scheduled reconcile: what becomes of every entry, decided without I/O."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal, NamedTuple

from shared.domain.model import ImageEntry
from shared.domain.values import ImageDigest, ImageTag, OpenclawVersion, Variant

Outcome = Literal["ok", "skipped_locked", "suspect_partial"]
Code = Literal[
    "digest_in_use",
    "digest_changed",
    "variant_changed",
    "invalid_entry",
    "invalid_pointer",
    "pointer_pending",
    "missing",
]
SHOWN = 128
BELIEVED_AFTER = 3
GOOD_SHARE = 0.8


class Known(NamedTuple):
    """What the catalog has under a tag."""

    image_tag: ImageTag
    image_digest: ImageDigest | None
    openclaw_version: OpenclawVersion
    variant: Variant
    retired: bool = False
    missing: bool = False


class Finding(NamedTuple):
    """Something to be mended by people. `image_tag` is the variant if a pointer is wrong."""

    image_tag: str
    code: Code
    detail: str


class PastRun(NamedTuple):
    """A run that read the KV."""

    outcome: Outcome
    seen: int


@dataclass(slots=True)
class Batch:
    """What becomes of every entry. `fill` and `update` overlap with nothing."""

    insert: list[ImageEntry] = field(default_factory=list)
    deferred: list[ImageEntry] = field(default_factory=list)
    fill: list[ImageEntry] = field(default_factory=list)
    update: list[ImageEntry] = field(default_factory=list)
    unchanged: int = 0
    conflicts: list[Finding] = field(default_factory=list)
    missing: list[ImageTag] = field(default_factory=list)
    returned: list[ImageTag] = field(default_factory=list)


def escape_untrusted(text: object) -> str:
    """A hostile text as people may see it: printable ASCII, short."""
    return str(text).encode("unicode_escape").decode("ascii")[:SHOWN]


def classify(
    entries: Iterable[ImageEntry],
    known: Mapping[ImageTag, Known],
    present: Collection[ImageTag],
    cap: int,
    claimed: Mapping[ImageDigest, ImageTag] = MappingProxyType({}),
) -> Batch:
    """Sort entries into what is to be done with them, the earliest published first.

    `present` are the tags that the KV holds, valid or not; `cap` limits inserts, 0 does not;
    `claimed` are the digests whose claims were asked for, with their holders.
    """
    batch = Batch()
    owners = dict(claimed)
    owners |= {row.image_digest: row.image_tag for row in known.values() if row.image_digest}
    for entry in sorted(entries, key=lambda entry: (entry.published_at, entry.image_tag)):
        row = known.get(entry.image_tag)
        if row is not None and row.retired:
            batch.unchanged += 1
        elif conflict := _conflict(entry, row, owners):
            batch.conflicts.append(conflict)
        else:
            if entry.image_digest:
                owners[entry.image_digest] = entry.image_tag
            _place(entry, row, batch, cap)
    _compare_presence(known, present, batch)
    return batch


def _conflict(
    entry: ImageEntry, row: Known | None, owners: Mapping[ImageDigest, ImageTag]
) -> Finding | None:
    digest = entry.image_digest
    if row is not None and row.variant != entry.variant:
        detail = f"variant is {row.variant} and stays so"
        return Finding(entry.image_tag, "variant_changed", detail)
    if row is not None and digest and row.image_digest not in {None, digest}:
        detail = f"digest is {row.image_digest} and stays so"
        return Finding(entry.image_tag, "digest_changed", detail)
    owner = owners.get(digest, entry.image_tag) if digest else entry.image_tag
    return None if owner == entry.image_tag else digest_in_use(entry.image_tag, owner)


def digest_in_use(tag: ImageTag, owner: ImageTag) -> Finding:
    return Finding(tag, "digest_in_use", f"the digest belongs to {escape_untrusted(owner)}")


def _place(entry: ImageEntry, row: Known | None, batch: Batch, cap: int) -> None:
    if row is None:
        full = cap and len(batch.insert) >= cap
        (batch.deferred if full else batch.insert).append(entry)
    elif entry.image_digest and row.image_digest is None:
        batch.fill.append(entry)
    elif entry.openclaw_version != row.openclaw_version:
        batch.update.append(entry)
    else:
        batch.unchanged += 1


def _compare_presence(
    known: Mapping[ImageTag, Known], present: Collection[ImageTag], batch: Batch
) -> None:
    for tag, row in known.items():
        if row.retired:
            continue
        if tag in present and row.missing:
            batch.returned.append(tag)
        elif tag not in present and not row.missing:
            batch.missing.append(tag)


def is_suspect(seen: int, past: Iterable[PastRun]) -> bool:
    """Did too few entries arrive to believe that the others are gone?

    `past` is the newest first. The same count three runs running is believed.
    """
    runs = list(past)
    good = next((run.seen for run in runs if run.outcome == "ok"), None)
    if good is None or seen >= GOOD_SHARE * good:
        return False
    before = runs[: BELIEVED_AFTER - 1]
    believed = len(before) == BELIEVED_AFTER - 1 and all(
        run == PastRun("suspect_partial", seen) for run in before
    )
    return not believed
