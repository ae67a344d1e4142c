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
from xdist.scheduler import LoadFileScheduling

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

HERE = Path(__file__).parent
ORDER = ("e2e", "infra", "integration/usecases", "integration", "unit")
"""Folders in the order in which their files run: the slowest first, so that no process is left
alone with one at the end."""
TOGETHER = ("tests/e2e/", "tests/infra/")
"""Each of these is left to one process. Tests with a local system keep to limits of time, which
two systems at once would break; and templates of the stack are made once."""


class _Scheduler(LoadFileScheduling):  # type: ignore[misc]
    def _split_scope(self, nodeid: str) -> str:
        folders = [folder for folder in TOGETHER if nodeid.startswith(folder)]
        return folders[0] if folders else str(super()._split_scope(nodeid))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadFileScheduling:
    """Hand out whole files, and whole folders of those that belong together."""
    return _Scheduler(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Sort by folder; within one the order stays random."""
    items.sort(key=lambda item: _rank(item.path.relative_to(HERE).as_posix()))


def _rank(path: str) -> int:
    return next(rank for rank, folder in enumerate(ORDER) if path.startswith(f"{folder}/"))


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


@pytest.fixture(scope="session", autouse=True)
def service_models() -> Iterator[None]:
    """Botocore reads what it knows of DynamoDB once, not again for every client."""
    with pytest.MonkeyPatch.context() as patched:
        load_once = cache(botocore.session.create_loader)
        patched.setattr(botocore.session, "create_loader", load_once)
        yield


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
