"""`shared/catalog/schema.sql`, for readers: what all migrations together make."""

import os
import re
import subprocess

from infra.local.postgres import Postgres, embedded_programs
from shared.catalog.migrate import FOLDER
from tests.support.stores import PASSWORD, TEMPLATE

SCHEMA = FOLDER.parent / "schema.sql"
HEADER = """\
-- The schema that all migrations together make, for readers. Nothing executes this file.
-- Generated: change a migration, then run `make schema`.
"""
NOISE = re.compile(
    r"^(--.*|SET .*|SELECT pg_catalog\.set_config.*|\\(un)?restrict .*)\n", re.MULTILINE
)


def dump(server: Postgres) -> str:
    """The template's schema as pg_dump writes it, without what depends on the server."""
    command = [
        str(embedded_programs() / "pg_dump"),
        "--schema-only",
        "--no-owner",
        f"--dbname={server.conninfo(TEMPLATE, 'kiloclaw_migrate', PASSWORD)}",
        "--role=kiloclaw_owner",
    ]
    done = subprocess.run(command, capture_output=True, check=False, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    text = NOISE.sub("", done.stdout).replace("public.", "").strip()
    return HEADER + "\n" + re.sub(r"\n{3,}", "\n\n", text) + "\n"


def test_the_schema_is_what_the_migrations_make(postgres_server: Postgres) -> None:
    """The file shows the tables as they are; `make schema` writes it anew."""
    made = dump(postgres_server)
    if "UPDATE_SNAPSHOTS" in os.environ:
        SCHEMA.write_text(made)
    is_current = SCHEMA.exists() and SCHEMA.read_text() == made
    assert is_current, "the migrations make another schema: run `make schema`"
