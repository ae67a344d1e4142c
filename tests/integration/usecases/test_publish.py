"""Publishing: the KV's half, then the catalog's; once, however often it is repeated."""

from datetime import UTC, datetime
from typing import Any

import pytest

from shared.domain.errors import (
    CatalogUnavailable,
    DigestChanged,
    DigestInUse,
    InvalidRequest,
    KVUnavailable,
    Refused,
    TagRetired,
    VariantChanged,
    VersionNotActive,
)
from shared.domain.model import ImageEntry, Initiator
from shared.kv import KV
from shared.usecases.publish import Publication, publish
from tests.support.concurrent_actors import BY, Sandbox, digest
from tests.support.failing_clients import (
    Following,
    Interposing,
    closed_catalog,
    refusal,
    unreachable,
)
from tests.support.invariants import faults, pointers
from tests.support.store_dump import changed, dump
from tests.support.stores import Stores

DOWN = refusal("InternalServerError", status=500)
AT = datetime(2026, 10, 1, tzinfo=UTC)


def _events(stores: Stores, tag: str) -> list[tuple[Any, ...]]:
    return stores.sql(
        "SELECT action, before, after FROM kiloclaw_audit_log"
        " WHERE subject_id = %(tag)s ORDER BY id",
        tag=tag,
    )


def test_a_new_version(sandbox: Sandbox, stores: Stores) -> None:
    """A published version is in both stores with its claim and event, and is not latest."""
    published = sandbox.publish(
        "v1",
        digest(1),
        variant="beta",
        notes="fast",
        published_at=AT,
        openclaw_version="2026.1.2",
    )
    version = published.version
    assert published.is_new
    assert (version.image_tag, version.image_digest, version.variant) == (
        "v1",
        digest(1),
        "beta",
    )
    assert (version.published_at, version.published_by) == (AT, BY.actor)
    assert (version.notes, version.status, version.is_latest) == ("fast", "active", False)
    content = {"image_digest": digest(1), "openclaw_version": "2026.1.2", "variant": "beta"}
    assert _events(stores, "v1") == [("version.published", None, content)]
    assert faults(stores) == []
    assert pointers(stores) == set()


def test_a_new_version_is_default_and_published_now(sandbox: Sandbox) -> None:
    """A new tag gets the default variant and the present time unless others are given."""
    before = datetime.now(UTC)
    version = sandbox.publish("v1").version
    assert (version.variant, version.image_digest, version.notes) == ("default", None, None)
    assert before <= version.published_at <= datetime.now(UTC)


def test_the_same_again_changes_nothing_in_the_catalog(
    sandbox: Sandbox, stores: Stores
) -> None:
    """A repeat notes its writer in the KV alone, and latest stays latest."""
    sandbox.publish("v1", digest(1), set_latest=True)
    before = dump(stores)
    for latest in (False, True):
        assert not sandbox.publish("v1", digest(1), set_latest=latest).is_new
    assert changed(before, dump(stores)) == {"kv"}
    assert sandbox.publish("v1").version.is_latest


@pytest.mark.parametrize("set_latest", [True, False])
def test_a_sync_between_the_two_halves_takes_nobodys_credit(
    sandbox: Sandbox, runner: Sandbox, stores: Stores, *, set_latest: bool
) -> None:
    """If a sync makes the row first, row and log still name who published it."""
    client = Following(stores.client, "transact_write_items", runner.sync)
    sandbox.kv = KV(client, stores.table)
    published = sandbox.publish("v1", digest(1), notes="fast", set_latest=set_latest)
    assert published.is_new
    assert (published.version.published_by, published.version.notes) == (BY.actor, "fast")
    content = {"image_digest": digest(1), "openclaw_version": "2026.11.1", "variant": "default"}
    assert _events(stores, "v1") == [
        ("version.published", None, content),
        (
            "version.updated",
            content | {"published_by": None},
            content | {"published_by": BY.actor},
        ),
    ]
    assert not sandbox.publish("v1", digest(1)).is_new
    assert len(_events(stores, "v1")) == 2
    assert faults(stores) == []


