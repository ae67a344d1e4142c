"""Variants over the admin API: where they point, and how that is moved."""

from collections.abc import Iterator
from typing import Any

import pytest

from infra.local.postgres import Postgres
from tests.support.admin_api import EMAIL, VERSION, Api, api_on
from tests.support.statements import statements
from tests.support.stores import Stores, make_stores

VARIANT = {"variant", "latest", "candidate", "rollout", "revision", "updated_at"}


@pytest.fixture(scope="module")
def api(postgres_server: Postgres, dynamodb: Any) -> Iterator[Api]:
    """Every test uses tags and variants of its own."""
    with api_on(make_stores(postgres_server, dynamodb)) as made:
        yield made


def test_promoting(api: Api) -> None:
    """The variant after the move; again it is no change, and only what is active may be."""
    for tag in ("pro-1", "pro-2"):
        api.publish(tag, variant="pro")
    first = api.call("POST", "/v1/versions/pro-1/promote", {"reason": "  canaries  "})
    assert first.json.keys() == {"variant"}
    variant = first.json["variant"]
    assert variant.keys() == VARIANT
    assert variant["latest"].keys() == VERSION
    assert (variant["latest"]["is_latest"], variant["candidate"]) == (True, None)
    assert api.promote("pro-1") == variant
    assert api.patch("pro-2", status="deprecated").status == 200
    refused = api.call("POST", "/v1/versions/pro-2/promote", {})
    assert refused.refusal == (409, "version_not_active")
    detail = api.call("GET", "/v1/variants/pro")
    assert detail.json.keys() == VARIANT | {"promotions", "reports"}
    [promotion] = detail.json["promotions"]
    assert promotion.keys() == {
        "revision", "image_tag", "previous_tag", "promoted_by", "reason", "at"
    }  # fmt: skip
    assert (promotion["reason"], promotion["promoted_by"]) == ("canaries", EMAIL)
    assert detail.headers["etag"] == first.headers["etag"]


def test_variants(api: Api) -> None:
    """A variant exists from its first version on, with or without a latest."""
    assert api.call("GET", "/v1/variants/lonely").refusal == (404, "variant_not_found")
    api.publish("lonely-1", variant="lonely")
    lonely = api.get("/v1/variants/lonely", roles=("viewer",))
    assert (lonely["latest"], lonely["rollout"], lonely["revision"]) == (None, None, 0)
    assert lonely["promotions"] == []
    listed = api.get("/v1/variants?limit=100")["items"]
    assert "lonely" in [variant["variant"] for variant in listed]
    assert all(variant.keys() == VARIANT for variant in listed)


def test_a_rollout_that_the_pipeline_began(api: Api) -> None:
    """A candidate found in the KV is shown with its percent, on the variant and the version."""
    for tag in ("roll-1", "roll-2"):
        api.publish(tag, variant="roll")
    api.promote("roll-1")
    api.stores.put(
        "POINTER", "roll", revision=2, latest_tag="roll-1", candidate_tag="roll-2", percent=25,
        salt="s", updated_at="2026-11-01T00:00:00Z", moved_by="pipeline",
    )  # fmt: skip
    assert api.call("POST", "/v1/sync").status == 200
    variant = api.get("/v1/variants/roll")
    assert variant["candidate"]["image_tag"] == "roll-2"
    assert variant["rollout"] == {"percent": 25, "held": False, "brake": None}
    assert api.get("/v1/versions/roll-2")["rollout_percent"] == 25
    assert api.patch("roll-2", status="disabled").refusal == (409, "version_in_use")
    ended = api.patch("roll-2", status="disabled", replacement="roll-1")
    assert (ended.status, ended.json["rollout_percent"]) == (200, None)


def test_a_list_costs_a_fixed_number_of_statements(stores: Stores) -> None:
    """Listing five variants takes as many statements as listing one."""
    with api_on(stores) as api, statements() as counted:
        costs = []
        for name in ("a", "b", "c", "d", "e"):
            api.publish(f"{name}-1", variant=name)
            api.promote(f"{name}-1")
            counted.clear()
            items = api.get("/v1/variants")["items"]
            assert all(item["latest"]["image_tag"].endswith("-1") for item in items)
            costs.append(len(counted))
    assert costs[0] > 0
    assert len(set(costs)) == 1
