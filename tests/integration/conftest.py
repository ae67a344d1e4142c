"""What tests of the stores start from."""

from collections.abc import Iterator
from contextlib import closing
from typing import Any, LiteralString

import pytest

from infra.local.postgres import Postgres
from shared.kv import KV
from shared.kv.entries import Entries
from shared.kv.table import connect
from tests.integration.racing import Sandbox
from tests.integration.version_world import fill
from tests.stores import CatalogStore, Stores, make_catalog

ONE_OF_EACH: LiteralString = """
INSERT INTO kiloclaw_available_versions (image_tag, openclaw_version, published_at)
VALUES ('one', '2026.11.1', now());
INSERT INTO kiloclaw_variants (variant, latest_tag, revision) VALUES ('default', 'one', 1);
INSERT INTO kiloclaw_version_pins (user_id, image_tag, pinned_by) VALUES ('ada', 'one', 'eve');
INSERT INTO kiloclaw_user_aliases (user_id) VALUES ('ada');
INSERT INTO kiloclaw_promotions (variant, revision, image_tag, promoted_by)
VALUES ('default', 1, 'one', 'eve');
INSERT INTO kiloclaw_audit_log (actor, action, subject_kind, subject_id)
VALUES ('eve', 'latest.promoted', 'variant', 'default');
INSERT INTO kiloclaw_sync_runs (started_at, outcome, counts, trigger)
VALUES (now(), 'ok', '{}', 'api');
INSERT INTO kiloclaw_sync_findings (image_tag, code, detail, first_seen, last_seen)
VALUES ('one', 'missing', 'gone', now(), now());
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
    """A database with a row in every table; nothing that a test does here may last."""
    store = make_catalog(each_server)
    store.sql(ONE_OF_EACH)
    return store


@pytest.fixture
def world(sandbox: Sandbox) -> Sandbox:
    """An environment over what `version_world` describes."""
    fill(sandbox)
    return sandbox


@pytest.fixture
def start(world: Sandbox, stores: Stores, client: Any) -> Iterator[Sandbox]:
    """An environment of `provisioning`, where v1 is latest and ana is pinned to v3."""
    with closing(Sandbox(stores, client, "provisioning")) as sandbox:
        yield sandbox
