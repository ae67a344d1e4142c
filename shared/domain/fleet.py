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
    """The last change of each user in a batch.

    `skipped` counts malformed records; `newest` is when the newest record was written.
    """

    by_user: dict[UserId, Change] = field(default_factory=dict)
    skipped: int = 0
    newest: datetime | None = None

    @property
    def instances(self) -> list[Instance]:
        return _in_order(one for one in self.by_user.values() if isinstance(one, Instance))

    @property
    def removals(self) -> list[Removal]:
        return _in_order(one for one in self.by_user.values() if isinstance(one, Removal))

    def add(self, change: Change | None, written_at: datetime | None) -> None:
        """Take in the next change of the stream; None for a malformed one."""
        if change is None:
            self.skipped += 1
        else:
            self.by_user[change.user_id] = change
        if written_at is not None:
            self.newest = max(self.newest or written_at, written_at)


def _in_order(changes: Iterable[T]) -> list[T]:
    """Sort by user, so that two batches lock rows in the same order."""
    return sorted(changes, key=lambda change: change.user_id)
