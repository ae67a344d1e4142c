"""The real parts that tests run on, started when the first test asks for them."""

import os
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from hypothesis import HealthCheck, Phase, settings

from infra.local.postgres import Postgres
from shared.catalog.connection import Database
from tests.setup import debian_programs
from tests.support.database_pool import Lender
from tests.support.dynamodb_local import DynamoDBLocal
from tests.support.stores import CatalogStore, Stores, make_table, prepare

# The same examples in every run, however slow the machine: a failure is always worth a look.
settings.register_profile(
    "repeatable",
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile(
    "mutation", settings.get_profile("repeatable"), phases=[Phase.explicit, Phase.generate]
)
"""For `make mutation`, where a failure is not looked at and so need not be made small."""
settings.load_profile("repeatable")


@contextmanager
def _started(programs: Path | None = None) -> Generator[Postgres]:
    server = Postgres.start(programs, fsync=False)
    try:
        prepare(server)
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="session", autouse=True)
def connections() -> Iterator[None]:
    """What a test leaves open is closed at the end, not when some later test collects it."""
    made: list[Any] = []
    connect = Database._connect

    def remembered(database: Database) -> Any:
        made.append(connect(database))
        return made[-1]

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Database, "_connect", remembered)
        yield
    for connection in made:
        connection.close()


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Postgres]:
    """The embedded PostgreSQL with roles and the migrated template."""
    with _started() as server:
        yield server


@pytest.fixture(scope="session")
def debian_server() -> Iterator[Postgres]:
    """Debian's PostgreSQL, the same: an older release than production's."""
    programs = debian_programs()
    assert programs is not None, "Debian's PostgreSQL is missing: run `make setup-dev`"
    with _started(programs) as server:
        yield server


@pytest.fixture(
    scope="module", params=["postgres_server", "debian_server"], ids=["embedded", "debian"]
)
def each_server(request: pytest.FixtureRequest) -> Postgres:
    """The newer server and the older one: what holds on both holds in between."""
    server: Postgres = request.getfixturevalue(request.param)
    return server


@pytest.fixture(scope="session")
def lenders() -> Callable[[Postgres], Lender]:
    """Who lends databases of a server to tests."""
    return cache(Lender)


@pytest.fixture
def store(
    each_server: Postgres, lenders: Callable[[Postgres], Lender]
) -> Iterator[CatalogStore]:
    """A migrated database, empty."""
    with lenders(each_server).lend() as dbname:
        yield CatalogStore(each_server, dbname)


@pytest.fixture(scope="session")
def dynamodb() -> Iterator[Any]:
    """A client of Amazon's own DynamoDB Local, where the environment points from now on."""
    server = DynamoDBLocal.start()
    os.environ |= server.environment()
    client = botocore.session.get_session().create_client("dynamodb")
    try:
        yield client
    finally:
        client.close()
        server.stop()


@pytest.fixture
def stores(
    postgres_server: Postgres, lenders: Callable[[Postgres], Lender], dynamodb: Any
) -> Iterator[Stores]:
    """Both stores, empty."""
    with lenders(postgres_server).lend() as dbname:
        yield Stores(postgres_server, dbname, dynamodb, make_table(dynamodb))
