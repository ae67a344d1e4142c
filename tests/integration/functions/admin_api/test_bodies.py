"""Hostile bodies: 422 naming the field, no value repeated, nothing written."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from infra.local.postgres import Postgres
from tests.support.admin_api import ADMIN, Api, api_on, claims, event_of, invoke, reply
from tests.support.http_requests import http_request
from tests.support.operations import OPERATIONS, Operation
from tests.support.stores import make_stores

TAKERS = [one for one in OPERATIONS if one.body is not None]
FIELDS = [(one, name) for one in TAKERS if one.body for name in one.body.model_fields]
MARK = "do-not-repeat-me"
GOOD: dict[str, Any] = {
    "image_tag": "one", "openclaw_version": "2026.11.1", "status": "disabled", "force": True,
}  # fmt: skip
NOT_JSON = [
    b"{", b"[]", b"null", b"1", b'"do-not-repeat-me"', b"{}}", b"{'status': 1}", b"\xff\xfe{}",
    b"nul", b'{"reason": "do-not-repeat-me', b'{"reason": NaN}', b"[" * 100_000,
    b'{"reason":' * 50_000, b'{"reason": "\\ud800"}', b'{"reason": "\xed\xa0\x80"}',
    b'{"reason": "\\udfff\\ud800"}', b'{"\\ud800": 1}', b" ", b"\x00",
    b'{"reason": 1' + b"0" * 10_000 + b"}", b'{"reason": 1e999}', b'{"\\u0000": 1}',
]  # fmt: skip
WRONG: list[object] = [
    1, -1.5, 10**400, [], {}, [MARK], {MARK: MARK}, f"{MARK}\x00", f"{MARK}\ud800", True, False,
]  # fmt: skip
RIGHT = [("percent", 1), ("brake", {MARK: MARK})]
"""A percent; and an unknown field, which is named."""
MISTAKES = [
    (one, name, value)
    for one, name in FIELDS
    for value in WRONG
    if not (isinstance(value, bool) and name in {"set_latest", "force"})
    and (name, value) not in RIGHT
]


@pytest.fixture(scope="module")
def api(postgres_server: Postgres, dynamodb: Any) -> Iterator[Api]:
    """Stores that are as empty in the end as they were."""
    stores = make_stores(postgres_server, dynamodb)
    with api_on(stores) as made_api:
        yield made_api
        assert stores.items() == []
        tables = stores.sql(
            "SELECT (SELECT count(*) FROM kiloclaw_available_versions)"
            "     + (SELECT count(*) FROM kiloclaw_version_pins)"
            "     + (SELECT count(*) FROM kiloclaw_user_aliases)"
            "     + (SELECT count(*) FROM kiloclaw_audit_log)"
        )
        assert tables == [(0,)]


@pytest.mark.parametrize("body", NOT_JSON, ids=lambda body: repr(body[:24]))
@pytest.mark.parametrize("endpoint", TAKERS, ids=str)
def test_what_is_no_json_object(api: Api, endpoint: Operation, body: bytes) -> None:
    """Broken JSON, other JSON, and text that no store can hold."""
    answer = api.call(endpoint.method, endpoint.path, body)
    assert answer.fields
    assert MARK.encode() not in answer.body


@pytest.mark.parametrize("endpoint", TAKERS, ids=str)
def test_an_empty_body(api: Api, endpoint: Operation) -> None:
    """422 but where none is needed; what is encoded in base 64 counts as it is decoded."""
    for body in (None, b""):
        answer = api.call(endpoint.method, endpoint.path, body)
        if endpoint.body_required:
            assert answer.fields == ["body"]
        else:
            [variable] = endpoint.variables
            unknown = {"image_tag": "version_not_found", "variant": "variant_not_found"}
            assert answer.refusal == (404, unknown[variable])
    content = event_of(http_request(endpoint.method, endpoint.path), claims(ADMIN))
    for text, field in (("=", "body"), ("é", "body"), ("W10=", "body")):
        answer = reply(invoke(content | {"body": text, "isBase64Encoded": True}))
        assert answer.fields == [field]


@pytest.mark.parametrize(
    ("endpoint", "name", "value"), MISTAKES, ids=lambda it: repr(getattr(it, "name", it))[:24]
)
def test_a_field_of_the_wrong_kind(
    api: Api, endpoint: Operation, name: str, value: object
) -> None:
    """The field is named and its value is not repeated."""
    good = endpoint.body_of(GOOD) or {}
    answer = api.call(endpoint.method, endpoint.path, good | {name: value})
    assert name in {field.split(".")[0] for field in answer.fields}
    assert MARK.encode() not in answer.body


@pytest.mark.parametrize("endpoint", TAKERS, ids=str)
def test_unknown_fields(api: Api, endpoint: Operation) -> None:
    """Each is named, escaped and cut; at most twenty are."""
    body = {f"no\n{number}" + "x" * 100: MARK for number in range(30)}
    answer = api.call(endpoint.method, endpoint.path, body)
    assert len(answer.fields) == 20
    unknown = [field for field in answer.fields if field.startswith("no")]
    assert all(field.startswith("no\\n") and len(field) <= 64 for field in unknown)
    assert MARK.encode() not in answer.body


@pytest.mark.parametrize("endpoint", TAKERS, ids=str)
def test_a_field_that_is_given_twice(api: Api, endpoint: Operation) -> None:
    """JSON leaves open which of them counts, so neither does, be they equal or not."""
    good = endpoint.body_of(GOOD) or {}
    name, value = next(iter((good or {"reason": MARK}).items()))
    start = json.dumps(good | {name: value})[:-1]
    for again in (value, "other"):
        twice = f'{start}, "{name}": {json.dumps(again)}}}'
        answer = api.call(endpoint.method, endpoint.path, twice.encode())
        assert name in answer.fields
        assert MARK.encode() not in answer.body


LIMITS: list[tuple[str, str, dict[str, object], str]] = [
    ("POST", "/v1/versions", {"image_tag": "latest"}, "image_tag"),
    ("POST", "/v1/versions", {"image_tag": ""}, "image_tag"),
    ("POST", "/v1/versions", {"image_tag": ".one"}, "image_tag"),
    ("POST", "/v1/versions", {"image_tag": "one\n"}, "image_tag"),
    ("POST", "/v1/versions", {"image_tag": "x" * 129}, "image_tag"),
    ("POST", "/v1/versions", {"image_tag": "é"}, "image_tag"),
    ("POST", "/v1/versions", {"openclaw_version": "2026.11"}, "openclaw_version"),
    ("POST", "/v1/versions", {"openclaw_version": "٢٠٢٦.11.1"}, "openclaw_version"),
    ("POST", "/v1/versions", {"openclaw_version": "2026.111.1"}, "openclaw_version"),
    ("POST", "/v1/versions", {"image_digest": "sha256:" + "g" * 64}, "image_digest"),
    ("POST", "/v1/versions", {"image_digest": "sha512:" + "a" * 64}, "image_digest"),
    ("POST", "/v1/versions", {"variant": "GPU"}, "variant"),
    ("POST", "/v1/versions", {"variant": "x" * 65}, "variant"),
    ("POST", "/v1/versions", {"variant": "-gpu"}, "variant"),
    ("POST", "/v1/versions", {"notes": "x" * 2001}, "notes"),
    ("POST", "/v1/versions", {"published_at": "2026-11-01"}, "published_at"),
    ("POST", "/v1/versions", {"published_at": "2026-11-01T00:00:00"}, "published_at"),
    ("POST", "/v1/versions", {"published_at": "2026-02-30T00:00:00Z"}, "published_at"),
    ("POST", "/v1/versions", {"published_at": "0001-01-01T00:00:00+14:00"}, "published_at"),
    ("POST", "/v1/versions", {"published_at": "9999-12-31T23:59:59Z"}, "published_at"),
    ("PATCH", "/v1/versions/one", {"status": "gone"}, "status"),
    ("PATCH", "/v1/versions/one", {"status": "active", "force": True}, "force"),
    ("PATCH", "/v1/versions/one", {"force": False}, "force"),
    ("PATCH", "/v1/versions/one", {"notes": "a", "replacement": "two"}, "replacement"),
    ("PATCH", "/v1/versions/one", {"status": "deprecated", "replacement": "a"}, "replacement"),
    ("POST", "/v1/versions/one/promote", {"reason": "x" * 501}, "reason"),
    ("PUT", "/v1/users/ana/pin", {"reason": "x" * 501}, "reason"),
    ("PUT", "/v1/users/ana/pin", {"expires_at": "2020-01-01T00:00:00Z"}, "expires_at"),
    ("PUT", "/v1/users/ana/pin", {"expires_at": 4102444800}, "expires_at"),
]


@pytest.mark.parametrize(
    ("method", "path", "fields", "name"), LIMITS, ids=lambda it: str(it)[:40]
)
def test_a_value_that_breaks_its_rule(
    api: Api, method: str, path: str, fields: dict[str, object], name: str
) -> None:
    """The one field is named; the rest of the body is fine."""
    needed = {"POST": ["image_tag", "openclaw_version"], "PUT": ["image_tag"]}.get(method, [])
    rest = {} if path.endswith("promote") else {key: GOOD[key] for key in needed}
    assert api.call(method, path, rest | fields).fields == [name]
