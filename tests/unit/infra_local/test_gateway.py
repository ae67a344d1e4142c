"""The local gateway lets through whom API Gateway would."""

import json
from typing import Any, cast

import pytest

from infra.local.aws.environments import LocalFunction, Throttled
from infra.local.aws.gateway import Gateway
from infra.local.aws.issuer import Issuer, Person
from infra.local.aws.runtime_api import InvocationResult
from infra.routes import find_route
from tests.support.http_requests import http_request

OK = InvocationResult(b'{"statusCode": 200, "body": "fine"}')


class StandIn:
    """A function that always gives the same answer and remembers its events."""

    def __init__(self, answer: InvocationResult | None = OK) -> None:
        self.events: list[dict[str, Any]] = []
        self._answer = answer

    def invoke(self, payload: bytes, _request_id: str) -> InvocationResult:
        self.events.append(json.loads(payload))
        if self._answer is None:
            raise Throttled
        return self._answer


@pytest.fixture(scope="module")
def issuer() -> Issuer:
    return Issuer("http://127.0.0.1:8080")


def gateway(function: StandIn, issuer: Issuer) -> Gateway:
    return Gateway(dict.fromkeys(("admin_api",), cast("LocalFunction", function)), issuer)


@pytest.mark.parametrize(
    ("request_line", "key", "function", "guarded"),
    [
        ("PUT /v1", "ANY /v1", "admin_api", True),
        ("GET /v1/", "ANY /v1/{proxy+}", "admin_api", True),
        ("GET /v1/versions", "ANY /v1/{proxy+}", "admin_api", True),
        ("GET /v10", "$default", "admin_api", False),
        ("GET /docs", "$default", "admin_api", False),
        ("GET /", "GET /", "console", False),
        ("POST /", "$default", "admin_api", False),
        ("GET /console", "ANY /console", "console", False),
        ("POST /console/users/a/b", "ANY /console/{proxy+}", "console", False),
        ("GET /console/sign-in", "GET /console/sign-in", "sign_in", False),
        ("GET /console/signed-in", "GET /console/signed-in", "sign_in", False),
        ("POST /console/sign-out", "POST /console/sign-out", "sign_in", False),
        ("GET /console/sign-out", "GET /console/sign-out", "sign_in", False),
        ("PUT /console/sign-out", "ANY /console/{proxy+}", "console", False),
        ("GET /consoles", "$default", "admin_api", False),
    ],
)
def test_routes(request_line: str, key: str, function: str, *, guarded: bool) -> None:
    """Paths of /v1 alone are behind the authorizer; the console checks its sessions itself."""
    route = find_route(*request_line.split(" "))
    assert (route.key, route.function, route.guarded) == (key, function, guarded)


@pytest.mark.parametrize("path", ["/v1", "/v1/versions", "/%76%31/versions", "/v1%2Fversions"])
def test_no_token_no_entry(path: str, issuer: Issuer) -> None:
    """Without a token the answer is 401, however the path is spelled, and no event is made."""
    function = StandIn()
    answer = gateway(function, issuer).answer(http_request("GET", path))
    assert (answer.status_code, answer.json) == (401, {"message": "Unauthorized"})
    assert answer.headers["www-authenticate"] == "Bearer"
    assert function.events == []


def test_other_routes_need_no_token(issuer: Issuer) -> None:
    """Other routes need no token, and a token that is sent makes no claims."""
    function = StandIn()
    token = issuer.access_token(Person("ana"))
    request = http_request("GET", "/docs", headers={"authorization": f"Bearer {token}"})
    assert gateway(function, issuer).answer(request).status_code == 200
    assert "authorizer" not in function.events[0]["requestContext"]


@pytest.mark.parametrize("prefix", ["Bearer ", "bearer ", ""])
def test_a_token_is_let_in(prefix: str, issuer: Issuer) -> None:
    """A good token is accepted with or without `Bearer`, and its groups arrive as text."""
    function = StandIn()
    token = issuer.access_token(Person("ana", ("admin", "viewer"), "ana@example.com"))
    request = http_request("GET", "/v1/pins", headers={"authorization": prefix + token})
    assert gateway(function, issuer).answer(request).status_code == 200
    claims = function.events[0]["requestContext"]["authorizer"]["jwt"]["claims"]
    assert claims["cognito:groups"] == "[admin viewer]"
    assert claims["email"] == "ana@example.com"


def test_a_token_of_someone_else(issuer: Issuer) -> None:
    """A token of another issuer, or text that is not a token, is 401."""
    stranger = Issuer("http://127.0.0.1:8080").access_token(Person("eve", ("admin",)))
    for token in (stranger, "Bearer", "Basic abc", "a.b.c", ""):
        request = http_request("GET", "/v1", headers={"authorization": f"Bearer {token}"})
        assert gateway(StandIn(), issuer).answer(request).status_code == 401


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (InvocationResult.failed("Boom", "x"), 500),
        (InvocationResult(b'"text"'), 200),
        (InvocationResult(b'{"statusCode": "x"}'), 500),
        (InvocationResult(b"no json"), 500),
        (InvocationResult.failed("Sandbox.Timedout", "x", timed_out=True), 503),
        (None, 503),
    ],
)
def test_failures(answer: InvocationResult | None, status: int, issuer: Issuer) -> None:
    """A failed function is a bare 500; a busy one and a slow one are 503."""
    assert (
        gateway(StandIn(answer), issuer).answer(http_request("GET", "/x")).status_code == status
    )


def test_a_broken_path(issuer: Issuer) -> None:
    """A path with broken escapes needs a token like any other."""
    for path in ("/v1/%zz", "/v1/%ff"):
        assert gateway(StandIn(), issuer).answer(http_request("GET", path)).status_code == 401
