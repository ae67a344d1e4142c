"""No request can write a log line of its own, or see its values in one."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from infra.local.aws.environments import ROOT, FunctionSettings, LocalFunction
from infra.local.postgres import Postgres
from tests.support.admin_api import ADMIN, claims, event_of
from tests.support.http_requests import http_request
from tests.support.stores import Stores, make_stores

MARK = "do-not-repeat-me"
HOSTILE = [
    MARK, f"{MARK}\n[ERROR] forged", f"{MARK}\r\u2028\u2029\x1b[2J\x00",
    f'{MARK}","level":"', "\ud800" + MARK,
]  # fmt: skip
PATHS = [
    f"/v1/users/{MARK}/pin", f"/v1/users/{MARK}%0A%0D%00/pin", f"/v1/versions/{MARK}",
    f"/v1/{MARK}%0Aforged", f"/v1/pins?q={MARK}&{MARK}%0A=1", f"/v1/audit?cursor={MARK}",
    f"/v1/users/{MARK}/resolution", f"/v1/instances/{MARK}",
]  # fmt: skip


@pytest.fixture(scope="module")
def stores(postgres_server: Postgres, dynamodb: Any) -> Stores:
    """Where the log cannot be written: an unexpected error with values in its message."""
    made = make_stores(postgres_server, dynamodb)
    made.sql(
        "CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN RAISE EXCEPTION 'not %', NEW USING ERRCODE = 'data_exception'; END $$"
    )
    made.sql(
        "CREATE TRIGGER fail BEFORE INSERT ON kiloclaw_audit_log"
        " FOR EACH ROW WHEN (NEW.action = 'pin.set') EXECUTE FUNCTION fail()"
    )
    return made


class Logged:
    """A function in an environment as Lambda's, and what it has logged."""

    def __init__(self, name: str, stores: Stores, log: Path) -> None:
        environ = {
            "PATH": os.defpath, "PYTHONPATH": str(ROOT), "TABLE_NAME": stores.table,
            "DATABASE_CONNINFO": stores.conninfo(name), "POWERTOOLS_SERVICE_NAME": name,
            "POWERTOOLS_METRICS_NAMESPACE": "KiloClaw", "AWS_LAMBDA_FUNCTION_NAME": name,
            "AWS_LAMBDA_LOG_FORMAT": "JSON",
            **{key: value for key, value in os.environ.items() if key.startswith("AWS_")},
        }  # fmt: skip
        self.log = log
        handler = f"functions.{name}.handler.handler"
        self.function = LocalFunction(FunctionSettings(name, handler, environ, 20, log), 1)

    def send(self, event: object) -> Any:
        return json.loads(self.function.invoke(json.dumps(event).encode(), "id").payload)

    def lines(self) -> list[Any]:
        """The function's own lines, each of which is one JSON object."""
        lines = [json.loads(line) for line in self.log.read_text().splitlines()]
        assert all(isinstance(line, dict) for line in lines)
        return [line for line in lines if line.get("type") != "platform.report"]


@pytest.fixture
def logged(stores: Stores, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Logged]:
    started = Logged(request.param, stores, tmp_path / "log")
    yield started
    started.function.stop()


@pytest.mark.parametrize("logged", ["admin_api"], indirect=True)
def test_the_admin_api(logged: Logged) -> None:
    """Whatever is sent, refused or failing: JSON lines, and nothing of the request in them."""
    known = {"image_tag": "one", "openclaw_version": "2026.1.1", "notes": MARK}
    events = [event_of(http_request("POST", "/v1/versions", body=_json(known)), _claims(MARK))]
    for path in PATHS:
        target, _, query = path.partition("?")
        events += [
            event_of(http_request(method, target, query, {"x-y": MARK}), _claims(MARK))
            for method in ("GET", "DELETE", "BREW")
        ]
    for text in HOSTILE:
        for body in ({"reason": text}, {text: text}, {"image_tag": text}, text, [text]):
            sent = http_request("PUT", f"/v1/users/{MARK}/pin", body=_json(body))
            events.append(event_of(sent, _claims(text)))
    failing = {"image_tag": "one", "reason": f"{MARK}\nforged"}
    sent = http_request("PUT", f"/v1/users/{MARK}/pin", body=_json(failing))
    statuses = [logged.send(event)["statusCode"] for event in events]
    assert set(statuses) <= {200, 201, 204, 401, 403, 404, 405, 409, 422}
    assert logged.send(event_of(sent, _claims(MARK)))["statusCode"] == 500
    lines = logged.lines()
    assert [line["error"] for line in lines if "_aws" not in line] == ["DataException"]
    assert MARK not in logged.log.read_text()
    assert "forged" not in logged.log.read_text()


@pytest.mark.parametrize("logged", ["provisioning", "sync"], indirect=True)
def test_what_is_invoked_directly(logged: Logged) -> None:
    """A refusal is raised and logged by the runtime: one line, with no value of the payload."""
    payloads: list[object] = [
        *HOSTILE, *({"user_id": text} for text in HOSTILE),
        *({"user_id": "a", "intent": text} for text in HOSTILE),
        {"user_id": MARK}, {"user_id": MARK, "variant": "gpu"}, {"source": MARK}, [MARK],
    ]  # fmt: skip
    for payload in payloads:
        assert logged.send(payload)["errorType"] in {"InvalidRequest", "NoVersionAvailable"}
    assert len(logged.lines()) >= len(payloads)
    assert MARK not in logged.log.read_text()


@pytest.mark.parametrize("logged", ["provisioning"], indirect=True)
def test_the_name_of_an_unknown_field(logged: Logged) -> None:
    """It is the only text of a payload that is repeated: cut, and in ASCII without controls."""
    answer = logged.send({"user_id": "a", "x\n\x1b\u2028é" + "y" * 100: 1})
    assert answer["errorMessage"].isascii()
    assert answer["errorMessage"].isprintable()
    assert len(answer["errorMessage"]) < 100
    assert logged.lines()


def _claims(email: str) -> dict[str, object] | None:
    return {**(claims(ADMIN) or {}), "email": email}


def _json(body: object) -> bytes:
    return json.dumps(body).encode()
