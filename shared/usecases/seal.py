"""Seal the audit log, so that whatever is changed in it afterwards is found."""

from dataclasses import dataclass
from time import monotonic

from shared.catalog.transaction import Catalog, Transaction
from shared.domain.seals import LoggedEvent, Seal, make_seal

BATCH = 10_000
"""The most events of a seal."""


@dataclass(frozen=True, slots=True)
class Sealing:
    """How many events were sealed, how many are overdue, and the newest seal of all."""

    sealed: int
    overdue: int
    newest: Seal | None


def seal_events(catalog: Catalog, seconds: float) -> Sealing:
    """Seal all events whose transaction is older than every transaction still running.

    No batch begins after `seconds`. Of concurrent calls one seals, and the others return.
    Raises CatalogUnavailable.
    """
    end = monotonic() + seconds
    sealed = 0
    while True:
        with catalog.transaction() as tx:
            tx.extend_deadline(seconds)
            count = _seal_next(tx) if tx.seals.try_lock() else 0
        sealed += count
        if count < BATCH or monotonic() > end:
            break
    with catalog.transaction() as tx:
        newest = tx.seals.newest()
        spans = tx.seals.horizons().open(newest)
        overdue = sum(tx.seals.count_unsealed(span).overdue for span in spans)
    return Sealing(sealed, overdue, newest)


def _seal_next(tx: Transaction) -> int:
    """Add the next seal; how many events it covers, 0 if there is nothing to seal."""
    previous = tx.seals.newest()
    horizons = tx.seals.horizons()
    # What a dump left unsealed goes into one seal: only that tells old transactions from new.
    limit = None if horizons.has_restarted(previous) else BATCH + 1
    events: list[LoggedEvent] = []
    for span in horizons.ended(previous):
        events += tx.seals.unsealed(span, limit)
    horizon = horizons.oldest
    if limit and len(events) == limit:
        horizon = int(events.pop().transaction_id)
    if not events:
        return 0
    events.sort(key=lambda event: event.id)
    seal, hashes = make_seal(previous, events, horizon)
    tx.seals.add(seal, [event.id for event in events], hashes)
    return len(events)