def test_a_repeat_after_a_crash_and_a_sync_is_the_publishers_own(
    sandbox: Sandbox, runner: Sandbox, stores: Stores
) -> None:
    """The KV remembers who wrote the entry, so no other caller is named as publisher."""
    now = datetime.now(UTC)
    for tag in ("v1", "v2"):
        entry = ImageEntry(tag, "2026.11.1", "default", AT)
        sandbox.kv.entries.register(
            entry, variant_given=False, by=BY.actor, token="lost", now=now
        )
    stores.put_entry("v3")
    runner.sync()
    assert sandbox.publish("v1").version.published_by == BY.actor
    other = Initiator("eve@example.com")
    for tag in ("v1", "v2", "v3"):
        publication = Publication(tag, "2026.11.2")
        publish(publication, by=other, catalog=sandbox.catalog, kv=sandbox.kv)
    rows = stores.sql(
        "SELECT image_tag, published_by FROM kiloclaw_available_versions ORDER BY image_tag"
    )
    assert rows == [("v1", BY.actor), ("v2", None), ("v3", None)]


def test_a_pipelines_own_entry_keeps_what_it_says(sandbox: Sandbox, stores: Stores) -> None:
    """Its variant, digest and publish time are the version's, which is new to the catalog."""
    stores.put_entry("v1", variant="beta", image_digest=digest(1))
    published = sandbox.publish("v1", set_latest=True)
    assert published.is_new
    assert (published.version.variant, published.version.image_digest) == ("beta", digest(1))
    assert published.version.published_at == datetime(2026, 11, 1, tzinfo=UTC)
    assert published.version.is_latest
    assert faults(stores) == []


def test_an_entry_that_the_kv_lost_is_written_again(sandbox: Sandbox, stores: Stores) -> None:
    """The entry is written as the catalog knows it, and is not missing any more."""
    sandbox.publish("v1", digest(1), variant="beta", published_at=AT)
    for pk, sk in (("IMAGE", "v1"), ("DIGEST", digest(1))):
        stores.client.delete_item(
            TableName=stores.table, Key={"pk": {"S": pk}, "sk": {"S": sk}}
        )
    stores.sql("UPDATE kiloclaw_available_versions SET missing_since = now()")
    version = sandbox.publish("v1").version
    assert (version.missing_since, version.image_digest) == (None, digest(1))
    assert version.published_at == AT
    assert faults(stores) == []


@pytest.mark.parametrize(
    ("publication", "error", "owner"),
    [
        ({"image_tag": "new", "image_digest": digest(1)}, DigestInUse, "v1"),
        ({"image_tag": "plain", "image_digest": digest(1)}, DigestInUse, "v1"),
        ({"image_tag": "new", "image_digest": digest("gone")}, DigestInUse, "gone"),
        ({"image_tag": "v1", "image_digest": digest(2)}, DigestChanged, None),
        ({"image_tag": "v1", "variant": "beta"}, VariantChanged, None),
        ({"image_tag": "gone"}, TagRetired, None),
        ({"image_tag": "old", "set_latest": True}, VersionNotActive, None),
        ({"image_tag": "off", "set_latest": True}, VersionNotActive, None),
        (
            {"image_tag": "new", "published_at": datetime(9999, 1, 1, tzinfo=UTC)},
            InvalidRequest,
            None,
        ),
    ],
)
def test_what_the_catalog_knows_to_be_wrong_is_refused_at_once(
    sandbox: Sandbox,
    stores: Stores,
    publication: dict[str, Any],
    error: type[Refused],
    owner: str | None,
) -> None:
    """A refusal touches neither store and names who has the digest."""
    sandbox.publish("v1", digest(1))
    sandbox.publish("gone", digest("gone"))
    for tag in ("plain", "off", "old"):
        sandbox.publish(tag)
    sandbox.retire("gone")
    sandbox.disable("off")
    sandbox.deprecate("old")
    before = dump(stores)
    wanted = Publication(openclaw_version="2026.12.1", **publication)
    with pytest.raises(error) as refused:
        publish(wanted, by=BY, catalog=sandbox.catalog, kv=sandbox.kv)
    assert refused.value.facts.get("owner") == owner
    assert dump(stores) == before


