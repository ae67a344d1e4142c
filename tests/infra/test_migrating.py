"""What CloudFormation is told of a run of `migrate`, over real HTTP on both sides."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any, ClassVar

import pytest

from infra.aws import migration_resource as migrating

Answer = tuple[str | None, object]
OK: Answer = (None, {"applied": ["0001_versions"]})
DOWN: Answer = ("Unhandled", {"errorType": "CatalogUnavailable", "errorMessage": "not yet"})
EDITED: Answer = ("Unhandled", {"errorType": "MigrationEdited", "errorMessage": "0001"})


@dataclass
class Cloud:
    """Lambda, which gives its answers in turn and the last one for ever, and CloudFormation."""

    url: str = ""
    answers: list[Answer] = field(default_factory=list)
    invoked: list[tuple[str, bytes]] = field(default_factory=list)
    told: list[dict[str, Any]] = field(default_factory=list)
    types: list[str | None] = field(default_factory=list)

    def ask(self, kind: str = "Update") -> dict[str, Any]:
        """Deliver an event; what CloudFormation is told then."""
        event = {
            "RequestType": kind,
            "ResponseURL": f"{self.url}/told?signed=1",
            "StackId": "stack",
            "RequestId": "request",
            "LogicalResourceId": "Migrated",
            "ResourceProperties": {"Function": "kiloclaw-dev-migrate"},
        }
        migrating.handler(event, None)
        [told] = self.told
        return told


class Handler(BaseHTTPRequestHandler):
    """Lambda by POST, CloudFormation by PUT."""

    cloud: ClassVar[Cloud]

    def do_POST(self) -> None:
        self.cloud.invoked.append((self.path, self._body()))
        error, content = self.cloud.answers[0]
        self.cloud.answers = self.cloud.answers[1:] or self.cloud.answers
        self._answer(content, {"X-Amz-Function-Error": error} if error else {})

    def do_PUT(self) -> None:
        self.cloud.types.append(self.headers.get("content-type"))
        self.cloud.told.append(json.loads(self._body()))
        self._answer({}, {})

    def _body(self) -> bytes:
        return self.rfile.read(int(self.headers["content-length"]))

    def _answer(self, content: object, headers: dict[str, str]) -> None:
        body = json.dumps(content).encode()
        self.send_response(200)
        for name, value in {**headers, "content-length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Whoever asks knows what was asked."""


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch) -> Iterator[Cloud]:
    """Both services on the loopback; pauses take no time."""
    cloud = Cloud()
    handler = type("Bound", (Handler,), {"cloud": cloud})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    cloud.url = f"http://127.0.0.1:{server.server_port}"
    Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("AWS_ENDPOINT_URL_LAMBDA", cloud.url)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "local")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setattr(migrating, "PAUSE_SECONDS", 0)
    yield cloud
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(
    ("answers", "status", "reason", "runs"),
    [
        ([OK], "SUCCESS", "migrated", 1),
        ([DOWN, DOWN, OK], "SUCCESS", "migrated", 3),
        ([DOWN], "FAILED", "CatalogUnavailable: not yet", migrating.WAITS),
        ([EDITED, OK], "FAILED", "MigrationEdited: 0001", 1),
        ([DOWN, EDITED, OK], "FAILED", "MigrationEdited: 0001", 2),
    ],
)
def test_a_deployment_fails_with_its_migrations(
    cloud: Cloud, answers: list[Answer], status: str, reason: str, runs: int
) -> None:
    """A new proxy that has not found its database is waited for; nothing else is."""
    cloud.answers = answers
    told = cloud.ask()
    assert (told["Status"], told["Reason"]) == (status, reason)
    path = "/2015-03-31/functions/kiloclaw-dev-migrate/invocations"
    assert cloud.invoked == [(path, b"{}")] * runs


def test_what_is_told_names_the_request(cloud: Cloud) -> None:
    """As CloudFormation wants it, without a type, which its signed address has none of."""
    cloud.answers = [OK]
    told = cloud.ask("Create")
    assert told == {
        "StackId": "stack",
        "RequestId": "request",
        "LogicalResourceId": "Migrated",
        "PhysicalResourceId": "kiloclaw-migrated",
        "Status": "SUCCESS",
        "Reason": "migrated",
    }
    assert cloud.types == [""]


def test_deleting_runs_nothing(cloud: Cloud) -> None:
    """A stack that goes needs no migrations."""
    assert cloud.ask("Delete")["Status"] == "SUCCESS"
    assert cloud.invoked == []


def test_whatever_goes_wrong_is_told(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    """CloudFormation would wait for an hour otherwise."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_LAMBDA", "http://127.0.0.1:9")
    told = cloud.ask()
    assert (told["Status"], told["Reason"]) == ("FAILED", "EndpointConnectionError")


def test_it_fits_into_the_template() -> None:
    """CloudFormation takes 4,096 characters of code."""
    from infra.aws.release import SOURCE  # noqa: PLC0415

    assert len(SOURCE.read_text()) <= 4096
