"""Brings the database's roles and schema up to this release; runs once a deployment."""

from collections.abc import Generator
from contextlib import contextmanager
from os import environ
from typing import Any, Protocol

from shared.catalog.connection import Database
from shared.catalog.migrate import create_roles, migrate
from shared.domain.errors import InvalidRequest
from shared.runtime.database_token import connects
from shared.runtime.settings import MigrateSettings

MARGIN_SECONDS = 5.0
"""Kept of the function's time, to say that the rest was not enough."""


class Context(Protocol):
    def get_remaining_time_in_millis(self) -> int: ...


def handler(event: object, context: Context) -> dict[str, Any]:
    """`{"applied": [names]}`. Raises InvalidRequest, MigrationEdited, CatalogUnavailable."""
    if event != {}:
        raise InvalidRequest(("payload", "must be {}"))
    settings = MigrateSettings.read(environ)
    if settings.setup_conninfo:
        with _database(settings.setup_conninfo, settings, context) as database:
            create_roles(database)
    with _database(settings.conninfo, settings, context) as database:
        return {"applied": migrate(database)}


@contextmanager
def _database(
    conninfo: str, settings: MigrateSettings, context: Context
) -> Generator[Database]:
    """May take all the time that the function has: a large table needs it."""
    database = connects(conninfo, iam=settings.database_iam)
    database.set_deadline(context.get_remaining_time_in_millis() / 1000 - MARGIN_SECONDS)
    try:
        yield database
    finally:
        database.close()
