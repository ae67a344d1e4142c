"""`If-Match`: a change starts from the state that its caller has seen, or not at all."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from infra.local.postgres import Postgres
from tests.support.admin_api import Api, Reply, api_on
from tests.support.failing_clients import unreachable
from tests.support.stores import make_stores

STALE = (412, "stale_revision")


@pytest.fixture(scope="module")
def api(postgres_server: Postgres, dynamodb: Any) -> Iterator[Api]:
    with api_on(make_stores(postgres_server, dynamodb)) as made:
        yield made


def conditional(api: Api, method: str, path: str, etag: str, body: Any = None) -> Reply:
    return api.call(method, path, body, headers={"if-match": etag})


def version_etag(api: Api, tag: str) -> str:
    return api.call("GET", f"/v1/versions/{tag}").headers["etag"]


def variant_etag(api: Api, variant: str) -> str:
    return api.call("GET", f"/v1/variants/{variant}").headers["etag"]


def pin_etag(api: Api, user_id: str) -> str:
    return api.call("GET", f"/v1/users/{user_id}/pin").headers["etag"]


@pytest.mark.parametrize(
    "first",
    [
        {"status": "deprecated"},
        {"status": "disabled"},
        {"notes": "other"},
    ],
)
def test_changing_a_version(api: Api, first: dict[str, Any]) -> None:
    """Each change makes the ETag stale, for every kind of change and for retiring."""
    tag = f"change-{'-'.join(first.values())}"
    path = f"/v1/versions/{tag}"
    api.publish(tag)
    seen = version_etag(api, tag)
    changed = conditional(api, "PATCH", path, seen, first)
    assert changed.status == 200
    assert changed.headers["etag"] == version_etag(api, tag) != seen
    for body in ({"status": "active"}, {"status": "disabled"}, {"notes": "late"}, {}):
        assert conditional(api, "PATCH", path, seen, body).refusal == STALE
    assert conditional(api, "DELETE", path, seen).refusal == STALE
    fresh = f'{seen}, W/"x", {version_etag(api, tag)}'
    assert conditional(api, "DELETE", path, fresh).status == 204
    for etag in (fresh, "*"):
        assert conditional(api, "DELETE", path, etag).refusal == STALE
        assert conditional(api, "PATCH", path, etag, {"notes": "x"}).refusal == STALE
        disabled = conditional(api, "PATCH", path, etag, {"status": "disabled"})
        assert disabled.refusal == STALE


def test_a_version_that_only_the_kv_knows(api: Api) -> None:
    """It has no state in the catalog yet, so nothing can match; and nothing is imported."""
    api.stores.put_entry("kv-only")
    refused = conditional(api, "PATCH", "/v1/versions/kv-only", "*", {"status": "disabled"})
    assert refused.refusal == STALE
    assert api.call("GET", "/v1/versions/kv-only").status == 404


def test_promoting(api: Api) -> None:
    """The condition is about the variant: every other move makes it stale."""
    for tag in ("c-1", "c-2", "c-3"):
        api.publish(tag, variant="c")
    seen = variant_etag(api, "c")
    promoted = conditional(api, "POST", "/v1/versions/c-1/promote", seen)
    assert promoted.status == 200
    assert promoted.headers["etag"] == variant_etag(api, "c") != seen
    assert conditional(api, "POST", "/v1/versions/c-2/promote", seen).refusal == STALE
    # One of the version's own names no state of the variant.
    own = version_etag(api, "c-2")
    assert conditional(api, "POST", "/v1/versions/c-2/promote", own).refusal == STALE
    # The KV has moved on, and the mirror does not know it yet.
    api.stores.put("POINTER", "c", revision=5, latest_tag="c-3")
    etag = promoted.headers["etag"]
    assert conditional(api, "POST", "/v1/versions/c-2/promote", etag).refusal == STALE
    assert api.get("/v1/variants/c")["latest"]["image_tag"] == "c-3"
    etag = variant_etag(api, "c")
    assert conditional(api, "POST", "/v1/versions/c-2/promote", etag).status == 200
    missing = conditional(api, "POST", "/v1/versions/nothing/promote", "*")
    assert missing.refusal == (404, "version_not_found")


def test_publishing(api: Api) -> None:
    """The condition is about the variant; where it fails, neither store has the version."""
    for tag in ("d-1", "d-2"):
        api.publish(tag, variant="d")
    seen = variant_etag(api, "d")
    api.call("POST", "/v1/versions/d-1/promote")
    for set_latest in (True, False):
        body = {
            "image_tag": "d-3", "openclaw_version": "2026.11.1", "variant": "d",
            "set_latest": set_latest,
        }  # fmt: skip
        for query in ("", "?dry_run=true"):
            path = f"/v1/versions{query}"
            assert conditional(api, "POST", path, seen, body).refusal == STALE
        assert api.call("GET", "/v1/versions/d-3").status == 404
        assert api.stores.item("IMAGE", "d-3") is None
    # The KV has moved on, and the mirror does not know it yet: the entry is taken back.
    api.stores.put("POINTER", "d", revision=9, latest_tag="d-2")
    etag = variant_etag(api, "d")
    latest = body | {"set_latest": True}
    assert conditional(api, "POST", "/v1/versions", etag, latest).refusal == STALE
    assert api.stores.item("IMAGE", "d-3") is None
    assert (
        conditional(api, "POST", "/v1/versions", variant_etag(api, "d"), latest).status == 201
    )
    assert conditional(api, "POST", "/v1/versions", "*", body).status == 200


def test_a_kill_switch_without_the_kv_changes_the_variants_etag(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Content and cause change at the same revision, and the ETag with them."""
    for tag in ("k-1", "k-2"):
        api.publish(tag, variant="k")
    before = api.call("POST", "/v1/versions/k-1/promote")
    with monkeypatch.context() as patched:
        table = api.wired().kv.table
        patched.setattr(table, "client", unreachable())
        disabled = api.patch("k-1", status="disabled", replacement="k-2")
    assert disabled.status == 200
    after = api.call("GET", "/v1/variants/k")
    assert after.json["revision"] == before.json["variant"]["revision"]
    assert after.headers["etag"] != before.headers["etag"]


