"""Bodies and queries: what is wrong with a value is said with its field, without the value."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from functions.admin_api.inputs import PinInput, PublishInput, VersionChangeInput
from tests.support.requests import answer, event

LEAST: dict[str, Any] = {"image_tag": "v1", "openclaw_version": "2026.11.1"}
SECRET = "s3cret"
PUBLISH = ("POST", "/v1/versions")
CHANGE = ("PATCH", "/v1/versions/v1")
PIN = ("PUT", "/v1/users/ana/pin")


def test_what_is_omitted_and_what_is_null() -> None:
    """Null where it is allowed stands for what is omitted."""
    assert PublishInput(**LEAST, variant=None, notes=None) == PublishInput(**LEAST)
    assert VersionChangeInput(replacement=None) == VersionChangeInput()


def test_texts_and_times_are_kept_tidy() -> None:
    """A text is trimmed, and a time is in UTC."""
    given: Any = {"reason": " why ", "expires_at": "2026-11-24T14:00:00+02:00"}
    pin = PinInput(image_tag="v1", **given)
    assert pin.reason == "why"
    assert pin.expires_at == datetime(2026, 11, 24, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("to", "body", "wrong"),
    [
        (PUBLISH, {}, ["image_tag", "openclaw_version"]),
        (PUBLISH, LEAST | {"set_latest": 1}, ["set_latest"]),
        (PUBLISH, LEAST | {"set_latest": None}, ["set_latest"]),
        (PUBLISH, LEAST | {"image_digest": ""}, ["image_digest"]),
        (PUBLISH, LEAST | {"published_at": 1}, ["published_at"]),
        (PUBLISH, LEAST | {"published_at": "2026-11-24T12:00:00"}, ["published_at"]),
        (PUBLISH, LEAST | {"notes": "a\0"}, ["notes"]),
        (PUBLISH, LEAST | {"notes": "a\ud800"}, ["notes"]),
        (PUBLISH, LEAST | {"notes": "n" * 2001}, ["notes"]),
        (PUBLISH, LEAST | {"x": {"y": 1}, "é\n": 2}, ["x", r"\xe9\n"]),
        (PUBLISH, LEAST | {"\ud800": 3}, ["body"]),
        (PUBLISH, {"image_tag": 1, "openclaw_version": ["2026.11.1"]},
         ["image_tag", "openclaw_version"]),
        (CHANGE, {"status": "retired"}, ["status"]),
        (CHANGE, {"force": True}, ["force"]),
        (CHANGE, {"status": "active", "replacement": "v2"}, ["replacement"]),
        (PIN, {"image_tag": "v1", "reason": 5, "expires_at": True}, ["reason", "expires_at"]),
    ],
)  # fmt: skip
def test_bad_bodies(to: tuple[str, str], body: dict[str, Any], wrong: list[str]) -> None:
    """Each field that is wrong is named."""
    assert answer(event(*to, "admin", body=json.dumps(body))).fields == wrong


@pytest.mark.parametrize(
    ("to", "body", "message"),
    [
        (PUBLISH, LEAST | {"set_latest": "yes"}, "must be true or false"),
        (PUBLISH, LEAST | {"notes": 1}, "must be a string"),
        (CHANGE, {"status": "gone"}, "must be 'active', 'deprecated' or 'disabled'"),
        (PIN, {}, "is required"),
        (PIN, {"image_tag": "v1", "x": 1}, "is not known"),
    ],
)
def test_messages_say_what_is_allowed(
    to: tuple[str, str], body: dict[str, Any], message: str
) -> None:
    """In words, not as a pattern, and without the field's name, which stands beside them."""
    [error] = answer(event(*to, "admin", body=json.dumps(body))).json["errors"]
    assert error["message"] == message


@pytest.mark.parametrize(
    ("path", "query", "wrong"),
    [
        ("/v1/versions", "cursor=", ["cursor"]),
        ("/v1/versions", "cursor=%0A", ["cursor"]),
        ("/v1/versions", f"cursor={'A' * 1025}", ["cursor"]),
        ("/v1/versions", "status=retired&sort=id&order=up", ["status", "sort", "order"]),
        ("/v1/versions", "variant=GPU", ["variant"]),
        ("/v1/versions", "Limit=1&x=2", ["Limit", "x"]),
        ("/v1/pins", "image_tag=latest&state=none", ["image_tag", "state"]),
        ("/v1/users/ana/resolution", "intent=destroy", ["intent"]),
        ("/v1/stats", "limit=1", ["limit"]),
        ("/v1/audit", "action=pin.lost&since=yesterday", ["action", "since"]),
        ("/v1/users/%20/resolution", "variant=GPU", ["user_id", "variant"]),
    ],
)
def test_bad_queries(path: str, query: str, wrong: list[str]) -> None:
    """Each value of the path and each parameter that is wrong is named."""
    assert answer(event("GET", path, "admin", query=query)).fields == wrong


@pytest.mark.parametrize(
    "body",
    [
        {"image_tag": f"{SECRET}/", "openclaw_version": SECRET},
        {"image_tag": [SECRET], "published_at": SECRET},
        {"image_digest": SECRET, "variant": f"{SECRET}!"},
        {"set_latest": SECRET, "notes": {SECRET: 1}},
    ],
)
def test_values_are_not_repeated(body: dict[str, Any]) -> None:
    """Whatever is wrong with them."""
    reply = answer(event(*PUBLISH, "admin", body=json.dumps(body)))
    assert reply.status == 422
    assert SECRET.encode() not in reply.body


def test_a_flood_of_errors() -> None:
    """It is cut off after twenty, in bodies and in query strings."""
    many = {f"x{number}": 1 for number in range(1000)}
    assert len(answer(event(*PUBLISH, "admin", body=json.dumps(many))).fields) == 20
    query = "&".join(many)
    assert len(answer(event("GET", "/v1/pins", "admin", query=query)).fields) == 20
