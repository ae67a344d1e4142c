"""What a sandbox keeps between events: its connections, its logger, its metrics."""

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from shared.catalog.connection import Database
from shared.kv import KV
from shared.kv.table import connect
from shared.runtime.database_token import connects
from shared.runtime.settings import Settings
from shared.runtime.telemetry import Telemetry

if TYPE_CHECKING:
    from shared.catalog.transaction import Catalog

EVENT_SECONDS = 6.0
CATALOG_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class Dependencies:
    """The two stores, the settings, and where to tell what happened."""

    settings: Settings
    database: Database
    kv: KV
    telemetry: Telemetry

    @property
    def catalog(self) -> "Catalog":
        # Imported late: provisioning starts faster without what it never uses.
        from shared.catalog.transaction import Catalog  # noqa: PLC0415

        return Catalog(self.database)

    @contextmanager
    def event(
        self, request_id: str | None, seconds: float | None = EVENT_SECONDS
    ) -> Generator[None]:
        """One event: the time it has from now on, and its metrics written at its end.

        `seconds` None lets the KV's calls go on for as long as the catalog allows.
        """
        self.database.set_deadline(CATALOG_SECONDS)
        self.kv.table.set_deadline(seconds)
        with self.telemetry.event(request_id):
            yield


def wire(settings: Settings) -> Dependencies:
    """Nothing connects before it is needed, so no snapshot of a sandbox holds a secret.

    For the same reason no client is made before the first event: it would keep credentials.
    """
    database = connects(settings.conninfo, iam=settings.database_iam)
    return Dependencies(settings, database, KV(connect(), settings.table_name), Telemetry())
