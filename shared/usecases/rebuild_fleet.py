"""Make the fleet's copy equal to the KV: in a new environment, or after a lost stream."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from itertools import chain
from time import monotonic
from typing import Any

from shared.catalog.transaction import Catalog
from shared.domain.errors import KVUnavailable
from shared.domain.fleet import Removal
from shared.domain.fleet_position import SEGMENTS, FleetPosition
from shared.domain.model import Instance
from shared.domain.values import UserId, parse_moment
from shared.kv import KV
from shared.kv.bulk import call_all

USERS_A_CALL = 100
CHECKED_AT_ONCE = 800
LAST_STEP_SECONDS = 10.0
"""How long the stores may be asked once no new step begins."""


@dataclass(slots=True)
class FleetReport:
    """How many records were read, and rows written and removed.

    `next` is where a further call goes on, None when the copy is equal.
    """

    read: int = 0
    written: int = 0
    removed: int = 0
    done: bool = False
    next: str | None = None

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def rebuild_fleet(
    position: FleetPosition, *, catalog: Catalog, kv: KV, seconds: float
) -> FleetReport:
    """Copy every record, then check every row against its record, for about so long.

    It may run beside everything else, the stream's batches included. Only a page of each
    segment is in memory. Raises CatalogUnavailable, and KVUnavailable if nothing could be read.
    """
    with catalog.transaction() as tx:
        tx.extend_deadline(seconds + LAST_STEP_SECONDS)
    rebuild = _Rebuild(catalog, kv, position, monotonic() + seconds)
    return rebuild.run()


class _Rebuild:
    """One call's part of a rebuild."""

    def __init__(self, catalog: Catalog, kv: KV, start: FleetPosition, ends: float) -> None:
        self._catalog = catalog
        self._kv = kv
        self._position = start
        self._ends = ends
        self._report = FleetReport()

    def run(self) -> FleetReport:
        start, report = self._position, self._report
        while self._step() and monotonic() < self._ends:
            pass
        if self._position == start and not report.done:
            raise KVUnavailable("the KV has no capacity to be read")
        report.next = None if report.done else self._position.to_text()
        return report

    def _step(self) -> bool:
        """Copy or check the next page; False once there is none, or it could not be read."""
        before = self._position
        if before.unread:
            self._copy()
        else:
            self._check()
        return self._position != before

    def _copy(self) -> None:
        """Read the next page of each segment and write its rows."""
        unread = dict(self._position.unread)
        segments = list(unread)
        read = self._kv.instances.read_segment
        pages = call_all(lambda one: read(one, SEGMENTS, unread[one]), segments)
        for segment, page in zip(segments, pages, strict=True):
            if page is not None:
                self._report.read += len(page.instances)
                self._write(page.instances)
                unread[segment] = page.last
                if page.last is None:
                    del unread[segment]
        self._position = replace(self._position, unread=unread)

    def _write(self, instances: Sequence[Instance]) -> None:
        with self._catalog.transaction() as tx:
            tx.fleet.take_turn()
            self._report.written += tx.fleet.upsert(instances)

    def _check(self) -> None:
        """Check the next rows: their records may have been destroyed after they were read."""
        with self._catalog.transaction() as tx:
            users = tx.fleet.users(self._position.checked, CHECKED_AT_ONCE)
        self._report.done = not users
        if users and self._make_agree(users):
            self._position = replace(self._position, checked=users[-1])

    def _make_agree(self, users: list[UserId]) -> bool:
        """Mend rows until each was seen to agree; False if the KV had no capacity.

        A row is read before its record. Whatever changes the record later is in the stream, and
        comes after everything that was read here.
        """
        while users:
            with self._catalog.transaction() as tx:
                rows = tx.fleet.decided(users)
            records = self._records(users)
            if records is None:
                return False
            users = [user for user in users if rows.get(user) != _decided(records.get(user))]
            self._mend(users, rows, records)
        return True

    def _records(self, users: list[UserId]) -> dict[UserId, Instance] | None:
        """Read the users' records; None if some could not be read."""
        chunks = [users[i : i + USERS_A_CALL] for i in range(0, len(users), USERS_A_CALL)]
        found = call_all(self._kv.instances.find_all, chunks)
        answered = [each for each in found if each is not None]
        if len(answered) < len(chunks):
            return None
        return dict(chain.from_iterable(each.items() for each in answered))

    def _mend(
        self,
        users: list[UserId],
        rows: Mapping[UserId, datetime],
        records: Mapping[UserId, Instance],
    ) -> None:
        """Replace rows by records. A row that changed since it was read is left alone."""
        known = [Removal(user, rows[user]) for user in users if user in rows]
        with self._catalog.transaction() as tx:
            tx.fleet.take_turn()
            tx.fleet.remove(row for row in known if row.user_id in records)
            gone = tx.fleet.remove(row for row in known if row.user_id not in records)
            self._report.removed += gone
            there = [records[user] for user in users if user in records]
            self._report.written += tx.fleet.upsert(there)


def _decided(record: Instance | None) -> datetime | None:
    return parse_moment(record.decided_at) if record else None
