"""`POST /v1/pins/bulk`: shapes, limits and refusals as the contract has them."""

from collections.abc import Iterator
from typing import Any

import pytest

from infra.local.postgres import Postgres
from tests.support.admin_api import Api, Reply, api_on
from tests.support.store_dump import dump
from tests.support.stores import make_stores

PAST = "2026-01-01T00:00:00Z"
DEEP: dict[str, Any] = {"op": "pin", "user_id": "oauth/google:1", "image_tag": "one"}


@pytest.fixture(scope="module")
def api(postgres_server: Postgres, dynamodb: Any) -> Iterator[Api]:
    """`one` is active, `old` is deprecated, `bad` is disabled; ana is pinned to `one`."""
    with api_on(make_stores(postgres_server, dynamodb)) as made:
        for tag in ("one", "old", "bad"):
            made.publish(tag)
        made.patch("old", status="deprecated")
        made.patch("bad", status="disabled")
        made.pin("ana", "one")
        yield made


def bulk(api: Api, *items: dict[str, Any], mode: str = "best_effort", query: str = "") -> Reply:
    return api.call("POST", f"/v1/pins/bulk{query}", {"mode": mode, "items": list(items)})


def test_doing_what_can_be_done(api: Api) -> None:
    """200 with a result an item; `code` and `warnings` are there where they say something."""
    items: list[dict[str, Any]] = [
        {
            "op": "pin",
            "user_id": "ben",
            "image_tag": "old",
            "reason": " why ",
            "expires_at": None,
        },
        {"op": "unpin", "user_id": "ana", "image_tag": None, "reason": "fixed"},
        {"op": "pin", "user_id": "cid", "image_tag": "bad"},
        {"op": "unpin", "user_id": "nobody"},
        DEEP,
    ]
    answer = bulk(api, *items)
    assert (answer.status, answer.json) == (
        200,
        {
            "applied": 4,
            "failed": 1,
            "results": [
                {"user_id": "ben", "status": "pinned", "warnings": ["version_deprecated"]},
                {"user_id": "ana", "status": "unpinned"},
                {"user_id": "cid", "status": "failed", "code": "version_disabled"},
                {"user_id": "nobody", "status": "unchanged"},
                {"user_id": "oauth/google:1", "status": "pinned"},
            ],
        },
    )
    assert api.get("/v1/users/ben/pin")["pin"]["reason"] == "why"
    [event, *_] = api.get("/v1/audit?subject=ana")["items"]
    assert (event["action"], event["reason"]) == ("pin.removed", "fixed")


@pytest.mark.parametrize("query", ["", "?dry_run=true"])
def test_all_or_nothing(api: Api, query: str) -> None:
    """422 that names each bad item; nothing is written. A preview is refused alike."""
    before = dump(api.stores)
    past = {"op": "pin", "user_id": "eve", "image_tag": "one", "expires_at": PAST}
    none = {"op": "pin", "user_id": "cid", "image_tag": "none"}
    answer = bulk(api, DEEP, past, none, mode="atomic", query=query)
    assert answer.refusal == (422, "bulk_rejected")
    assert [sorted(error) for error in answer.json["errors"]] == [
        ["code", "index", "message", "user_id"]
    ] * 2
    assert [(one["index"], one["user_id"], one["code"]) for one in answer.json["errors"]] == [
        (1, "eve", "invalid_request"),
        (2, "cid", "version_not_found"),
    ]
    assert dump(api.stores) == before


@pytest.mark.parametrize(
    ("items", "fields"),
    [
        ([], ["items"]),
        ([{"op": "unpin", "user_id": f"u-{n}"} for n in range(1001)], ["items"]),
        ([DEEP, DEEP | {"op": "unpin", "image_tag": None}], ["items"]),
        ([{"op": "pin", "user_id": "a"}], ["items.0.image_tag"]),
        ([{"op": "pin", "user_id": "a", "image_tag": None}], ["items.0.image_tag"]),
        ([DEEP, {"op": "unpin", "user_id": "a", "image_tag": "one"}], ["items.1.image_tag"]),
        ([{"op": "unpin", "user_id": "a", "expires_at": PAST}], ["items.0.expires_at"]),
        ([{"op": "move", "user_id": "a"}], ["items.0.op"]),
        ([{"op": "unpin", "user_id": "a b"}], ["items.0.user_id"]),
        ([{"op": "unpin"}], ["items.0.user_id"]),
        ([DEEP | {"surprise": 1}], ["items.0.surprise"]),
        ([DEEP | {"reason": "x" * 501}], ["items.0.reason"]),
    ],
)
def test_malformed_items(api: Api, items: list[Any], fields: list[str]) -> None:
    """422 naming the fields, in either mode."""
    before = dump(api.stores)
    assert bulk(api, *items).fields == fields
    assert bulk(api, *items, mode="atomic").fields == fields
    assert dump(api.stores) == before


def test_a_thousand_items(api: Api) -> None:
    """As many as one call takes."""
    items = [DEEP | {"user_id": f"many-{number}"} for number in range(1000)]
    previewed = bulk(api, *items, query="?dry_run=true")
    assert previewed.json["impact"]["users"] == 0
    answer = bulk(api, *items, mode="atomic")
    assert (answer.json["applied"], len(answer.json["results"])) == (1000, 1000)
    assert len(answer.json["results"]) == 1000
