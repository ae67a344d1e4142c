"""Versions over the admin API: published, changed, promoted, retired."""

from collections.abc import Iterator
from typing import Any

import pytest

from infra.local.postgres import Postgres
from tests.support.admin_api import EMAIL, VERSION, Api, api_on
from tests.support.concurrent_actors import digest
from tests.support.fleet_copy import copy_fleet
from tests.support.stores import make_stores


@pytest.fixture(scope="module")
def api(postgres_server: Postgres, dynamodb: Any) -> Iterator[Api]:
    """Every test uses tags and variants of its own."""
    with api_on(make_stores(postgres_server, dynamodb)) as made:
        yield made


def test_publishing(api: Api) -> None:
    """201 with the version as it was stored; the same again is 200 and changes nothing."""
    body = {
        "image_tag": "pub-1", "openclaw_version": "2026.11.1", "variant": "pub",
        "image_digest": digest("pub-1").upper().replace("SHA", "sha"),
        "notes": "  first  ", "published_at": "2026-11-01T01:30:00.123456789+01:30",
    }  # fmt: skip
    first = api.call("POST", "/v1/versions", body, roles=("publisher",))
    again = api.call("POST", "/v1/versions", body, roles=("publisher",))
    assert (first.status, again.status) == (201, 200)
    assert first.json == again.json
    assert first.json.keys() == VERSION
    stored = {name: first.json[name] for name in VERSION - {"id", "created_at", "updated_at"}}
    assert stored == {
        "image_tag": "pub-1", "image_digest": digest("pub-1"), "openclaw_version": "2026.11.1",
        "variant": "pub", "status": "active", "is_latest": False, "rollout_percent": None,
        "published_at": "2026-11-01T00:00:00.123456Z", "published_by": EMAIL,
        "notes": "first", "revision": 1, "missing_since": None,
    }  # fmt: skip
    assert first.headers["etag"] == again.headers["etag"]
    assert first.headers["cache-control"] == "no-store"
    assert first.headers["x-content-type-options"] == "nosniff"


def test_publishing_again_with_more(api: Api) -> None:
    """A digest is filled in, version and notes change; what is omitted or null stays."""
    first = api.publish("again", notes="kept", published_at="2026-11-01T00:00:00Z")
    filled = api.publish("again", image_digest=digest("again"), notes=None, variant=None)
    assert (filled["image_digest"], filled["notes"]) == (digest("again"), "kept")
    assert (filled["revision"], filled["variant"]) == (2, "default")
    moved = api.publish(
        "again", openclaw_version="2026.11.2", published_at="2020-01-01T00:00:00Z"
    )
    assert (moved["openclaw_version"], moved["revision"]) == ("2026.11.2", 3)
    assert moved["published_at"] == first["published_at"]
    assert (moved["image_digest"], moved["is_latest"]) == (digest("again"), False)


def test_publishing_as_latest(api: Api) -> None:
    """`set_latest` moves the pointer; publishing the latest without it leaves it latest."""
    assert api.publish("sl-1", variant="sl", set_latest=True)["is_latest"] is True
    assert api.publish("sl-2", variant="sl")["is_latest"] is False
    assert api.publish("sl-1", variant="sl")["is_latest"] is True
    assert api.get("/v1/variants/sl")["latest"]["image_tag"] == "sl-1"


def test_publishing_is_refused(api: Api) -> None:
    """Each conflict by its code; an owner is named."""
    api.publish("taken", image_digest=digest("taken"))
    api.publish("gone", image_digest=digest("gone"))
    assert api.call("DELETE", "/v1/versions/gone").status == 204
    api.publish("old")
    assert api.patch("old", status="deprecated").status == 200

    def code(tag: str, **fields: object) -> tuple[int, str]:
        body = {"image_tag": tag, "openclaw_version": "2026.11.1"} | fields
        return api.call("POST", "/v1/versions", body).refusal

    assert code("other", image_digest=digest("taken")) == (409, "digest_in_use")
    assert code("other", image_digest=digest("gone")) == (409, "digest_in_use")
    assert code("taken", image_digest=digest("x")) == (409, "digest_changed")
    assert code("taken", variant="gpu") == (409, "variant_changed")
    assert code("gone") == (409, "tag_retired")
    assert code("old", set_latest=True) == (409, "version_not_active")
    body = {"image_tag": "z", "openclaw_version": "2026.1.1", "image_digest": digest("taken")}
    document = api.call("POST", "/v1/versions", body).json
    assert document["owner"] == "taken"
    assert document.keys() >= {"type", "title", "status", "detail", "code"}
    assert api.call("GET", "/v1/versions/other").refusal == (404, "version_not_found")


