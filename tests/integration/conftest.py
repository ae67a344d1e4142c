"""What tests of the stores start from."""

import socket
from collections.abc import Iterator
from contextlib import closing
from typing import Any, LiteralString

import psycopg
import pytest

from infra.local.postgres import Postgres
from shared.catalog.connection import Database
from shared.kv import KV
from shared.kv.entries import Entries
from shared.kv.table import connect
from tests.support.concurrent_actors import SANDBOXES, Crowd, Sandbox, crowd_of
from tests.support.stores import CatalogStore, Stores, make_catalog
from tests.support.version_fixture import fill

SOME_OF_EACH: LiteralString = """
INSERT INTO kiloclaw_available_versions
       (image_tag, openclaw_version, variant, published_at, image_digest, status, retired_at)
VALUES ('one', '2026.11.1', 'default', now(), 'sha256:' || repeat('a', 64), 'active', NULL),
       ('two', '2026.11.2', 'default', now(), NULL, 'active', NULL),
       ('off', '2026.11.3', 'default', now(), NULL, 'disabled', NULL),
       ('gone', '2026.11.4', 'default', now(), NULL, 'disabled', now()),
       ('other', '2026.11.5', 'gpu', now(), NULL, 'active', NULL);
INSERT INTO kiloclaw_variants (variant, latest_tag, revision)
VALUES ('default', 'one', 1), ('gpu', NULL, 0);
INSERT INTO kiloclaw_version_pins (user_id, image_tag, pinned_by) VALUES ('ada', 'two', 'eve');
INSERT INTO kiloclaw_user_aliases (user_id) VALUES ('ada');
INSERT INTO kiloclaw_promotions (variant, revision, image_tag, promoted_by)
VALUES ('default', 1, 'one', 'eve');
INSERT INTO kiloclaw_audit_log (actor, action, subject_kind, subject_id)
VALUES ('eve', 'latest.promoted', 'variant', 'default');
INSERT INTO kiloclaw_audit_seals
       (id, first_event_id, last_event_id, events, previous_hash, hash, sealed_through, horizon)
VALUES (1, 1, 1, 1, sha256(''), sha256('1'), 1, '1');
INSERT INTO kiloclaw_audit_sealed_events (event_id, seal_id, hash) VALUES (1, 1, sha256('1'));
INSERT INTO kiloclaw_sync_runs (started_at, outcome, counts, trigger)
VALUES (now(), 'ok', '{}', 'api');
INSERT INTO kiloclaw_sync_findings (image_tag, code, detail, first_seen, last_seen)
VALUES ('one', 'missing', 'lost', now(), now());
"""


@pytest.fixture(scope="session")
def client(dynamodb: Any) -> Iterator[Any]:
    """The product's client of DynamoDB Local; making one takes longer than many tests."""
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


@pytest.fixture(scope="module")
def filled(each_server: Postgres) -> CatalogStore:
    """A database with rows in every table; nothing that a test does here may last."""
    store = make_catalog(each_server)
    store.sql(SOME_OF_EACH)
    return store


@pytest.fixture
def world(sandbox: Sandbox) -> Sandbox:
    """An environment over the versions, rollout and pin of `version_fixture.fill`."""
    fill(sandbox)
    return sandbox


@pytest.fixture
def start(world: Sandbox, stores: Stores, client: Any) -> Iterator[Sandbox]:
    """An environment of `provisioning`, where v1 is latest and ana is pinned to v3."""
    with closing(Sandbox(stores, client, "provisioning")) as sandbox:
        yield sandbox


@pytest.fixture
def sql(filled: CatalogStore) -> Iterator[psycopg.Connection[Any]]:
    """A superuser's transaction, which no right of a role limits, rolled back at the end."""
    with psycopg.connect(filled.server.superuser(filled.dbname)) as connection:
        yield connection
        connection.rollback()


@pytest.fixture
def database(store: CatalogStore) -> Iterator[Database]:
    """A connection of `admin_api`, open since an event before."""
    database = store.database()
    database.read("SELECT 1", {})
    yield database
    database.close()


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A port that accepts connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


@pytest.fixture
def runner(stores: Stores, client: Any) -> Iterator[Sandbox]:
    """An environment of `sync` over both stores, which are empty but for what else is asked."""
    with closing(Sandbox(stores, client, "sync")) as sandbox:
        yield sandbox


@pytest.fixture(scope="session")
def clients(dynamodb: Any) -> Iterator[list[Any]]:
    """A client for each sandbox; they take longer to make than a round takes."""
    clients = [connect() for _ in range(SANDBOXES)]
    yield clients
    for client in clients:
        client.close()


@pytest.fixture
def crowd(stores: Stores, clients: list[Any]) -> Iterator[Crowd]:
    """Six administrators, two syncs and three starts, each in a sandbox of its own."""
    with crowd_of(stores, clients) as crowd:
        yield crowd


@pytest.fixture
def closed_port() -> int:
    """A port at which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])
