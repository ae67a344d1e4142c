"""Clients as the product makes them; one takes longer to make than many tests take."""

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from shared.kv import KV
from shared.kv.entries import Entries
from shared.kv.table import connect
from tests.integration.racing import Sandbox
from tests.integration.version_world import fill
from tests.stores import Stores


@pytest.fixture(scope="session")
def client(dynamodb: Any) -> Iterator[Any]:
    """The product's client of DynamoDB Local."""
    client = connect()
    yield client
    client.close()


@pytest.fixture
def kv(stores: Stores, client: Any) -> KV:
    """The empty table, as the product sees it."""
    return KV(client, stores.table)


@pytest.fixture
def sandbox(stores: Stores, client: Any) -> Iterator[Sandbox]:
    """An environment of the admin API over both stores, which are empty."""
    with closing(Sandbox(stores, client)) as sandbox:
        yield sandbox


@pytest.fixture
def entries(kv: KV) -> Entries:
    """The entries of the empty table."""
    return kv.entries


@pytest.fixture
def world(sandbox: Sandbox) -> Sandbox:
    """An environment over what `version_world` describes."""
    fill(sandbox)
    return sandbox
