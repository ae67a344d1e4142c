"""The local system's own endpoints, its gateway and its Invoke API, over HTTP."""

import base64
import http.client
import json
import re
import socket
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import boto3
import psycopg
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from infra.local.aws.issuer import challenge_of
from tests.support.local_system import RunningSystem, alive, running


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSystem]:
    """A system with demo data, for the tests that only read."""
    with running(tmp_path_factory.mktemp("system") / "log", "--no-schedule") as started:
        yield started


@pytest.fixture
def client(system: RunningSystem) -> Iterator[Any]:
    """boto3's client of the Lambda API."""
    made = boto3.client(
        "lambda",
        endpoint_url=system.url,
        region_name="us-east-1",
        aws_access_key_id="any",
        aws_secret_access_key="any",
        config=Config(retries={"total_max_attempts": 1}),
    )
    yield made
    made.close()


def test_it_is_healthy(system: RunningSystem) -> None:
    """A system that is ready answers 200 to GET and to HEAD."""
    assert system.get("/healthz").json == {"status": "ok"}
    head = system.call("HEAD", "/healthz")
    assert (head.status, head.body) == (200, b"")


def test_the_status_leads_to_both_stores(system: RunningSystem) -> None:
    """An observer who may not write connects with psql, and boto3 finds the table."""
    status = system.status()
    assert status["port"] == system.port
    with psycopg.connect(status["postgres"]["conninfo"]) as connection:
        [(versions,)] = connection.execute(
            "SELECT count(*) FROM kiloclaw_available_versions"
        ).fetchall()
        connection.execute("SELECT pg_terminate_backend(0)")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("DELETE FROM kiloclaw_version_pins")
    assert versions > 12
    dynamodb: Any = boto3.client(
        "dynamodb",
        endpoint_url=status["dynamodb"]["endpoint"],
        region_name=status["dynamodb"]["region"],
        aws_access_key_id="any",
        aws_secret_access_key="any",
    )
    table = dynamodb.describe_table(TableName=status["dynamodb"]["table"])["Table"]
    dynamodb.close()
    assert table["TableStatus"] == "ACTIVE"
    assert alive({status["postgres"]["pid"], status["dynamodb"]["pid"]})


def test_the_demo_shows_every_state(system: RunningSystem) -> None:
    """Versions, pins and rollouts in each state, a rollback, instances, a conflict found."""
    viewer = system.bearer("viewer")

    def items(path: str) -> Any:
        return system.call("GET", path, headers=viewer).json["items"]

    give_up = time.monotonic() + 30
    while not items("/v1/pins?state=expired") and time.monotonic() < give_up:
        time.sleep(0.1)
    versions, pins = items("/v1/versions?limit=100"), items("/v1/pins?limit=100")
    assert {version["status"] for version in versions} == {"active", "deprecated", "disabled"}
    assert {pin["state"] for pin in pins} == {"applied", "expired", "suspended"}
    assert {version["variant"] for version in versions} == {"default", "gpu", "mini"}
    released = {version["openclaw_version"] for version in versions}
    assert {"2026.10.3", "2026.10.3-2", "2026.10.12-beta.1"} <= released
    users = {pin["user_id"] for pin in pins}
    assert {"oauth/google:114000741928328149731", "o'brien@example.com"} <= users
    while len(items("/v1/instances?limit=100")) < 40 and time.monotonic() < give_up:
        time.sleep(0.1)
    assert 40 <= len(items("/v1/instances?limit=100")) <= 70
    assert sum(share["instances"] for share in items("/v1/distribution")) >= 40
    rollouts = {each["variant"]: each["rollout"] for each in items("/v1/variants")}
    assert rollouts["default"] is None
    assert (rollouts["gpu"]["held"], rollouts["mini"]["held"]) == (False, True)
    mini = system.call("GET", "/v1/variants/mini", headers=viewer).json
    assert mini["reports"] == {"ok": 5, "failed": 4}
    assert items("/v1/audit?action=latest.rolled_back")
    assert "digest_in_use" in {finding["code"] for finding in items("/v1/sync-findings")}


