"""Lists page by page: whole, without repeats, and each cursor good for its own query alone."""

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterator
from typing import Any

import pytest

from infra.local.postgres import Postgres
from tests.support.admin_api import Api, api_on
from tests.support.fleet_copy import copy_fleet
from tests.support.stores import make_stores

VERSIONS = ["2026.9.30", "2026.10.1", "2026.10.1", "2026.2.28", "2025.12.31"]
LISTS = [
    "/v1/versions", "/v1/variants", "/v1/pins", "/v1/instances", "/v1/sync-runs",
    "/v1/sync-findings", "/v1/audit",
]  # fmt: skip


@pytest.fixture(scope="module")
def api(postgres_server: Postgres, dynamodb: Any) -> Iterator[Api]:
    """Every list has at least five items, many of them alike."""
    stores = make_stores(postgres_server, dynamodb)
    with api_on(stores) as made:
        for number, version in enumerate(VERSIONS):
            made.publish(
                f"v-{number}", variant=f"variant-{number}", openclaw_version=version,
                published_at="2026-11-01T00:00:00.000001Z", notes=f"Note {number % 2}",
            )  # fmt: skip
            made.pin(f"user-{number}", f"v-{number}")
            stores.put_entry(f"broken-{number}", openclaw_version="no")
            stores.put(
                f"INSTANCE#user-{number}", "IMAGE", user_id=f"user-{number}",
                running_tag="v-0", openclaw_version=version, variant="default",
                source="latest", is_pinned=False,
                resolved_at="2026-11-01T00:00:00.000000Z",
                decided_at="2026-11-01T00:00:00.000000Z",
            )  # fmt: skip
            made.call("POST", "/v1/sync")
        copy_fleet(stores)
        stores.sql("UPDATE kiloclaw_version_pins SET created_at = '2026-11-01T00:00:00Z'")
        stores.sql("UPDATE kiloclaw_available_versions SET created_at = '2026-11-01T00:00:00Z'")
        stores.sql("UPDATE kiloclaw_sync_runs SET started_at = '2026-11-01T00:00:00Z'")
        yield made


def walk(api: Api, path: str, limit: int) -> list[Any]:
    """All items, page by page; every page but the last is full."""
    items, cursor = [], ""
    joint = "&" if "?" in path else "?"
    while True:
        page = api.get(f"{path}{joint}limit={limit}{cursor}")
        items += page["items"]
        if page["next_cursor"] is None:
            return items
        assert len(page["items"]) == limit
        cursor = f"&cursor={page['next_cursor']}"


SORTS = [
    f"/v1/versions?sort={sort}&order={order}"
    for sort in ("published_at", "created_at", "image_tag", "openclaw_version")
    for order in ("asc", "desc")
]


@pytest.mark.parametrize("path", [*LISTS, *SORTS, "/v1/versions?q=note%200"])
def test_pages_join_to_the_whole_list(api: Api, path: str) -> None:
    """However long the pages are, nothing is skipped or repeated, in one order."""
    whole = api.get(f"{path}{'&' if '?' in path else '?'}limit=100")["items"]
    assert len(whole) >= 3
    for limit in (1, 2, 3, len(whole), len(whole) + 1):
        assert walk(api, path, limit) == whole


def test_the_orders_of_versions(api: Api) -> None:
    """Versions sort numerically, with the tag between equals; newest first by default."""

    def tags(query: str) -> list[str]:
        return [version["image_tag"] for version in api.get(f"/v1/versions{query}")["items"]]

    assert tags("?sort=openclaw_version&order=asc") == ["v-4", "v-3", "v-0", "v-1", "v-2"]
    assert tags("?sort=openclaw_version") == ["v-2", "v-1", "v-0", "v-3", "v-4"]
    assert tags("?sort=image_tag&order=asc") == ["v-0", "v-1", "v-2", "v-3", "v-4"]
    assert (
        tags("") == tags("?sort=published_at&order=desc") == ["v-4", "v-3", "v-2", "v-1", "v-0"]
    )


