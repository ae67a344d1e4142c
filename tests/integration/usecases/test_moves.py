"""Promoting: both copies of the pointer move, or neither, or a repeat finds it done."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from shared.domain.errors import (
    CatalogUnavailable,
    KVUnavailable,
    Refused,
    VersionNotActive,
    VersionNotFound,
)
from shared.domain.model import Initiator
from shared.kv import KV
from shared.usecases.promote import promote
from tests.support.concurrent_actors import Sandbox
from tests.support.failing_clients import (
    Following,
    Interposing,
    Refusing,
    closed_catalog,
    refusal,
    unreachable,
)
from tests.support.invariants import mirrors, pointers
from tests.support.store_dump import changed, dump
from tests.support.stores import Stores

BY = Initiator("ada@example.com", "request-1")
DOWN = refusal("InternalServerError", status=500)
MOVED = {"kiloclaw_variants", "kiloclaw_promotions", "kiloclaw_audit_log", "kv"}


@pytest.fixture
def world(sandbox: Sandbox) -> Sandbox:
    """v1 is latest at revision 1; v2 and v3 may become it."""
    sandbox.publish("v1", set_latest=True)
    sandbox.publish("v2")
    sandbox.publish("v3")
    return sandbox


def _promote(sandbox: Sandbox, tag: str, client: Any = None, reason: str | None = None) -> str:
    kv = KV(client, sandbox.kv.table.name) if client else sandbox.kv
    return promote(tag, by=replace(BY, reason=reason), catalog=sandbox.catalog, kv=kv)


def _pipeline(stores: Stores, revision: int, tag: str, **more: object) -> None:
    """Move the pointer as a pipeline does that writes the KV itself."""
    stores.put("POINTER", "default", revision=revision, latest_tag=tag, **more)


def _latest(stores: Stores) -> tuple[int, object]:
    assert pointers(stores) == mirrors(stores)
    [(_, revision, content)] = pointers(stores)
    return revision, content[0]


def test_a_promotion_moves_both_copies(world: Sandbox, stores: Stores) -> None:
    """Both copies are at the next revision; history and event say who moved them and why."""
    before = dump(stores)
    assert _promote(world, "v2", reason="faster") == "default"
    assert changed(before, dump(stores)) == MOVED
    assert _latest(stores) == (2, "v2")
    item = stores.item("POINTER", "default")
    assert item is not None
    assert (item["moved_by"]["S"], item["cause"]["S"]) == ("ada@example.com", "request-1")
    assert stores.sql("SELECT cause FROM kiloclaw_variants") == [("request-1",)]
    history = stores.sql(
        "SELECT revision, image_tag, previous_tag, promoted_by, reason, cause"
        "  FROM kiloclaw_promotions ORDER BY id DESC LIMIT 1"
    )
    assert history == [(2, "v2", "v1", "ada@example.com", "faster", "request-1")]
    event = stores.sql(
        "SELECT actor, action, subject_kind, subject_id, before, after, reason, request_id"
        "  FROM kiloclaw_audit_log ORDER BY id DESC LIMIT 1"
    )
    assert event == [
        (
            "ada@example.com", "latest.promoted", "variant", "default",
            {"latest_tag": "v1", "revision": 1}, {"latest_tag": "v2", "revision": 2},
            "faster", "request-1",
        )
    ]  # fmt: skip


def test_what_is_latest_is_not_promoted_again(world: Sandbox, stores: Stores) -> None:
    """Promoting what is latest already writes nothing, even if it is deprecated."""
    stores.sql("UPDATE kiloclaw_available_versions SET status = 'deprecated'")
    before = dump(stores)
    _promote(world, "v1")
    assert dump(stores) == before


@pytest.mark.parametrize(
    ("status", "retired", "error"),
    [
        ("deprecated", False, VersionNotActive),
        ("disabled", False, VersionNotActive),
        ("disabled", True, VersionNotFound),
    ],
)
def test_what_may_not_be_latest_is_refused(
    world: Sandbox, stores: Stores, status: str, *, retired: bool, error: type[Refused]
) -> None:
    """A version that is not active, or is retired or unknown, is refused without a write."""
    stores.sql(
        "UPDATE kiloclaw_available_versions"
        "   SET status = %(status)s, retired_at = CASE WHEN %(retired)s THEN now() END"
        " WHERE image_tag = 'v2'",
        status=status,
        retired=retired,
    )
    before = dump(stores)
    with pytest.raises(error):
        _promote(world, "v2")
    with pytest.raises(VersionNotFound):
        _promote(world, "nothing")
    assert dump(stores) == before


@pytest.mark.parametrize(
    "broken",
    [
        lambda _client: unreachable(),
        lambda client: Refusing(client, DOWN, operation="put_item"),
        lambda client: Refusing(client, *[DOWN] * 9, operation="batch_get_item"),
    ],
)
def test_a_kv_that_is_down_stops_a_promotion(
    world: Sandbox, stores: Stores, broken: Callable[[Any], Any]
) -> None:
    """Without the KV nothing changes and nothing stays locked."""
    before = dump(stores)
    with pytest.raises(KVUnavailable):
        _promote(world, "v2", broken(stores.client))
    assert dump(stores) == before
    _promote(world, "v3")
    assert _latest(stores) == (2, "v3")


def test_a_promotion_whose_answer_is_lost_for_good(world: Sandbox, stores: Stores) -> None:
    """If the put's reply is lost the KV alone has moved, and a repeat finds it done."""
    with pytest.raises(KVUnavailable):
        _promote(world, "v2", Refusing(stores.client, DOWN, operation="put_item", late=True))
    assert pointers(stores) != mirrors(stores)
    _promote(world, "v2")
    assert _latest(stores) == (2, "v2")