def _insert(stores: Stores, **columns: object) -> None:
    """Something got into the catalog past the KV."""
    plausible = {"tag": "other", "digest": None, "variant": "default", "retired": False}
    stores.sql(
        """
        INSERT INTO kiloclaw_available_versions
               (image_tag, image_digest, openclaw_version, variant, published_at, status,
                retired_at)
        VALUES (%(tag)s, %(digest)s, '2026.11.1', %(variant)s, now(),
                CASE WHEN %(retired)s THEN 'disabled' ELSE 'active' END,
                CASE WHEN %(retired)s THEN now() END)
        """,
        **(plausible | columns),
    )


@pytest.mark.parametrize(
    ("meanwhile", "error"),
    [
        ({"digest": digest("tag")}, DigestInUse),
        ({"tag": "tag", "digest": digest("another")}, DigestChanged),
        ({"tag": "tag", "variant": "beta"}, VariantChanged),
        ({"tag": "tag", "retired": True}, TagRetired),
    ],
)
@pytest.mark.parametrize("set_latest", [False, True])
def test_a_permanent_refusal_by_the_catalog_undoes_the_kvs_half(
    sandbox: Sandbox,
    stores: Stores,
    meanwhile: dict[str, Any],
    error: type[Refused],
    *,
    set_latest: bool,
) -> None:
    """If a conflicting row came in between the halves, the KV is as it was before."""
    client = Interposing(
        stores.client, "transact_write_items", lambda: _insert(stores, **meanwhile)
    )
    publication = Publication("tag", "2026.11.1", digest("tag"), set_latest=set_latest)
    with pytest.raises(error):
        publish(publication, by=BY, catalog=sandbox.catalog, kv=KV(client, stores.table))
    assert stores.items() == []
    assert stores.sql("SELECT count(*) FROM kiloclaw_audit_log") == [(0,)]


def test_an_undo_that_fails_leaves_the_rest_to_people(sandbox: Sandbox, stores: Stores) -> None:
    """The caller is told of the refusal even if its undoing fails."""

    def meanwhile() -> None:
        _insert(stores, tag="tag", variant="beta")

    def down() -> None:
        raise DOWN

    client = Interposing(stores.client, "transact_write_items", meanwhile, down)
    publication = Publication("tag", "2026.11.1")
    with pytest.raises(VariantChanged):
        publish(publication, by=BY, catalog=sandbox.catalog, kv=KV(client, stores.table))
    assert [item["pk"]["S"] for item in stores.items()] == ["IMAGE"]


def test_a_refusal_that_may_pass_leaves_the_kvs_half(sandbox: Sandbox, stores: Stores) -> None:
    """A version deprecated in between keeps its entry, for a repeat or for sync."""
    sandbox.publish("tag")

    def meanwhile() -> None:
        sandbox.deprecate("tag")

    client = Interposing(stores.client, "transact_write_items", meanwhile)
    publication = Publication("tag", "2026.11.1", digest("tag"), set_latest=True)
    with pytest.raises(VersionNotActive):
        publish(publication, by=BY, catalog=sandbox.catalog, kv=KV(client, stores.table))
    assert pointers(stores) == set()
    assert sandbox.sync().filled == 1
    assert faults(stores) == []


def test_a_store_that_is_down_takes_nothing(sandbox: Sandbox, stores: Stores) -> None:
    """Without the catalog the KV is not asked; without the KV the catalog is not written."""
    before = dump(stores)
    publication = Publication("tag", "2026.11.1")
    with pytest.raises(CatalogUnavailable):
        publish(publication, by=BY, catalog=closed_catalog(), kv=sandbox.kv)
    kv = KV(unreachable(), stores.table)
    with pytest.raises(KVUnavailable):
        publish(publication, by=BY, catalog=sandbox.catalog, kv=kv)
    assert dump(stores) == before
