"""Brings the database's roles and schema up to this release; runs once a deployment."""

from collections.abc import Generator
from contextlib import contextmanager
from os import environ
from typing import Any, Protocol

from shared.catalog.connection import Database
from shared.catalog.migrate import create_roles, migrate
from shared.deadline import Deadline
from shared.domain.errors import InvalidRequest
from shared.runtime.database_token import connect_database
from shared.runtime.settings import MigrateSettings

MARGIN_SECONDS = 5.0
"""Kept of the function's time, to answer that the rest was not enough."""


class TimedContext(Protocol):
    """The part of Lambda's context that says how much time is left."""

    def get_remaining_time_in_millis(self) -> int: ...


def handler(event: object, context: TimedContext) -> dict[str, Any]:
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
    conninfo: str, settings: MigrateSettings, context: TimedContext
) -> Generator[Database]:
    """Open the database with all the time that the function has: large tables need it."""
    seconds = context.get_remaining_time_in_millis() / 1000 - MARGIN_SECONDS
    database = connect_database(conninfo, iam=settings.database_iam)
    database.deadline = Deadline(seconds, seconds)
    try:
        yield database
    finally:
        database.close()
