"""A digest is freed when nobody can run the tag that has it, and only then."""

import pytest

from shared.domain.errors import CatalogUnavailable, InvalidRequest, KVUnavailable
from shared.domain.model import Initiator
from shared.kv import KV
from shared.usecases.import_entry import import_entry
from shared.usecases.release_claim import release_claim
from tests.support.concurrent_actors import Sandbox, digest
from tests.support.failing_clients import Following, Interposing, Refusing, refusal
from tests.support.invariants import faults
from tests.support.store_dump import dump
from tests.support.stores import Stores

BY = Initiator("operator", "request-1")
TYPO, RIGHT = "v1.2.O", "v1.2.0"


def _release(runner: Sandbox, kv: KV | None = None) -> str:
    return release_claim(digest(1), by=BY, catalog=runner.catalog, kv=kv or runner.kv)


def _import(sandbox: Sandbox, kv: KV) -> str:
    return import_entry(RIGHT, None, catalog=sandbox.catalog, kv=kv)


def _refusal(runner: Sandbox) -> str:
    with pytest.raises(InvalidRequest, match="release_claim") as refused:
        _release(runner)
    return str(refused.value)


def test_the_digest_of_a_retired_version_is_freed(
    sandbox: Sandbox, runner: Sandbox, stores: Stores
) -> None:
    """The right tag can have it then, and the mistyped one stays taken; the log says so."""
    sandbox.publish(TYPO, digest(1))
    sandbox.retire(TYPO)
    assert _release(runner) == TYPO
    assert sandbox.publish(RIGHT, digest(1)).is_new
    events = stores.sql(
        "SELECT actor, subject_id, before, after, request_id FROM kiloclaw_audit_log"
        " WHERE action = 'version.digest_released'"
    )
    assert events == [
        ("operator", TYPO, {"image_digest": digest(1)}, {"image_digest": None}, "request-1")
    ]
    runner.sync()
    assert faults(stores) == []


@pytest.mark.parametrize("tag", [TYPO, "no tag at all", "gone"])
def test_the_claim_of_a_tag_that_nobody_has_is_freed(
    runner: Sandbox, stores: Stores, tag: str
) -> None:
    """Neither store knows it, or the KV has a tombstone, or it is no tag."""
    stores.put("DIGEST", digest(1), image_tag=tag)
    stores.put_entry("gone", image_digest=digest(1), deleted_at="2026-11-02T00:00:00Z")
    assert _release(runner) == tag
    assert stores.items("DIGEST") == []


def test_a_tag_that_can_be_run_keeps_its_digest(
    sandbox: Sandbox, runner: Sandbox, stores: Stores
) -> None:
    """A disabled one may be enabled, a lost one is served, an entry will be taken in."""
    assert _refusal(runner) == "release_claim: no tag has this digest"
    stores.put("DIGEST", digest(1), image_tag=TYPO)
    stores.put_entry(TYPO, image_digest=digest(1), published_at="soon")
    assert "which the KV has" in _refusal(runner)
    stores.put_entry(TYPO, image_digest=digest(1))
    assert "which the KV has" in _refusal(runner)
    runner.sync()
    sandbox.disable(TYPO)
    key = {"pk": {"S": "IMAGE"}, "sk": {"S": TYPO}}
    stores.client.delete_item(TableName=stores.table, Key=key)
    before = dump(stores)
    assert "retire it first" in _refusal(runner)
    assert dump(stores) == before


def test_only_the_digest_that_was_named_is_freed(
    sandbox: Sandbox, runner: Sandbox, stores: Stores
) -> None:
    """A retired version may hold a claim on a digest that is not its own."""
    sandbox.publish(TYPO, digest(2))
    sandbox.retire(TYPO)
    stores.put("DIGEST", digest(1), image_tag=TYPO)
    assert _release(runner) == TYPO
    [(kept,)] = stores.sql("SELECT image_digest FROM kiloclaw_available_versions")
    assert kept == digest(2)
    assert [item["sk"]["S"] for item in stores.items("DIGEST")] == [digest(2)]


def test_a_claim_that_changes_meanwhile_is_left(
    sandbox: Sandbox, runner: Sandbox, stores: Stores
) -> None:
    """Somebody may be publishing the tag just now; then nothing is freed."""
    sandbox.publish(TYPO, digest(1))
    sandbox.retire(TYPO)

    def rival() -> None:
        stores.put("DIGEST", digest(1), image_tag=TYPO, written_by="a rival")

    client = Interposing(stores.client, "delete_item", rival)
    before = dump(stores)["kiloclaw_available_versions"]
    with pytest.raises(KVUnavailable):
        _release(runner, KV(client, stores.table))
    assert dump(stores)["kiloclaw_available_versions"] == before
    assert len(stores.items("DIGEST")) == 1


def test_a_claim_that_an_import_takes_again_is_left(
    sandbox: Sandbox, runner: Sandbox, stores: Stores
) -> None:
    """An import claims what an earlier one left behind; then the digest is its version's."""
    stores.put_entry(RIGHT, image_digest=digest(1))
    dies = Following(stores.client, "put_item", sandbox.close)
    with pytest.raises(CatalogUnavailable):
        _import(sandbox, KV(dies, stores.table))
    entry = {"pk": {"S": "IMAGE"}, "sk": {"S": RIGHT}}
    stores.client.delete_item(TableName=stores.table, Key=entry)

    def rival() -> None:
        stores.put_entry(RIGHT, image_digest=digest(1))
        assert _import(sandbox, sandbox.kv) == "imported"

    client = Interposing(stores.client, "delete_item", rival)
    with pytest.raises(KVUnavailable):
        _release(runner, KV(client, stores.table))
    runner.sync()
    assert faults(stores) == []


def test_a_lost_reply_is_mended_by_a_repeat(
    sandbox: Sandbox, runner: Sandbox, stores: Stores
) -> None:
    """The claim is gone and the row still has the digest: the row tells whose it was."""
    sandbox.publish(TYPO, digest(1))
    sandbox.retire(TYPO)
    lost = refusal("InternalServerError", status=500)
    client = Refusing(stores.client, lost, operation="delete_item", late=True)
    with pytest.raises(KVUnavailable):
        _release(runner, KV(client, stores.table))
    assert stores.items("DIGEST") == []
    assert _release(runner) == TYPO
    assert sandbox.publish(RIGHT, digest(1)).is_new


def test_sync_is_waited_for(sandbox: Sandbox, runner: Sandbox, stores: Stores) -> None:
    """A run may be taking the claim in; the call asks to be repeated."""
    sandbox.publish(TYPO, digest(1))
    sandbox.retire(TYPO)
    with stores.server_connection() as connection, connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(hashtext('kiloclaw_sync'))")
        with pytest.raises(CatalogUnavailable):
            _release(runner)
    assert _release(runner) == TYPO
