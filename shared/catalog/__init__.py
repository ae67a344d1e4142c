"""The catalog: every SQL statement of the system, and the connection they travel on."""

from pathlib import Path


def roles_sql() -> str:
    """The script that creates the database roles; needs a role that may create roles."""
    return Path(__file__).with_name("roles.sql").read_text()
