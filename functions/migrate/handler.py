"""Brings the database's schema up to this release; runs once a deployment."""

from functools import cache
from os import environ
from typing import Any

from shared.catalog.connection import Database
from shared.catalog.migrate import migrate
from shared.domain.errors import InvalidRequest
from shared.edge.settings import text

RUN_SECONDS = 280.0


@cache
def database() -> Database:
    return Database(lambda: text(environ, "DATABASE_CONNINFO"))


def handler(event: object, _context: object) -> dict[str, Any]:
    """`{"applied": [names]}`. Raises InvalidRequest, MigrationEdited, CatalogUnavailable."""
    if event != {}:
        raise InvalidRequest(("payload", "must be {}"))
    database().allow(RUN_SECONDS)
    return {"applied": migrate(database())}
