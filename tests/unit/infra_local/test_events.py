"""The local gateway's events are those that API Gateway makes."""

import base64
import json
from typing import Any

import pytest
from werkzeug.wrappers import Request

from infra.local.aws.events import decoded_path, event, response
from infra.routes import find_route
from tests.support.http_requests import http_request


def make(request: Request, claims: dict[str, Any] | None = None) -> dict[str, Any]:
    return event(request, find_route("GET", "/v1/x"), decoded_path(request), claims)


@pytest.mark.parametrize(
    ("raw", "path"),
    [
        ("/v1/users/a%7Cb/pin", "/v1/users/a|b/pin"),
        ("/v1/users/a+b/pin", "/v1/users/a+b/pin"),
        ("/v1/users/a%2Fb", "/v1/users/a/b"),
        ("/v1/users/%2525", "/v1/users/%25"),
        ("/v1/users/%C3%A9", "/v1/users/é"),
        ("/v1/users/\xc3\xa9", "/v1/users/é"),
        ("/%76%31/versions", "/v1/versions"),
        ("/v1/%00", "/v1/\x00"),
        ("/v1/%zz", "/v1/%zz"),
        ("/v1/%", "/v1/%"),
        ("/v1/%4", "/v1/%4"),
        ("/v1/%ff", "/v1/\ufffd"),
        ("/v1/\xff", "/v1/\ufffd"),
        ("/v1/users/a%3Fb/pin", "/v1/users/a"),
        ("/v1/users/a%253Fb/pin", "/v1/users/a%3Fb/pin"),
    ],
)
def test_the_path_is_decoded_once(raw: str, path: str) -> None:
    """A path is decoded once, and cut at a decoded `?`; broken UTF-8 becomes U+FFFD."""
    assert decoded_path(http_request("GET", raw)) == path


def test_query_parameters_are_decoded_and_joined() -> None:
    """Values of a repeated parameter are joined by commas; the raw query is passed on."""
    made = make(
        http_request("GET", "/v1/versions", "q=a%20b+c&status=active&status=disabled&x")
    )
    assert made["rawQueryString"] == "q=a%20b+c&status=active&status=disabled&x"
    assert made["queryStringParameters"] == {
        "q": "a b c",
        "status": "active,disabled",
        "x": "",
    }


def test_what_is_not_there_is_absent() -> None:
    """Without a query, cookies or a body the event lacks these keys."""
    made = make(http_request("GET", "/v1/versions"))
    assert not {"queryStringParameters", "cookies", "body"} & made.keys()
    assert made["rawQueryString"] == ""
    assert made["isBase64Encoded"] is False


def test_cookies_and_headers() -> None:
    """Cookies are a list of their own; the client's address is added to `x-forwarded-for`."""
    headers = {"cookie": "a=1; b=2", "x-forwarded-for": "10.0.0.1", "host": "localhost:8080"}
    made = make(http_request("GET", "/v1/versions", headers=headers))
    assert made["cookies"] == ["a=1", "b=2"]
    assert "cookie" not in made["headers"]
    assert made["headers"]["x-forwarded-for"] == "10.0.0.1, 127.0.0.1"
    assert made["headers"]["host"] == "localhost:8080"
    assert made["requestContext"]["domainName"] == "localhost"


def test_the_context_names_the_request() -> None:
    """The context has the route, the stage, the path, and the claims as text."""
    claims = {"sub": "ana", "exp": 5, "cognito:groups": ["admin", "viewer"], "ok": True}
    made = make(http_request("GET", "/v1/pins"), claims)
    context = made["requestContext"]
    assert made["pathParameters"] == {"proxy": "pins"}
    assert context["routeKey"] == made["routeKey"] == "ANY /v1/{proxy+}"
    assert context["http"]["path"] == "/v1/pins"
    assert context["stage"] == "$default"
    assert context["authorizer"]["jwt"] == {
        "claims": {"sub": "ana", "exp": "5", "cognito:groups": "[admin viewer]", "ok": "true"},
        "scopes": None,
    }


def test_no_claims_no_authorizer() -> None:
    """Outside the authorizer's routes the context has no authorizer."""
    request = http_request("GET", "/docs")
    made = event(request, find_route("GET", "/docs"), "/docs", None)
    assert "authorizer" not in made["requestContext"]
    assert "pathParameters" not in made


@pytest.mark.parametrize(
    ("headers", "body", "is_text"),
    [
        ({"content-type": "application/json"}, b'{"a": 1}', True),
        ({"content-type": "application/merge-patch+json; charset=utf-8"}, b"{}", True),
        ({"content-type": "text/plain"}, b"x", True),
        ({}, b"x", True),
        ({"content-type": "application/json"}, b"\xff", False),
        ({"content-type": "application/json", "content-encoding": "gzip"}, b"x", False),
        ({"content-type": "application/x-www-form-urlencoded"}, b"a=1", False),
        ({"content-type": "application/octet-stream"}, b"x", False),
    ],
)
def test_bodies(headers: dict[str, str], body: bytes, is_text: bool) -> None:
    """A body known to be text is passed as it is, any other in base 64."""
    made = make(http_request("POST", "/v1/versions", headers=headers, body=body))
    assert made["isBase64Encoded"] is not is_text
    expected = body.decode() if is_text else base64.b64encode(body).decode()
    assert made["body"] == expected


def test_an_answer_becomes_a_response() -> None:
    """A response has the answer's status, headers, all cookies, and its decoded body."""
    answer = {
        "statusCode": 201,
        "headers": {"ETag": '"1"', "Content-Type": "image/png"},
        "cookies": ["a=1", "b=2"],
        "body": base64.b64encode(b"\x89PNG").decode(),
        "isBase64Encoded": True,
    }
    made = response(json.dumps(answer).encode())
    assert (made.status_code, made.get_data()) == (201, b"\x89PNG")
    assert (made.headers["etag"], made.headers["content-type"]) == ('"1"', "image/png")
    assert made.headers.getlist("set-cookie") == ["a=1", "b=2"]


def test_an_answer_without_a_status_is_the_body() -> None:
    """As with API Gateway, an answer without a status is the body of a 200."""
    assert response(b'{"a": 1}').status_code == 200


@pytest.mark.parametrize("answer", ['{"statusCode": "x"}', '{"statusCode": 200, "body": 1}'])
def test_an_answer_that_is_none(answer: str) -> None:
    """An answer that cannot be a response is a ValueError."""
    with pytest.raises(ValueError, match=r"."):
        response(answer.encode())
