"""Figures of the whole fleet, which take a while to count when it is large."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from time import monotonic
from weakref import WeakKeyDictionary

from shared.catalog.connection import Database
from shared.catalog.fleet import Share
from shared.catalog.transaction import Transaction
from shared.kv import KV
from shared.usecases.instances import FleetCounts, count_instances

LARGE = 100_000
"""A fleet of more instances is counted once a minute, or when something was changed."""
KEPT_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class FleetFigures:
    """How many instances there are, and what they run; `as_of` is the age of both."""

    counts: FleetCounts
    shares: Sequence[Share]
    as_of: datetime | None


@dataclass(frozen=True, slots=True)
class _Kept:
    """Figures, with the newest audit event when they were counted."""

    figures: FleetFigures
    event: int | None
    until: float


_kept: WeakKeyDictionary[Database, _Kept] = WeakKeyDictionary()


def read_figures(
    tx: Transaction, kv: KV, database: Database, event: int | None
) -> FleetFigures:
    """Count the fleet. A large one may have been counted up to a minute ago.

    `event` is the newest of the audit log: when it is another one, a decision has changed, and
    what was counted before does not hold any more.
    """
    kept = _kept.get(database)
    if kept is not None and kept.event == event and monotonic() < kept.until:
        return kept.figures
    figures = FleetFigures(
        count_instances(tx, kv), tx.fleet.distribution(None), tx.fleet.as_of()
    )
    if figures.counts.total > LARGE:
        _kept[database] = _Kept(figures, event, monotonic() + KEPT_SECONDS)
    return figures
