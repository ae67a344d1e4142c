"""The local database and its roles."""

import secrets

import psycopg
from psycopg import sql

from infra.functions import database_roles
from infra.local.postgres import Postgres
from shared.catalog import roles_sql

DATABASE = "kiloclaw"
OBSERVER = "kiloclaw_local"


def create_database(postgres: Postgres) -> dict[str, str]:
    """Make the roles and the empty database; returns the new password of each role."""
    roles = [*database_roles(), OBSERVER]
    passwords = {name: secrets.token_urlsafe(24) for name in roles}
    with psycopg.connect(postgres.superuser(), autocommit=True) as connection:
        connection.execute(roles_sql().encode())
        connection.execute(f"CREATE ROLE {OBSERVER} LOGIN".encode())
        connection.execute(
            f"GRANT pg_read_all_data, pg_monitor, pg_signal_backend TO {OBSERVER}".encode()
        )
        for name, password in passwords.items():
            statement = sql.SQL("ALTER ROLE {} PASSWORD {}")
            connection.execute(statement.format(sql.Identifier(name), password))
        connection.execute(f"CREATE DATABASE {DATABASE} OWNER kiloclaw_owner".encode())
    return passwords
