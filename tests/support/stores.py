"""Both stores for a test: a database cloned from a migrated template, and a table."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import count
from typing import Any, LiteralString
from uuid import uuid4

import botocore.session
import psycopg
from psycopg import sql

from infra.local.aws.dynamodb import create_session_table, create_table
from infra.local.postgres import Postgres
from shared.catalog import roles_sql
from shared.catalog.connection import Database
from shared.catalog.migrate import migrate
from shared.catalog.transaction import Catalog
from shared.kv import KV
from shared.kv.table import connect

ROLES = ("migrate", "admin_api", "console", "provisioning", "sync", "fleet")
PASSWORD = "test"
TEMPLATE = "template_of_tests"
PATIENT = 60.0

_numbers = count(1)


@dataclass(frozen=True)
class CatalogStore:
    """A database that nobody else uses."""

    server: Postgres
    dbname: str

    def conninfo(self, role: str) -> str:
        return self.server.conninfo(self.dbname, f"kiloclaw_{role}", PASSWORD)

    def database(self, role: str = "admin_api", seconds: float = PATIENT) -> Database:
        """A connection of its own, as one sandbox has it."""
        return Database(lambda: self.conninfo(role), seconds)

    def catalog(self, role: str = "admin_api", seconds: float = PATIENT) -> Catalog:
        return Catalog(self.database(role, seconds))

    def server_connection(self) -> psycopg.Connection[Any]:
        """A superuser's connection, to be used with `with`."""
        return psycopg.connect(self.server.superuser(self.dbname), autocommit=True)

    def sql(self, query: LiteralString, **parameters: object) -> list[tuple[Any, ...]]:
        """Run a statement as superuser, past every rule of the product but the database's."""
        with self.server_connection() as connection:
            cursor = connection.execute(query, parameters or None)
            return cursor.fetchall() if cursor.description else []


@dataclass(frozen=True)
class Stores(CatalogStore):
    """A database and a table that nobody else uses."""

    client: Any
    table: str

    def kv(self) -> KV:
        """A client of its own, as one sandbox has it."""
        return KV(connect(), self.table)

    def item(self, pk: str, sk: str) -> dict[str, Any] | None:
        """An item of the table as DynamoDB speaks, or None."""
        key = {"pk": {"S": pk}, "sk": {"S": sk}}
        answer = self.client.get_item(TableName=self.table, Key=key, ConsistentRead=True)
        found: dict[str, Any] | None = answer.get("Item")
        return found

    def items(self, pk: str | None = None) -> list[dict[str, Any]]:
        """Every item, or those of one partition."""
        pages = self.client.get_paginator("scan").paginate(
            TableName=self.table, ConsistentRead=True
        )
        found = [item for page in pages for item in page["Items"]]
        return [item for item in found if pk in {None, item["pk"]["S"]}]

    def put(self, pk: str, sk: str, **attributes: object) -> None:
        """Write an item as a build pipeline would: texts as S, numbers as N, flags as BOOL."""
        self.client.put_item(TableName=self.table, Item=_item(pk, sk, attributes))

    def put_entry(self, tag: str, **attributes: object) -> None:
        """Write an image entry directly; what is not given is plausible."""
        self.put("IMAGE", tag, **(_plausible(tag) | attributes))

    def put_entries(self, variants: Mapping[str, str]) -> None:
        """Write many such entries, each tag with its variant."""
        items = [
            _item("IMAGE", tag, _plausible(tag) | {"variant": variant})
            for tag, variant in variants.items()
        ]
        for start in range(0, len(items), 25):
            puts = [{"PutRequest": {"Item": item}} for item in items[start : start + 25]]
            self.client.batch_write_item(RequestItems={self.table: puts})


def _plausible(tag: str) -> dict[str, object]:
    return {
        "image_tag": tag,
        "openclaw_version": "2026.11.1",
        "variant": "default",
        "published_at": "2026-11-01T00:00:00Z",
    }


def _item(pk: str, sk: str, attributes: Mapping[str, object]) -> dict[str, Any]:
    values = {name: _attribute(value) for name, value in attributes.items()}
    return {"pk": {"S": pk}, "sk": {"S": sk}, **values}


def _attribute(value: object) -> Any:
    if isinstance(value, dict):
        return value
    if isinstance(value, bool):
        return {"BOOL": value}
    return {"N": str(value)} if isinstance(value, int) else {"S": value}


def prepare(server: Postgres) -> None:
    """Make the roles and the template on a new server."""
    with psycopg.connect(server.superuser(), autocommit=True) as connection:
        connection.execute(roles_sql().encode())
        for role in ROLES:
            statement = sql.SQL("ALTER ROLE {} PASSWORD {}")
            name = sql.Identifier(f"kiloclaw_{role}")
            connection.execute(statement.format(name, sql.Literal(PASSWORD)))
        create_database(connection, TEMPLATE)
    database = Database(
        lambda: server.conninfo(TEMPLATE, "kiloclaw_migrate", PASSWORD), PATIENT
    )
    migrate(database)
    database.close()


def create_database(
    connection: psycopg.Connection[Any], name: str, template: str = "template1"
) -> None:
    """An empty database, or a clone of another one, owned by the owner role."""
    connection.execute(
        sql.SQL("CREATE DATABASE {} TEMPLATE {} OWNER kiloclaw_owner").format(
            sql.Identifier(name), sql.Identifier(template)
        )
    )


def make_catalog(server: Postgres, template: str = TEMPLATE) -> CatalogStore:
    """A clone of the migrated template; of `template1` it is empty."""
    dbname = f"test_{next(_numbers)}"
    with psycopg.connect(server.superuser(), autocommit=True) as connection:
        create_database(connection, dbname, template)
    return CatalogStore(server, dbname)


def make_stores(server: Postgres, client: Any) -> Stores:
    """A clone of the template and a new table."""
    return Stores(server, make_catalog(server).dbname, client, make_table(client))


def make_table(client: Any) -> str:
    """A new table; its name."""
    table = f"kiloclaw-{uuid4()}"
    create_table(client, table)
    return table


def stream_client(stores: Stores) -> Any:
    """A client of the table's stream. Boto3's own session may have earlier credentials."""
    session = botocore.session.get_session()
    return session.create_client(
        "dynamodbstreams", endpoint_url=stores.client.meta.endpoint_url
    )


def make_session_table(client: Any) -> str:
    """A new table of sessions; its name."""
    table = f"kiloclaw-sessions-{uuid4()}"
    create_session_table(client, table)
    return table