def test_a_catalog_that_is_lost_after_the_put(world: Sandbox, stores: Stores) -> None:
    """The KV has moved by then, and sync adopts the move."""
    catalog = stores.catalog()

    def cut() -> None:
        stores.sql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE usename = 'kiloclaw_admin_api' AND state = 'idle in transaction'"
        )

    kv = KV(Following(stores.client, "put_item", cut), stores.table)
    with pytest.raises(CatalogUnavailable):
        promote("v2", by=BY, catalog=catalog, kv=kv)
    assert pointers(stores) != mirrors(stores)
    world.sync()
    assert _latest(stores) == (2, "v2")


def test_a_move_found_in_the_kv_is_adopted_first(world: Sandbox, stores: Stores) -> None:
    """The promotion goes on top, and the history has both."""
    _pipeline(stores, 5, "v3")
    _promote(world, "v2")
    assert _latest(stores) == (6, "v2")
    history = stores.sql(
        "SELECT revision, image_tag, previous_tag, promoted_by FROM kiloclaw_promotions"
        " ORDER BY id"
    )
    assert history == [
        (1, "v1", None, "ada@example.com"),
        (5, "v3", "v1", "kv"),
        (6, "v2", "v3", "ada@example.com"),
    ]


def test_a_pipeline_that_comes_first_is_not_overwritten(world: Sandbox, stores: Stores) -> None:
    """The promotion starts again from what the pipeline has made latest."""
    client = Interposing(stores.client, "put_item", lambda: _pipeline(stores, 2, "v3"))
    _promote(world, "v2", client)
    assert _latest(stores) == (3, "v2")


def test_a_pipeline_that_always_comes_first(world: Sandbox, stores: Stores) -> None:
    """After four rounds the caller is told to try later; sync adopts the last move."""
    revisions = iter(range(2, 100))
    events = [lambda: _pipeline(stores, next(revisions), "v3")] * 50
    with pytest.raises(KVUnavailable, match="by others"):
        _promote(world, "v2", Interposing(stores.client, "put_item", *events))
    assert next(revisions) == 6
    world.sync()
    assert _latest(stores)[1] == "v3"


def test_a_catalog_that_is_down(world: Sandbox, stores: Stores, kv: KV) -> None:
    """Without the catalog nothing is asked of the KV."""
    before = dump(stores)
    with pytest.raises(CatalogUnavailable):
        promote("v2", by=BY, catalog=closed_catalog(), kv=kv)
    assert dump(stores) == before