@pytest.mark.parametrize("path", ["/v1", "/v1/", "/v1/versions", "/%76%31/versions", "/v1/%2e"])
@pytest.mark.parametrize("token", [None, "Bearer", "Bearer x.y.z", "Basic YTpi"])
def test_no_good_token(system: RunningSystem, path: str, token: str | None) -> None:
    """Without a good token every path under /v1 is 401 with API Gateway's own body."""
    reply = system.call("GET", path, headers={"authorization": token} if token else {})
    assert (reply.status, reply.json) == (401, {"message": "Unauthorized"})
    assert reply.headers["content-type"] == "application/json"


def test_a_changed_token(system: RunningSystem) -> None:
    """A token whose claims were changed is refused."""
    head, claims, signature = system.token("viewer").split(".")
    padded = claims + "=" * (-len(claims) % 4)
    changed = json.loads(base64.urlsafe_b64decode(padded)) | {"cognito:groups": ["admin"]}
    encoded = base64.urlsafe_b64encode(json.dumps(changed).encode()).rstrip(b"=").decode()
    reply = system.get("/v1/pins", authorization=f"Bearer {head}.{encoded}.{signature}")
    assert reply.status == 401


@pytest.mark.parametrize(
    "body", [b"", b"{", [], {"sub": "ana"}, {"sub": "ana", "roles": "admin"}]
)
def test_a_bad_token_request(system: RunningSystem, body: object) -> None:
    """A faulty request for a token is refused by a problem document with status 400."""
    reply = system.call("POST", "/local/token", body)
    assert (reply.status, reply.json["code"]) == (400, "invalid_request")
    assert reply.headers["content-type"] == "application/problem+json"


def test_the_path_arrives_decoded(system: RunningSystem) -> None:
    """`%7C` arrives as a bar, `%2F` as a slash, and a plus stays a plus."""
    admin = system.bearer("admin")
    for raw, user in (
        ("load%7C7", "load|7"),
        ("load+7", "load+7"),
        ("load%2B7", "load+7"),
        ("oauth%2Fgoogle:7", "oauth/google:7"),
        ("o'neil@example.com", "o'neil@example.com"),
    ):
        path, body = f"/v1/users/{raw}/pin", {"image_tag": "2026.9.20-r1"}
        reply = system.call("PUT", path, body, admin)
        assert reply.status in {200, 201}, reply.body
        assert reply.json["pin"]["user_id"] == user
        assert system.call("DELETE", path, headers=admin).status == 204


def test_a_repeated_parameter_is_seen(system: RunningSystem) -> None:
    """The function sees both values of a repeated parameter, and refuses them."""
    reply = system.call(
        "GET", "/v1/versions?status=active&status=disabled", headers=system.bearer("viewer")
    )
    assert (reply.status, reply.json["code"]) == (422, "invalid_request")


def test_a_path_that_is_cut(system: RunningSystem) -> None:
    """A user id with a question mark cuts the path, and what is left of it is no operation."""
    admin = system.bearer("admin")
    for method in ("GET", "PUT", "DELETE"):
        reply = system.call(method, "/v1/users/ana%3Fx/pin", {"image_tag": "x"}, admin)
        assert (reply.status, reply.json["code"]) == (404, "not_found")


def test_a_broken_path(system: RunningSystem) -> None:
    """Bytes that are not text are an illegal value (422), or an unknown path (404)."""
    admin = system.bearer("admin")
    for path, status in (
        ("/v1/versions/%ff", 422),
        ("/v1/versions/%zz", 422),
        ("/v1/%ff", 404),
    ):
        assert system.call("GET", path).status == 401
        assert system.call("GET", path, headers=admin).status == status
    for path in ("/%ff", "/local/%zz"):
        assert system.get(path).status == 404


def test_local_paths(system: RunningSystem) -> None:
    """Unknown local paths are 404 and wrong methods 405, without a function."""
    assert system.get("/local/nothing").status == 404
    wrong = system.get("/local/token")
    assert (wrong.status, wrong.headers["allow"]) == (405, "POST")


def test_the_root_leads_to_the_console(system: RunningSystem) -> None:
    """The console belongs to one origin, so `localhost` leads there with the whole address."""
    reply = system.get("/")
    assert (reply.status, reply.headers["location"]) == (303, "/console")
    by_name = system.get("/console/pins?state=stale", host=f"localhost:{system.port}")
    place = f"{system.url}/console/pins?state=stale"
    assert (by_name.status, by_name.headers["location"]) == (307, place)
    assert system.get("/docs", host=f"localhost:{system.port}").status == 200


