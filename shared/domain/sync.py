"""The rules of `sync`: what becomes of every image entry, decided without I/O."""

from collections import defaultdict, deque
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from heapq import heappop, heappush
from typing import NamedTuple, cast

from shared.domain.identity import find_conflict
from shared.domain.model import ImageEntry
from shared.domain.sync_report import Code, Finding, Outcome
from shared.domain.values import ImageDigest, ImageTag, OpenclawVersion, Variant

TRUSTED_AFTER = 3
GOOD_SHARE = 0.8

Rank = tuple[bool, datetime, ImageTag]
"""Sort key of new entries: first those that a pointer names, then the oldest."""


class Known(NamedTuple):
    """What the catalog has under a tag."""

    image_tag: ImageTag
    image_digest: ImageDigest | None
    openclaw_version: OpenclawVersion
    variant: Variant
    retired: bool = False
    missing: bool = False


class PastRun(NamedTuple):
    """A run that read the KV."""

    outcome: Outcome
    seen: int


class Presence(NamedTuple):
    """Versions that the KV has lost since the last run, and those that are back."""

    lost: list[ImageTag]
    returned: list[ImageTag]


class Sorting:
    """Image entries, sorted by what is to be done with them. Each is in one place.

    Of several entries with one digest the earliest published has it, until `assign_digest` says
    otherwise. `named` are the tags that a pointer of the KV names: of the new entries they come
    first, then the oldest.
    """

    def __init__(
        self,
        entries: Iterable[ImageEntry],
        known: Mapping[ImageTag, Known],
        named: Collection[str] = (),
    ) -> None:
        self.fill: deque[ImageEntry] = deque()
        self.update: list[ImageEntry] = []
        self.unchanged = 0
        self.conflicts: dict[ImageTag, Finding] = {}
        self._new: list[tuple[Rank, ImageEntry]] = []
        self._known = known
        self._named = named
        self._owners = {
            row.image_digest: row.image_tag for row in known.values() if row.image_digest
        }
        self._by_digest: dict[ImageDigest, list[ImageEntry]] = defaultdict(list)
        for entry in sorted(entries, key=lambda entry: (entry.published_at, entry.image_tag)):
            if entry.image_digest:
                self._by_digest[entry.image_digest].append(entry)
            self._place(entry)

    @property
    def new(self) -> list[ImageEntry]:
        """The new entries that have not been taken, in order."""
        return [entry for _, entry in sorted(self._new)]

    def take_new(self, most: int, room: int) -> list[ImageEntry]:
        """Remove and return at most `most` new entries.

        At most `room` of them are entries that no pointer names.
        """
        taken: list[ImageEntry] = []
        while self._new and len(taken) < most:
            _, entry = self._new[0]
            if entry.image_tag not in self._named:
                if not room:
                    break
                room -= 1
            heappop(self._new)
            taken.append(entry)
        return taken

    def take_fill(self, most: int) -> list[ImageEntry]:
        """Remove and return at most `most` entries whose digest became known."""
        return [self.fill.popleft() for _ in range(min(most, len(self.fill)))]

    def assign_digest(self, digest: ImageDigest, holder: ImageTag) -> None:
        """Sort the entries with this digest again: its claim turned out to be `holder`'s.

        Whichever of them had the digest so far must have been taken.
        """
        self._owners[digest] = holder
        for entry in self._by_digest[digest]:
            if not self._is_retired(entry):
                self.conflicts.pop(entry.image_tag, None)
                self._place(entry)

    def _is_retired(self, entry: ImageEntry) -> bool:
        row = self._known.get(entry.image_tag)
        return row is not None and row.retired

    def _place(self, entry: ImageEntry) -> None:
        tag, digest = entry.image_tag, entry.image_digest
        row = self._known.get(tag)
        if self._is_retired(entry):
            self.unchanged += 1
        elif conflict := find_conflict(
            entry, row, self._owners.get(digest) if digest else None
        ):
            self.conflicts[tag] = Finding(tag, cast("Code", conflict.code), conflict.detail)
        else:
            if digest:
                self._owners[digest] = tag
            self._place_wanted(entry, row)

    def _place_wanted(self, entry: ImageEntry, row: Known | None) -> None:
        if row is None:
            tag = entry.image_tag
            rank = tag not in self._named, entry.published_at, tag
            heappush(self._new, (rank, entry))
        elif entry.image_digest and row.image_digest is None:
            self.fill.append(entry)
        elif entry.openclaw_version != row.openclaw_version:
            self.update.append(entry)
        else:
            self.unchanged += 1


def compare_presence(
    known: Mapping[ImageTag, Known], present: Collection[ImageTag]
) -> Presence:
    """Compare the catalog with `present`: the tags that the KV holds, valid or not."""
    live = [row for row in known.values() if not row.retired]
    return Presence(
        [row.image_tag for row in live if row.image_tag not in present and not row.missing],
        [row.image_tag for row in live if row.image_tag in present and row.missing],
    )


def is_suspect(seen: int, past: Iterable[PastRun]) -> bool:
    """Whether too few entries arrived to believe that the others are gone.

    `past` is the newest first. The same count three runs running is believed.
    """
    runs = list(past)
    good = next((run.seen for run in runs if run.outcome == "ok"), None)
    if good is None or seen >= GOOD_SHARE * good:
        return False
    before = runs[: TRUSTED_AFTER - 1]
    trusted = len(before) == TRUSTED_AFTER - 1 and all(
        run == PastRun("suspect_partial", seen) for run in before
    )
    return not trusted
