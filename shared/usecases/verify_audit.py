"""Verify the audit log: recompute its seals, and find the first event that was forged."""

from dataclasses import asdict, dataclass
from math import inf
from time import monotonic

from shared.catalog.transaction import Catalog, Transaction
from shared.domain.seals import Seal, find_altered_seal, find_bad_events
from shared.usecases.preview import snapshot
from shared.usecases.seal import BATCH


@dataclass(frozen=True, slots=True)
class Verification:
    """What was recomputed, and what was found.

    `sealed_through` is the highest id of a sealed event, None before the first seal. `seals`
    with `events` were recomputed; `complete` says that those are all. `unsealed` events wait
    for a run of `sync`. `first_bad_event` is None if nothing is wrong.
    """

    sealed_through: int | None
    events: int
    seals: int
    unsealed: int
    first_bad_event: int | None
    complete: bool

    @property
    def ok(self) -> bool:
        return self.first_bad_event is None

    def as_json(self) -> dict[str, int | bool | None]:
        return {**asdict(self), "ok": self.ok}


FIRST_ID = -(2**63)
"""No id of an event is smaller, not even a forged one."""


class _Progress:
    """What was recomputed so far: the newest seals, down to the event with id `low`."""

    def __init__(self) -> None:
        self.events = 0
        self.seals = 0
        self.low = FIRST_ID
        self.bad: list[int] = []
        self.doubts: list[tuple[int, int]] = []

    @property
    def first_bad_event(self) -> int | None:
        """The lowest id of a bad event; a doubtful seal without one counts by its first."""
        vague = [
            first
            for first, last in self.doubts
            if not any(first <= event_id <= last for event_id in self.bad)
        ]
        return min(self.bad + vague, default=None)


def verify_audit(
    catalog: Catalog, *, events: float = inf, seconds: float = inf
) -> Verification:
    """Recompute the newest seals, until they cover so many events or time is up.

    Reads one snapshot, a batch at a time, and writes nothing. Raises CatalogUnavailable.
    """
    end = monotonic() + seconds
    with snapshot(catalog) as tx:
        tx.extend_deadline(seconds)
        newest = tx.seals.newest()
        progress = _Progress()
        left = newest
        while left and progress.events < events and monotonic() < end:
            left = _recompute(tx, left, progress)
        if left is None:
            progress.low = FIRST_ID
        unsealed = _look_at_unsealed(tx, newest, progress)
    return Verification(
        sealed_through=newest.sealed_through if newest else None,
        events=progress.events,
        seals=progress.seals,
        unsealed=unsealed,
        first_bad_event=progress.first_bad_event,
        complete=left is None,
    )


def _recompute(tx: Transaction, newest: Seal, progress: _Progress) -> Seal | None:
    """Recompute a batch of seals down from `newest`, and return the one before them."""
    seals = tx.seals.page(newest.id, BATCH)
    before = previous = tx.seals.newest(below=seals[0].id)
    covered = tx.seals.covered(before.id if before else FIRST_ID, newest.id)
    for seal in seals:
        events = covered.pop(seal.id, [])
        progress.bad += find_bad_events(events)
        if doubt := find_altered_seal(previous, seal, events):
            progress.doubts.append(doubt)
        progress.events += len(events)
        previous = seal
    # What is left belongs to no seal.
    progress.bad += [events[0].id for events in covered.values()]
    progress.seals += len(seals)
    progress.low = min(seal.last_event_id for seal in seals)
    return before


def _look_at_unsealed(tx: Transaction, newest: Seal | None, progress: _Progress) -> int:
    """Count the events without a seal, and find those that cannot rightly be without one."""
    horizons = tx.seals.horizons()
    counts = [tx.seals.count_unsealed(span) for span in horizons.open(newest)]
    uncovered = tx.seals.first_uncovered(progress.low, horizons.settled(newest))
    found = [uncovered, *(count.inserted for count in counts)]
    progress.bad += [event_id for event_id in found if event_id is not None]
    return sum(count.events for count in counts)