@pytest.mark.parametrize(
    "sent",
    [
        b"GET http://[ HTTP/1.1\r\n\r\n",
        b"POST /v1/pins HTTP/1.1\r\ncontent-length: x\r\n\r\n",
        b"POST /v1/pins HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\nno length\r\n",
    ],
)
def test_a_malformed_request(system: RunningSystem, sent: bytes) -> None:
    """A malformed request is 400 in JSON, and the connection is closed."""
    with socket.create_connection(("127.0.0.1", system.port), timeout=10) as connection:
        connection.sendall(sent)
        with connection.makefile("rb") as answer:
            received = answer.read()
    assert received.startswith(b"HTTP/1.1 400 ")
    assert received.endswith(b'{"message":"Bad Request"}')


def test_a_body_in_chunks(system: RunningSystem) -> None:
    """A body whose length is not announced arrives whole, and the connection goes on."""
    connection = http.client.HTTPConnection("127.0.0.1", system.port, timeout=40)
    for _ in range(2):
        chunks = iter([b'{"sub": "ana", ', b'"roles": []}'])
        connection.request("POST", "/local/token", chunks, encode_chunked=True)
        answer = connection.getresponse()
        assert (answer.status, answer.getheader("connection")) == (200, "keep-alive")
        answer.read()
    connection.close()


def test_a_body_that_is_too_long(system: RunningSystem) -> None:
    """A body above API Gateway's limit is 413, with a length as well as in chunks."""
    for headers in ({}, {"transfer-encoding": "chunked"}):
        connection = http.client.HTTPConnection("127.0.0.1", system.port, timeout=40)
        chunks = (b"x" * 1_000_000 for _ in range(11))
        sized = headers or {"content-length": "11000000"}
        connection.request("POST", "/v1/versions", chunks, sized, encode_chunked=bool(headers))
        answer = connection.getresponse()
        assert (answer.status, answer.read()) == (413, b'{"message":"Request Too Long"}')
        connection.close()


def test_connections_are_kept(system: RunningSystem) -> None:
    """Requests on one connection do not wait 40 ms for a delayed acknowledgement."""
    connection = http.client.HTTPConnection("127.0.0.1", system.port, timeout=40)
    times = []
    for _ in range(10):
        started = time.monotonic()
        connection.request("GET", "/healthz")
        assert connection.getresponse().read() == b'{"status": "ok"}'
        times.append(time.monotonic() - started)
    connection.close()
    assert min(times) < 0.02


def test_invoke(client: Any) -> None:
    """boto3 invokes by name and by ARN, with every invocation type."""
    for name in (
        "provisioning",
        "arn:aws:lambda:us-east-1:123456789012:function:provisioning",
        "provisioning:$LATEST",
    ):
        answer = client.invoke(FunctionName=name, Payload=b'{"user_id": "invoked@example.com"}')
        assert answer["StatusCode"] == 200
        assert "FunctionError" not in answer
        assert json.load(answer["Payload"])["user_id"] == "invoked@example.com"
    for kind, status in (("Event", 202), ("DryRun", 204)):
        answer = client.invoke(FunctionName="sync", InvocationType=kind, Payload=b"{}")
        assert answer["StatusCode"] == status
        answer["Payload"].close()


def test_a_start_is_in_the_catalog_within_a_second(system: RunningSystem, client: Any) -> None:
    """The table's stream is handed to `fleet`, the removal of a destroyed instance too."""
    conninfo = system.status()["postgres"]["conninfo"]
    with psycopg.connect(conninfo, autocommit=True) as connection:

        def invoke(intent: str) -> float:
            payload = {"user_id": "copied@example.com", "intent": intent}
            started = time.monotonic()
            answer = client.invoke(FunctionName="provisioning", Payload=json.dumps(payload))
            assert "FunctionError" not in answer
            answer["Payload"].close()
            return started

        def rows() -> int:
            return connection.execute(
                "SELECT FROM kiloclaw_instances WHERE user_id = 'copied@example.com'"
            ).rowcount

        times = []
        for intent, expected in (("provision", 1), ("destroy", 0)):
            started = invoke(intent)
            while rows() != expected and time.monotonic() < started + 10:
                time.sleep(0.02)
            times.append(time.monotonic() - started)
    assert min(times) < 1
    assert max(times) < 10


