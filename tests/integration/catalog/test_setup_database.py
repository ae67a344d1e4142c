"""The database as a deployment sets it up: by a master that is no superuser."""

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, LiteralString
from unittest.mock import patch

import psycopg
import pytest

from functions.migrate.handler import handler
from infra.local.postgres import Postgres
from shared.catalog.migrate import migrations
from shared.domain.errors import CatalogUnavailable, InvalidRequest
from tests.setup import debian_programs
from tests.support.stores import PASSWORD

if TYPE_CHECKING:
    from pathlib import Path

NAMES = [migration.name for migration in migrations()]


@dataclass
class RemainingTime:
    """What Lambda tells a function of the time it has."""

    milliseconds: int = 60_000

    def get_remaining_time_in_millis(self) -> int:
        return self.milliseconds


@pytest.fixture(scope="module", params=[None, debian_programs()], ids=["embedded", "debian"])
def server(request: pytest.FixtureRequest) -> Iterator[Postgres]:
    """As RDS hands it over: a master with rights over rds_iam, and its empty database."""
    programs: Path | None = request.param
    server = Postgres.start(programs, fsync=False)
    try:
        with psycopg.connect(server.superuser(), autocommit=True) as connection:
            connection.execute(
                "CREATE ROLE master LOGIN CREATEROLE CREATEDB PASSWORD 'test';"
                "CREATE ROLE rds_iam;"
                "GRANT rds_iam TO master WITH ADMIN OPTION"
            )
            connection.execute("CREATE DATABASE kiloclaw OWNER master")
        _as_master(server, "CREATE ROLE kiloclaw_migrate LOGIN PASSWORD 'test'")
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="module")
def deployed(server: Postgres) -> list[dict[str, Any]]:
    """What the function answered to two deployments, as the server was new."""
    with told(server):
        return [handler({}, RemainingTime()), handler({}, RemainingTime())]


@contextmanager
def told(server: Postgres, setup_user: str = "master") -> Generator[None]:
    """The function's environment; a password stands in for the tokens."""
    environ = {
        "DATABASE_CONNINFO": server.conninfo("kiloclaw", "kiloclaw_migrate"),
        "DATABASE_SETUP_USER": setup_user,
        "PGPASSWORD": PASSWORD,
    }
    with patch.dict("os.environ", environ):
        yield


def test_a_master_who_is_no_superuser_sets_everything_up(
    server: Postgres, deployed: list[dict[str, Any]]
) -> None:
    """The owner gets every table, and a second deployment applies nothing."""
    assert deployed == [{"applied": NAMES}, {"applied": []}]
    owners = _rows(
        server, "SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname = 'public'"
    )
    assert owners == [("kiloclaw_owner",)]


@pytest.mark.usefixtures("deployed")
def test_the_roles_are_what_functions_need(server: Postgres) -> None:
    """Nobody logs in as the owner, which `migrate` alone may be; tokens open the others."""
    found = _rows(
        server,
        "SELECT rolname, rolcanlogin, pg_has_role(oid, 'rds_iam', 'MEMBER'),"
        "       pg_has_role(oid, 'kiloclaw_owner', 'MEMBER'), rolsuper OR rolcreaterole"
        "  FROM pg_roles WHERE rolname LIKE 'kiloclaw%' ORDER BY rolname",
    )
    assert found == [
        ("kiloclaw_admin_api", True, True, False, False),
        ("kiloclaw_console", True, True, False, False),
        ("kiloclaw_fleet", True, True, False, False),
        ("kiloclaw_migrate", True, True, True, False),
        ("kiloclaw_owner", False, False, True, False),
        ("kiloclaw_provisioning", True, True, False, False),
        ("kiloclaw_sync", True, True, False, False),
    ]


@pytest.mark.usefixtures("deployed")
def test_only_the_owner_makes_tables(server: Postgres) -> None:
    """A function's role may create nothing where the owner may."""
    found = _rows(
        server,
        "SELECT rolname FROM pg_roles WHERE rolname LIKE 'kiloclaw%'"
        "   AND has_schema_privilege(oid, 'public', 'CREATE') ORDER BY rolname",
    )
    assert found == [("kiloclaw_migrate",), ("kiloclaw_owner",)]


@pytest.mark.usefixtures("deployed")
def test_only_who_may_create_roles_sets_them_up(server: Postgres) -> None:
    """Without such a user the roles are left alone; a wrong one fails the deployment."""
    with told(server, setup_user=""):
        assert handler({}, RemainingTime()) == {"applied": []}
    with (
        told(server, setup_user="kiloclaw_migrate"),
        pytest.raises(psycopg.errors.InsufficientPrivilege),
    ):
        handler({}, RemainingTime())


def test_time_that_is_too_short_is_said(server: Postgres) -> None:
    """With too little time left the function answers before it is ended."""
    with told(server), pytest.raises(CatalogUnavailable):
        handler({}, RemainingTime(milliseconds=5_000))


def test_a_payload_is_refused() -> None:
    """The function takes no parameters."""
    with pytest.raises(InvalidRequest):
        handler({"to": "0001"}, RemainingTime())


def _as_master(server: Postgres, statement: LiteralString) -> None:
    conninfo = server.conninfo("kiloclaw", "master", PASSWORD)
    with psycopg.connect(conninfo, autocommit=True) as connection:
        connection.execute(statement)


def _rows(server: Postgres, query: LiteralString) -> list[tuple[Any, ...]]:
    with psycopg.connect(server.superuser("kiloclaw"), autocommit=True) as connection:
        return connection.execute(query).fetchall()
