"""What a batch of the table's stream changes in the fleet's copy."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar

from shared.domain.model import Instance
from shared.domain.values import UserId


@dataclass(frozen=True, slots=True)
class Removal:
    """A record that was deleted; a row decided later than it belongs to a newer instance."""

    user_id: UserId
    decided_at: datetime


Change = Instance | Removal
T = TypeVar("T", Instance, Removal)


@dataclass(slots=True)
class Changes:
    """What a batch comes to: records removed, then records put, at most one a user of each.

    A removal is kept even if a put follows: the put may have been decided before the record
    that was removed, and the row of that one would block it. `skipped` counts malformed
    records; `newest` is when the newest record was written.
    """

    removed: dict[UserId, Removal] = field(default_factory=dict)
    put: dict[UserId, Instance] = field(default_factory=dict)
    skipped: int = 0
    newest: datetime | None = None

    @property
    def users(self) -> list[UserId]:
        return sorted(self.removed.keys() | self.put.keys())

    @property
    def instances(self) -> list[Instance]:
        return _in_order(self.put.values())

    @property
    def removals(self) -> list[Removal]:
        return _in_order(self.removed.values())

    def add(self, change: Change | None, written_at: datetime | None) -> None:
        """Take in the next change of the stream; None for a malformed one."""
        match change:
            case None:
                self.skipped += 1
            case Removal(user_id):
                self.put.pop(user_id, None)
                known = self.removed.get(user_id, change)
                self.removed[user_id] = max(change, known, key=lambda one: one.decided_at)
            case _:
                self.put[change.user_id] = change
        if written_at is not None:
            self.newest = max(self.newest or written_at, written_at)


def _in_order(changes: Iterable[T]) -> list[T]:
    """Sort by user, so that two batches lock rows in the same order."""
    return sorted(changes, key=lambda change: change.user_id)
