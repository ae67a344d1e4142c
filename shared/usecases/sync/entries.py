"""Read the KV's image entries, and claim the digests of those that will be written."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from time import monotonic

from shared.domain.entries import Tombstone, parse_entry
from shared.domain.errors import InvalidValue
from shared.domain.model import ImageEntry
from shared.domain.sync import Sorting
from shared.domain.sync_report import Finding
from shared.domain.values import ImageTag, escape_untrusted
from shared.kv import KV

CLAIMS_A_ROUND = 200


@dataclass(slots=True)
class KVEntries:
    """Every image entry of the KV. `present` are the tags of all that are not tombstones."""

    valid: list[ImageEntry] = field(default_factory=list)
    invalid: list[Finding] = field(default_factory=list)
    present: set[str] = field(default_factory=set)
    buried: set[ImageTag] = field(default_factory=set)

    @property
    def tags(self) -> set[str]:
        return self.present | self.buried

    @property
    def seen(self) -> int:
        return len(self.tags)


def read_entries(kv: KV, now: datetime) -> KVEntries:
    """Read and validate every entry. Raises KVUnavailable."""
    entries = KVEntries()
    for sort_key, item in kv.entries.read_all():
        try:
            entry = parse_entry(sort_key, item, now)
        except InvalidValue as error:
            entries.present.add(sort_key)
            tag = escape_untrusted(sort_key)
            entries.invalid.append(Finding(tag, "invalid_entry", str(error)))
            continue
        if isinstance(entry, Tombstone):
            entries.buried.add(entry.image_tag)
        else:
            entries.present.add(sort_key)
            entries.valid.append(entry)
    return entries


@dataclass(slots=True)
class Claims:
    """The claims of one run. After `ends`, on the monotonic clock, no more are taken.

    `insert` and `fill` are the entries whose digests the run may write: they have their claims.
    """

    kv: KV
    token: str
    ends: float | None
    insert: list[ImageEntry] = field(default_factory=list)
    fill: list[ImageEntry] = field(default_factory=list)
    unclaimed: int = 0

    def take(self, sorting: Sorting, cap: int, named: set[str]) -> None:
        """Claim the digests of new entries, up to `cap`, and of those that became known.

        Entries that a pointer names do not count against the cap; 0 is no cap. Where somebody
        else holds a claim, the entries with that digest are sorted again.
        """
        capped = 0
        while self.ends is None or monotonic() <= self.ends:
            room = cap - capped if cap else CLAIMS_A_ROUND
            new = sorting.take_new(CLAIMS_A_ROUND, room)
            fill = sorting.take_fill(CLAIMS_A_ROUND)
            if not new and not fill:
                return
            claimed = self._claim(new, sorting)
            capped += sum(entry.image_tag not in named for entry in claimed)
            self.insert += claimed
            self.fill += self._claim(fill, sorting)

    def _claim(self, entries: Sequence[ImageEntry], sorting: Sorting) -> list[ImageEntry]:
        """Return the entries that now hold the claim on their digest, or need none."""
        claimed: list[ImageEntry] = []
        holders = self.kv.entries.claim_all(entries, self.token, self.ends)
        for entry, holder in zip(entries, holders, strict=True):
            if holder == entry.image_tag:
                claimed.append(entry)
            elif holder is None:
                self.unclaimed += 1
            elif entry.image_digest:
                sorting.assign_digest(entry.image_digest, holder)
        return claimed
