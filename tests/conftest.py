"""The real parts that tests run on, started when the first test asks for them."""

import os
from collections.abc import Iterator
from typing import Any

import botocore.session
import pytest
from hypothesis import HealthCheck, settings

from infra.local.postgres import Postgres
from tests.dynamodb_local import DynamoDBLocal
from tests.stores import Stores, make_stores, prepare

# The same examples in every run, however slow the machine: a failure is always worth a look.
settings.register_profile(
    "repeatable",
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("repeatable")


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Postgres]:
    """The embedded PostgreSQL with roles and the migrated template."""
    server = Postgres.start(fsync=False)
    try:
        prepare(server)
        yield server
    finally:
        server.stop()


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
def stores(postgres_server: Postgres, dynamodb: Any) -> Stores:
    """Both stores, empty."""
    return make_stores(postgres_server, dynamodb)
