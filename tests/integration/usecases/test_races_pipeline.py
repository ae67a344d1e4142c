"""A pipeline that moves the pointer in the KV itself, against everybody who moves it by API."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from shared.domain.errors import KVUnavailable, Refused, VersionInUse, VersionNotActive
from shared.kv.table import ConditionFailed, as_read
from tests.support.concurrent_actors import Crowd, Sandbox, digest, latest, published
from tests.support.invariants import faults, pointers


def _move(pipeline: Sandbox, tag: str) -> bool:
    """Make `tag` latest as a pipeline does: on the revision that it read, plus one."""
    table = pipeline.kv.table
    key = {"pk": {"S": "POINTER"}, "sk": {"S": "default"}}
    [stored] = table.get_all(key)
    revision = int(stored["revision"]["N"]) + 1 if stored else 1
    item = key | {"revision": {"N": str(revision)}, "latest_tag": {"S": tag}}
    try:
        table.call("put_item", Item=item, **as_read(stored, "revision").parameters())
    except ConditionFailed:
        return False
    return True


@pytest.mark.parametrize(
    "rival",
    [
        lambda admin, tag: admin.promote(tag),
        lambda admin, tag: admin.publish(f"{tag}-new", digest(f"{tag}-new"), set_latest=True),
        lambda admin, tag: admin.disable(tag, "spare"),
        lambda admin, tag: admin.disable(tag),
    ],
    ids=["promote", "publish", "disable with a replacement", "disable"],
)
def test_a_pipeline_meets_the_api(
    crowd: Crowd, rival: Callable[[Sandbox, str], object]
) -> None:
    """Nobody is lost, nothing disabled is latest, and no revision ever has two contents."""
    published(crowd, "first", "spare")
    crowd.admins[0].promote("first")
    for number in range(8):
        tag, other = f"tag-{number}", f"other-{number}"
        published(crowd, tag, other)
        *_, ended, report = crowd.race(
            partial(_move, crowd.admins[1], tag),
            partial(_move, crowd.admins[2], other),
            partial(rival, crowd.admins[0], tag),
            crowd.syncs[0].sync,
        )
        assert not isinstance(report, Refused)
        allowed = (VersionInUse, VersionNotActive, KVUnavailable)
        assert not isinstance(ended, Refused) or isinstance(ended, allowed)
        crowd.settle()
        assert not faults(crowd.stores)
    assert crowd.revisions_with_two_contents() == []


def test_a_pipeline_publishes_while_the_cap_holds_it_back(crowd: Crowd) -> None:
    """With syncs that take one new entry a run, in the end all entries are there."""
    published(crowd, "first")
    crowd.admins[0].promote("first")

    def publish(pipeline: Sandbox, tag: str) -> bool:
        crowd.stores.put_entry(tag, image_digest=digest(tag))
        return _move(pipeline, tag)

    for number in range(8):
        crowd.race(
            partial(publish, crowd.admins[1], f"one-{number}"),
            partial(publish, crowd.admins[2], f"two-{number}"),
            partial(crowd.syncs[0].sync, 1),
            partial(crowd.syncs[1].sync, 1),
        )
    crowd.settle()
    assert not faults(crowd.stores)
    assert crowd.stores.sql("SELECT count(*) FROM kiloclaw_available_versions") == [(17,)]
    assert crowd.revisions_with_two_contents() == []


def test_a_sync_meets_a_promotion(crowd: Crowd) -> None:
    """The promotion always works, is the promoter's in the log, and both copies agree."""
    published(crowd, *[f"tag-{number}" for number in range(12)])
    for number in range(12):
        tag = f"tag-{number}"
        promoted, *reports = crowd.race(
            partial(crowd.admins[0].promote, tag),
            crowd.syncs[0].sync,
            crowd.syncs[1].sync,
        )
        assert promoted == "default"
        assert not [report for report in reports if isinstance(report, Refused)]
        assert latest(crowd) == tag
        assert not faults(crowd.stores)
    by: list[tuple[Any, ...]] = crowd.stores.sql(
        "SELECT DISTINCT promoted_by FROM kiloclaw_promotions"
    )
    assert by == [("ada@example.com",)]
    assert len(pointers(crowd.stores)) == 1
    assert crowd.revisions_with_two_contents() == []
