"""What a sandbox keeps between events: its connections, its settings, its telemetry."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from shared.catalog.connection import CATALOG_SECONDS, Database
from shared.kv import KV
from shared.kv.sessions import Sessions
from shared.kv.table import Table, connect
from shared.runtime.database_token import connect_database
from shared.runtime.event import EventDependencies, Store
from shared.runtime.settings import CatalogSettings, ConsoleSettings, Settings
from shared.runtime.telemetry import Telemetry

if TYPE_CHECKING:
    from shared.catalog.transaction import Catalog


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogDependencies(EventDependencies):
    """The catalog, and where logs and metrics go."""

    catalog_seconds: ClassVar[float] = CATALOG_SECONDS

    database: Database

    @property
    def catalog(self) -> "Catalog":
        # Imported late: provisioning starts faster without what it never uses.
        from shared.catalog.transaction import Catalog  # noqa: PLC0415

        return Catalog(self.database)

    @property
    def stores(self) -> Mapping[str, Store]:
        return {"CatalogErrors": self.database}


@dataclass(frozen=True, slots=True, kw_only=True)
class Dependencies(CatalogDependencies):
    """Both stores, the settings, and where logs and metrics go."""

    settings: Settings
    kv: KV

    @property
    def stores(self) -> Mapping[str, Store]:
        return {"CatalogErrors": self.database, "KVErrors": self.kv.table}


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsoleDependencies(Dependencies):
    """What the admin API has, and the sessions. `origin` is where browsers see the console."""

    sessions: Sessions
    origin: str

    @property
    def stores(self) -> Mapping[str, Store]:
        return {
            "CatalogErrors": self.database,
            "KVErrors": self.kv.table,
            "SessionErrors": self.sessions.table,
        }


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


def wire_console(settings: ConsoleSettings) -> ConsoleDependencies:
    """Connect nothing yet, as `wire`. Both tables share a client."""
    admin, sessions, client = settings.admin, settings.sessions, connect()
    return ConsoleDependencies(
        settings=admin,
        database=connect_database(admin.conninfo, iam=admin.database_iam),
        kv=KV(client, admin.table_name),
        sessions=Sessions(Table(client, sessions.table_name)),
        origin=sessions.origin,
        telemetry=Telemetry(),
    )


def wire_catalog(settings: CatalogSettings) -> CatalogDependencies:
    """Connect nothing yet, as `wire`."""
    database = connect_database(settings.conninfo, iam=settings.database_iam)
    return CatalogDependencies(database=database, telemetry=Telemetry())