def test_one_version(api: Api) -> None:
    """With the numbers of its pins and instances; 404 for what is not there or retired."""
    api.publish("detail")
    api.pin("detail-1", "detail")
    api.stores.put(
        "INSTANCE#detail-1", "IMAGE", user_id="detail-1", running_tag="detail",
        openclaw_version="2026.11.1", variant="default", source="pin", is_pinned=True,
        resolved_at="2026-11-01T00:00:00.000000Z", decided_at="2026-11-01T00:00:00.000000Z",
    )  # fmt: skip
    copy_fleet(api.stores)
    answer = api.call("GET", "/v1/versions/detail", roles=("viewer",))
    assert answer.json.keys() == VERSION | {"pin_count", "instance_count", "as_of"}
    assert (answer.json["pin_count"], answer.json["instance_count"]) == (1, 1)
    for method, path in (
        ("GET", ""), ("PATCH", ""), ("DELETE", ""), ("POST", "/promote")
    ):  # fmt: skip
        answer = api.call(
            method, f"/v1/versions/nowhere{path}", {} if method in {"PATCH", "POST"} else None
        )
        assert answer.refusal == (404, "version_not_found")


def test_changing_status_and_notes(api: Api) -> None:
    """Each change raises the revision; no change does not."""
    api.publish("change", notes="old")
    answer = api.patch("change", status="deprecated", notes="new")
    assert (answer.json["status"], answer.json["notes"]) == ("deprecated", "new")
    revision = answer.json["revision"]
    assert revision > 1
    for nothing in ({}, {"status": None, "notes": None}, {"notes": "new"}):
        assert api.patch("change", **nothing).json["revision"] == revision
    assert not api.patch("change", notes="").json["notes"]
    assert api.patch("change", status="active").json["status"] == "active"
    assert api.patch("change", status="disabled").json["status"] == "disabled"
    assert api.patch("change", status="active").json["status"] == "active"


def test_disabling_strands_nobody(api: Api) -> None:
    """Latest needs a replacement, pins a replacement or force; who was pinned goes along."""
    for tag in ("dis-1", "dis-2", "dis-3"):
        api.publish(tag, variant="dis")
    api.publish("dis-other")
    api.promote("dis-1")
    api.pin("dis-user", "dis-1")
    assert api.patch("dis-1", status="disabled").refusal == (409, "version_in_use")
    forced = api.patch("dis-1", status="disabled", force=True)
    assert forced.refusal == (409, "version_in_use")
    assert api.patch("dis-3", status="deprecated").status == 200
    for bad in ("dis-1", "dis-3", "dis-other", "nowhere"):
        answer = api.patch("dis-1", status="disabled", replacement=bad, force=True)
        assert answer.refusal == (409, "invalid_replacement")
    moved = api.patch("dis-1", status="disabled", replacement="dis-2")
    assert (moved.json["status"], moved.json["is_latest"]) == ("disabled", False)
    assert api.get("/v1/variants/dis")["latest"]["image_tag"] == "dis-2"
    assert api.get("/v1/users/dis-user/pin")["pin"]["image_tag"] == "dis-2"


def test_disabling_what_is_pinned(api: Api) -> None:
    """Refused with the number of pins; with force they are suspended, and resume."""
    api.publish("pinned")
    for user in ("p-1", "p-2"):
        api.pin(user, "pinned")
    refused = api.patch("pinned", status="disabled")
    assert refused.refusal == (409, "version_pinned")
    assert refused.json["pin_count"] == 2
    assert api.patch("pinned", status="disabled", force=False).refusal[1] == "version_pinned"
    assert api.patch("pinned", status="disabled", force=True).status == 200
    assert api.get("/v1/users/p-1/pin")["pin"]["state"] == "suspended"
    assert api.patch("pinned", status="active").status == 200
    assert api.get("/v1/users/p-1/pin")["pin"]["state"] == "applied"


def test_retiring(api: Api) -> None:
    """204, then it is in no list; not what is latest or pinned, but a former latest."""
    for tag in ("ret-1", "ret-2"):
        api.publish(tag, variant="ret")
        api.promote(tag)
    api.pin("ret-user", "ret-1")
    assert api.call("DELETE", "/v1/versions/ret-2").refusal == (409, "version_in_use")
    pinned = api.call("DELETE", "/v1/versions/ret-1")
    assert (pinned.refusal, pinned.json["pin_count"]) == ((409, "version_pinned"), 1)
    api.call("DELETE", "/v1/users/ret-user/pin")
    gone = api.call("DELETE", "/v1/versions/ret-1")
    assert (gone.status, gone.body) == (204, b"")
    assert api.call("DELETE", "/v1/versions/ret-1").refusal == (404, "version_not_found")
    listed = api.get("/v1/versions?variant=ret")["items"]
    assert [version["image_tag"] for version in listed] == ["ret-2"]
