"""The catalog: every SQL statement of the system, and the connection to Postgres."""

from pathlib import Path


def roles_sql() -> str:
    """Read the script that creates the database roles. Running it needs CREATEROLE."""
    return Path(__file__).with_name("roles.sql").read_text()