def test_pins(api: Api) -> None:
    """Replacing and removing; and a pin that was made again is another pin."""
    api.publish("p-1")
    api.publish("p-2")
    path = "/v1/users/pinned/pin"
    for etag in ("*", '"anything"'):
        assert conditional(api, "PUT", path, etag, {"image_tag": "p-1"}).refusal == STALE
        assert conditional(api, "DELETE", path, etag).refusal == STALE
    api.pin("pinned", "p-1")
    seen = pin_etag(api, "pinned")
    replaced = conditional(api, "PUT", path, seen, {"image_tag": "p-2"})
    assert (replaced.status, replaced.headers["etag"]) == (200, pin_etag(api, "pinned"))
    assert conditional(api, "PUT", path, seen, {"image_tag": "p-1"}).refusal == STALE
    assert conditional(api, "DELETE", path, seen).refusal == STALE
    assert conditional(api, "DELETE", path, pin_etag(api, "pinned")).status == 204
    api.pin("pinned", "p-1")
    assert conditional(api, "DELETE", path, seen).refusal == STALE
    assert conditional(api, "DELETE", path, "*").status == 204


CONDITIONAL: list[tuple[str, str, Any, Callable[[Api], str]]] = [
    ("PATCH", "/v1/versions/weak", {"notes": "x"}, lambda api: version_etag(api, "weak")),
    ("DELETE", "/v1/versions/weak", None, lambda api: version_etag(api, "weak")),
    ("POST", "/v1/versions/weak/promote", {}, lambda api: variant_etag(api, "weak")),
    ("PUT", "/v1/users/weak/pin", {"image_tag": "weak"}, lambda api: pin_etag(api, "weak")),
    ("DELETE", "/v1/users/weak/pin", None, lambda api: pin_etag(api, "weak")),
]


@pytest.mark.parametrize(("method", "path", "body", "etag"), CONDITIONAL)
def test_weak_ones_never_match(
    api: Api, method: str, path: str, body: Any, etag: Callable[[Api], str]
) -> None:
    """If-Match compares strongly, at every operation that has it."""
    api.publish("weak", variant="weak")
    api.pin("weak", "weak")
    current = etag(api)
    for header in (f"W/{current}", current.strip('"'), ""):
        assert conditional(api, method, path, header, body).refusal == STALE
    assert etag(api) == current
