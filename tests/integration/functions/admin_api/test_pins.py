"""Pins over the admin API: set, replaced, listed, removed."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from infra.local.postgres import Postgres
from tests.support.admin_api import EMAIL, VERSION, Api, api_on
from tests.support.stores import make_stores

PIN = {
    "user_id", "image_tag", "reason", "pinned_by", "expires_at", "state", "revision",
    "created_at", "updated_at",
}  # fmt: skip


@pytest.fixture(scope="module")
def api(postgres_server: Postgres, dynamodb: Any) -> Iterator[Api]:
    """Three versions: `one` and `two` are active, `old` is deprecated, `bad` is disabled."""
    with api_on(make_stores(postgres_server, dynamodb)) as made:
        for tag in ("one", "two", "old", "bad"):
            made.publish(tag)
        made.patch("old", status="deprecated")
        made.patch("bad", status="disabled")
        yield made


def put(api: Api, user_id: str, **fields: object) -> Any:
    return api.call("PUT", f"/v1/users/{user_id}/pin", fields)


def test_pinning(api: Api) -> None:
    """201 with pin, version and warnings; the same again is 200 and changes nothing."""
    expiry = (datetime.now(UTC) + timedelta(days=2)).isoformat()
    fields = {"image_tag": "one", "reason": " waits for a fix ", "expires_at": expiry}
    first, again = put(api, "pin-1", **fields), put(api, "pin-1", **fields)
    assert (first.status, again.status) == (201, 200)
    assert first.json == again.json
    assert first.json.keys() == {"pin", "version", "warnings"}
    assert first.json["pin"].keys() == PIN
    assert first.json["version"].keys() == VERSION
    pin = {name: first.json["pin"][name] for name in PIN - {"created_at", "updated_at"}}
    assert pin == {
        "user_id": "pin-1", "image_tag": "one", "reason": "waits for a fix",
        "pinned_by": EMAIL, "expires_at": expiry.replace("+00:00", "Z"), "state": "applied",
        "revision": 1,
    }  # fmt: skip
    assert first.json["warnings"] == []
    found = api.call("GET", "/v1/users/pin-1/pin", roles=("viewer",))
    assert (found.json, found.headers["etag"]) == (first.json, first.headers["etag"])


def test_replacing(api: Api) -> None:
    """A pin is replaced whole: what the new one does not say is gone."""
    first = put(api, "pin-2", image_tag="one", reason="why")
    answer = put(api, "pin-2", image_tag="two")
    assert (answer.status, answer.json["pin"]["revision"]) == (200, 2)
    assert answer.headers["etag"] != first.headers["etag"]
    assert (answer.json["pin"]["image_tag"], answer.json["pin"]["reason"]) == ("two", None)


def test_pinning_to_what_is_not_active(api: Api) -> None:
    """Deprecated warns, disabled and unknown are refused, and leave the pin as it was."""
    answer = put(api, "pin-3", image_tag="old")
    assert (answer.status, answer.json["warnings"]) == (201, ["version_deprecated"])
    assert put(api, "pin-3", image_tag="bad").refusal == (409, "version_disabled")
    assert put(api, "pin-3", image_tag="none").refusal == (404, "version_not_found")
    found = api.get("/v1/users/pin-3/pin")
    assert (found["pin"]["image_tag"], found["warnings"]) == ("old", ["version_deprecated"])


def test_the_reason_for_unpinning_is_kept(api: Api) -> None:
    """The audit log says why a user was unpinned; a reason that is too long is refused."""
    put(api, "pin-why", image_tag="one")
    path = "/v1/users/pin-why/pin"
    assert api.call("DELETE", f"{path}?reason={'x' * 501}").status == 422
    assert api.call("DELETE", f"{path}?reason=fixed+now").status == 204
    [event, *_] = api.call("GET", "/v1/audit?subject=pin-why").json["items"]
    assert (event["action"], event["reason"]) == ("pin.removed", "fixed now")


def test_unpinning(api: Api) -> None:
    """204, and again; then there is no pin."""
    api.pin("pin-4", "one")
    for _ in range(2):
        answer = api.call("DELETE", "/v1/users/pin-4/pin")
        assert (answer.status, answer.body) == (204, b"")
    assert api.call("GET", "/v1/users/pin-4/pin").refusal == (404, "pin_not_found")


def test_the_state_of_a_pin(api: Api) -> None:
    """Applied, expired, suspended; both expired and suspended is expired."""
    api.publish("soon-bad")
    soon = (datetime.now(UTC) + timedelta(seconds=1.5)).isoformat()
    api.pin("state-1", "soon-bad", expires_at=soon)
    api.pin("state-2", "soon-bad")
    api.pin("state-3", "one", reason="State")
    assert api.patch("soon-bad", status="disabled", force=True).status == 200
    give_up = time.monotonic() + 10
    while api.get("/v1/users/state-1/pin")["pin"]["state"] != "expired":
        assert time.monotonic() < give_up
        time.sleep(0.1)

    def users(query: str) -> list[str]:
        return [pin["user_id"] for pin in api.get(f"/v1/pins?{query}")["items"]]

    assert users("q=state-&state=expired") == ["state-1"]
    assert users("q=STATE-&state=suspended") == ["state-2"]
    assert users("q=state&state=applied") == ["state-3"]
    assert users("image_tag=soon-bad") == ["state-2", "state-1"]
    assert users("q=state") == ["state-3", "state-2", "state-1"]
    assert all(pin.keys() == PIN for pin in api.get("/v1/pins")["items"])
