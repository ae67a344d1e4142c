"""The catalog's part of `sync`, against doing it row by row."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import TYPE_CHECKING, Any, cast

from shared.catalog.transaction import Catalog
from shared.domain.model import ImageEntry
from shared.domain.values import rfc3339
from shared.usecases.sync import run_sync
from tests.benchmarks.measuring import Measurement, at_least, at_most, seconds
from tests.support.stores import Stores

if TYPE_CHECKING:
    from shared.domain.sync_report import SyncReport
    from shared.kv import KV

ENTRIES = 10_000
EPOCH = datetime(2026, 1, 1, tzinfo=UTC)


class _EntriesInMemory:
    """The KV's entries without the KV: what is measured is the catalog's part."""

    def __init__(self, items: list[tuple[str, dict[str, object]]]) -> None:
        self.items = items

    def read_all(self) -> Iterator[tuple[str, dict[str, object]]]:
        yield from self.items

    def claim_all(self, entries: list[ImageEntry], *_: object) -> list[str]:
        return [entry.image_tag for entry in entries]

    def bury_all(self, *_: object) -> list[bool]:
        return []


class _KVInMemory:
    class pointers:  # noqa: N801
        @staticmethod
        def variants() -> list[str]:
            return []

        @staticmethod
        def named_tags() -> set[str]:
            return set()

        @staticmethod
        def read(*_: object) -> Any:
            from shared.domain.pointer import StoredPointer  # noqa: PLC0415

            return StoredPointer()

    def __init__(self, items: list[tuple[str, dict[str, object]]]) -> None:
        self.entries = _EntriesInMemory(items)


def measure(by_set: Stores, by_row: Stores) -> Iterator[Measurement]:
    """Many new entries at once, one by one, and once more with nothing changed."""
    entries = [_entry(number) for number in range(ENTRIES)]
    kv = cast("KV", _KVInMemory([(entry.image_tag, _item(entry)) for entry in entries]))
    catalog = by_set.catalog("sync")
    reports: list[SyncReport] = []

    def sync() -> None:
        reports.append(run_sync(catalog=catalog, kv=kv, cap=0, trigger="direct"))

    first = seconds(sync)
    rows = by_row.catalog("sync", seconds=600)
    one_by_one = seconds(lambda: _row_by_row(rows, entries))
    written = _rows_written(by_set)
    again = seconds(sync)
    catalog.database.close()
    rows.database.close()
    assert [report.inserted for report in reports] == [ENTRIES, 0]
    yield at_least(
        f"sync of {ENTRIES:,} new entries, catalog part, against row by row",
        one_by_one / first,
        12,
    )
    yield at_most(
        "the same sync again: rows written", _rows_written(by_set) - written, 0, "rows"
    )
    yield at_most("the same sync again, against the first", again / first, 0.5)


def _entry(number: int) -> ImageEntry:
    digest = "sha256:" + sha256(str(number).encode()).hexdigest()
    published_at = EPOCH + timedelta(minutes=number)
    return ImageEntry(f"image-{number}", "2026.1.1", "default", published_at, digest)


def _item(entry: ImageEntry) -> dict[str, object]:
    return {
        "image_tag": entry.image_tag,
        "image_digest": entry.image_digest,
        "openclaw_version": entry.openclaw_version,
        "variant": entry.variant,
        "published_at": rfc3339(entry.published_at),
    }


def _row_by_row(catalog: Catalog, entries: list[ImageEntry]) -> None:
    for entry in entries:
        _row_at_a_time(catalog, entry)


def _row_at_a_time(catalog: Catalog, entry: ImageEntry) -> None:
    """Find the digest's owner, look for the tag, upsert, commit."""
    with catalog.transaction() as tx:
        tx.versions.owner(entry.image_digest or "")
        tx.connection.execute(
            "SELECT image_digest, openclaw_version, variant FROM kiloclaw_available_versions"
            " WHERE image_tag = %(tag)s",
            {"tag": entry.image_tag},
        ).fetchone()
        tx.versions.insert_found(entry)


def _rows_written(stores: Stores) -> int:
    """Rows inserted, updated and deleted so far, the record of runs aside."""
    with stores.server_connection() as connection:
        [(rows,)] = connection.execute(
            "SELECT coalesce(sum(n_tup_ins + n_tup_upd + n_tup_del), 0)"
            "  FROM pg_stat_user_tables WHERE relname <> 'kiloclaw_sync_runs'"
        ).fetchall()
        return int(rows)