def test_filters_of_versions(api: Api) -> None:
    """By status, variant and part of tag, version or notes in either case, all together."""

    def tags(query: str) -> list[str]:
        found = api.get(f"/v1/versions?order=asc&{query}")["items"]
        return [version["image_tag"] for version in found]

    assert tags("q=NOTE+1") == ["v-1", "v-3"]
    assert tags("q=10.1") == ["v-1", "v-2"]
    assert tags("q=V-4") == ["v-4"]
    assert tags("variant=variant-2") == ["v-2"]
    assert tags("status=deprecated") == []
    assert tags("status=active&variant=variant-1&q=note") == ["v-1"]


def test_twenty_five_items_unless_asked(api: Api) -> None:
    """The default limit."""
    for number in range(26):
        api.pin(f"many-{number}", "v-0")
    page = api.get("/v1/pins?q=many")
    assert len(page["items"]) == 25
    assert page["next_cursor"]


def first_cursor(api: Api, path: str) -> str:
    page = api.get(f"{path}{'&' if '?' in path else '?'}limit=1")
    return str(page["next_cursor"])


OTHERS = [
    ("/v1/versions", "/v1/versions?order=asc"),
    ("/v1/versions?sort=image_tag", "/v1/versions?sort=openclaw_version"),
    ("/v1/versions?q=v", "/v1/versions?q=V"),
    ("/v1/versions", "/v1/versions?status=active"),
    ("/v1/versions?variant=variant-1&q=v", "/v1/versions?variant=variant-2"),
    ("/v1/pins", "/v1/pins?state=applied"),
    ("/v1/pins", "/v1/audit"),
    ("/v1/audit", "/v1/sync-findings"),
    ("/v1/sync-findings", "/v1/audit"),
    ("/v1/audit", "/v1/audit?actor=ada@example.com"),
    ("/v1/instances", "/v1/instances?image_tag=v-0"),
    ("/v1/instances", "/v1/instances?sort=resolved_at"),
    ("/v1/instances", "/v1/instances?drift=true"),
    ("/v1/sync-runs", "/v1/versions"),
]


@pytest.mark.parametrize(("path", "other"), OTHERS)
def test_a_cursor_of_another_query(api: Api, path: str, other: str) -> None:
    """422: where it points is no place in this list."""
    cursor = first_cursor(api, "/v1/versions" if "&q=v" in path else path)
    joint = "&" if "?" in other else "?"
    assert api.call("GET", f"{other}{joint}cursor={cursor}").fields == ["cursor"]


def test_the_limit_may_change_on_the_way(api: Api) -> None:
    """It is no part of the query."""
    cursor = first_cursor(api, "/v1/versions")
    assert len(api.get(f"/v1/versions?limit=3&cursor={cursor}")["items"]) == 3


def unpacked(cursor: str) -> Any:
    return json.loads(urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))


def packed(content: object) -> str:
    return urlsafe_b64encode(json.dumps(content).encode()).decode().rstrip("=")


KEYS: list[object] = [
    None, 1, -1, 1.5, True, "", "x", [], {}, "2026-11-01T00:00:00Z'--", "\x00", "a\nb", "é",
    10**30, "9999999999-01-01T00:00:00Z", "0001-01-01T00:00:00+23:59", "\ud800", "latest",
    "2026-11-01T00:00:00+15:59",
]  # fmt: skip


@pytest.mark.parametrize("path", LISTS)
def test_cursors_that_were_made_up(api: Api, path: str) -> None:
    """Whatever they claim is parsed like any input: 422, or a page, and never a 500."""
    mark, *key = unpacked(first_cursor(api, path))
    for place in range(len(key)):
        for value in KEYS:
            forged = packed([mark, *key[:place], value, *key[place + 1 :]])
            answer = api.call("GET", f"{path}?cursor={forged}")
            assert answer.status == 200 or answer.fields == ["cursor"]
    for content in (key, [mark], [mark, *key, 1], [None, *key], {mark: key}, mark, None, []):
        assert api.call("GET", f"{path}?cursor={packed(content)}").fields == ["cursor"]
    nested = urlsafe_b64encode(b"[" * 700).decode().rstrip("=")
    for broken in ("", "x", "%3D", "a.b", "AAAA", "_" * 1024, "x" * 1025, nested):
        assert api.call("GET", f"{path}?cursor={broken}").fields == ["cursor"]
