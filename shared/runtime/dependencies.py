"""What a sandbox keeps between events: its connections, its settings, its telemetry."""

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from shared.catalog.connection import CATALOG_SECONDS, Database
from shared.deadline import Deadline
from shared.kv import KV
from shared.kv.table import Table, connect
from shared.runtime.database_token import connect_database
from shared.runtime.settings import CatalogSettings, Settings
from shared.runtime.telemetry import Telemetry

if TYPE_CHECKING:
    from shared.catalog.transaction import Catalog

EVENT_SECONDS = 6.0


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogDependencies:
    """The catalog, and where logs and metrics go."""

    database: Database
    telemetry: Telemetry

    @property
    def catalog(self) -> "Catalog":
        # Imported late: provisioning starts faster without what it never uses.
        from shared.catalog.transaction import Catalog  # noqa: PLC0415

        return Catalog(self.database)

    @property
    def stores(self) -> Mapping[str, Database | Table]:
        """What shares an event's deadline, by the metric that counts its errors."""
        return {"CatalogErrors": self.database}

    @contextmanager
    def event(self, request_id: str | None, seconds: float = EVENT_SECONDS) -> Generator[None]:
        """Set the event's deadline; at its end write its metrics and the stores' errors."""
        deadline = Deadline(seconds, CATALOG_SECONDS)
        for store in self.stores.values():
            store.deadline = deadline
        with self.telemetry.event(request_id):
            try:
                yield
            finally:
                for metric, store in self.stores.items():
                    self._report(metric, store.errors)

    def _report(self, metric: str, errors: list[str]) -> None:
        """Count a store's error answers, including those that the event got by without."""
        if errors:
            self.telemetry.count(metric, len(errors))
            codes = sorted(set(errors))
            self.telemetry.log("a store answered with errors", level="error", codes=codes)
            errors.clear()


@dataclass(frozen=True, slots=True, kw_only=True)
class Dependencies(CatalogDependencies):
    """Both stores, the settings, and where logs and metrics go."""

    settings: Settings
    kv: KV

    @property
    def stores(self) -> Mapping[str, Database | Table]:
        return {"CatalogErrors": self.database, "KVErrors": self.kv.table}


def wire(settings: Settings) -> Dependencies:
    """Connect nothing yet: a snapshot of a sandbox must hold neither connection nor secret.

    For the same reason `wire` is called by the first event, not at import: a client keeps
    credentials.
    """
    return Dependencies(
        settings=settings,
        database=connect_database(settings.conninfo, iam=settings.database_iam),
        kv=KV(connect(), settings.table_name),
        telemetry=Telemetry(),
    )


def wire_catalog(settings: CatalogSettings) -> CatalogDependencies:
    """Connect nothing yet, as `wire`."""
    database = connect_database(settings.conninfo, iam=settings.database_iam)
    return CatalogDependencies(database=database, telemetry=Telemetry())