def test_a_cancelled_transaction_does_not_stop_the_stream(
    system: RunningSystem, client: Any
) -> None:
    """A refused publish cancels a transaction; later starts reach the catalog all the same."""
    status = system.status()
    dynamodb: Any = boto3.client(
        "dynamodb",
        endpoint_url=status["dynamodb"]["endpoint"],
        region_name=status["dynamodb"]["region"],
        aws_access_key_id="any",
        aws_secret_access_key="any",
    )
    put = {"Item": {"pk": {"S": "NEVER"}, "sk": {"S": "WRITTEN"}}}
    check = {
        "Key": {"pk": {"S": "NOT"}, "sk": {"S": "THERE"}},
        "ConditionExpression": "attribute_exists(pk)",
    }
    table = {"TableName": status["dynamodb"]["table"]}
    with pytest.raises(dynamodb.exceptions.TransactionCanceledException):
        dynamodb.transact_write_items(
            TransactItems=[{"Put": table | put}, {"ConditionCheck": table | check}]
        )
    payload = b'{"user_id": "after-a-cancelled-transaction"}'
    assert "FunctionError" not in client.invoke(FunctionName="provisioning", Payload=payload)
    query = "SELECT FROM kiloclaw_instances WHERE user_id = 'after-a-cancelled-transaction'"
    ends = time.monotonic() + 10
    with psycopg.connect(status["postgres"]["conninfo"], autocommit=True) as connection:
        while connection.execute(query).rowcount == 0:
            assert time.monotonic() < ends
            time.sleep(0.02)


def test_a_function_error(client: Any) -> None:
    """The caller gets the type, the message and the id of the request."""
    answer = client.invoke(FunctionName="provisioning", Payload=b'{"user_id": ""}')
    assert answer["FunctionError"] == "Unhandled"
    error = json.load(answer["Payload"])
    assert error["requestId"] == answer["ResponseMetadata"]["RequestId"]
    assert error["errorType"] == "InvalidRequest"
    assert "user_id" in error["errorMessage"]


@pytest.mark.parametrize("name", ["admin_api", "fleet", "nothing"])
def test_functions_that_cannot_be_invoked(client: Any, name: str) -> None:
    """Unknown functions are refused, and those that only the gateway or the stream reaches."""
    with pytest.raises(client.exceptions.ResourceNotFoundException):
        client.invoke(FunctionName=name, Payload=b"{}")


@pytest.mark.parametrize("payload", [b"{", b"\xff", b"[" * 100_000])
def test_a_payload_that_is_not_json(client: Any, payload: bytes) -> None:
    """A payload that is not JSON gets Lambda's own refusal."""
    with pytest.raises(ClientError) as refused:
        client.invoke(FunctionName="provisioning", Payload=payload)
    assert refused.value.response["Error"]["Code"] == "InvalidRequestContentException"


def test_signing_in(system: RunningSystem) -> None:
    """The code flow works from discovery to tokens, and a code works once."""
    verifier, callback = "x" * 64, f"{system.url}/console/callback"
    discovered = system.get("/local/issuer/.well-known/openid-configuration").json
    asked = {
        "response_type": "code",
        "client_id": "kiloclaw-console",
        "redirect_uri": callback,
        "state": "here",
        "code_challenge": challenge_of(verifier),
        "code_challenge_method": "S256",
    }
    authorize = urlsplit(discovered["authorization_endpoint"]).path
    page = system.get(f"{authorize}?{urlencode(asked)}").body.decode()
    hidden = dict(re.findall('type="hidden" name="([^"]+)" value="([^"]*)"', page))
    form = hidden | {"email": "ana@example.com", "role": "viewer"}
    back = system.call("POST", authorize, urlencode(form).encode())
    answer = parse_qs(urlsplit(back.headers["location"]).query)
    assert (back.status, answer["state"]) == (303, ["here"])
    exchange = {
        "grant_type": "authorization_code",
        "client_id": "kiloclaw-console",
        "redirect_uri": callback,
        "code": answer["code"][0],
        "code_verifier": verifier,
    }
    token_path = urlsplit(discovered["token_endpoint"]).path
    tokens = system.call("POST", token_path, urlencode(exchange).encode()).json
    for name in ("access_token", "id_token"):
        assert system.get("/v1/pins", authorization=f"Bearer {tokens[name]}").status == 200
    assert system.call("POST", token_path, urlencode(exchange).encode()).status == 400
