"""The failure table, row by row, and the ways in which stores go down."""

import json
import os
import signal
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, NamedTuple

import boto3
import psycopg
from botocore.config import Config

from tests.support.local_system import HttpReply, RunningSystem, children

LIMIT_SECONDS = 6.0
MARGIN_SECONDS = 2.0
"""What a busy machine may add to the time of an answer."""


class StartRow(NamedTuple):
    """A start: its payload, and the expected fields of the answer, or the type of the error."""

    payload: dict[str, str]
    expected: dict[str, object] | str


class AskRow(NamedTuple):
    """A request to the admin API: the expected status, and the code of a refusal."""

    method: str
    path: str
    body: object
    status: int
    code: str | None = None


KEPT = {
    "source": "instance", "degraded": True, "recorded": False, "pin_state": "unknown",
    "status": None,
}  # fmt: skip
ON_MIRROR = {
    "image_tag": "two", "source": "latest", "degraded": True, "recorded": False,
    "pin_state": "none", "previous": None, "changed": None,
}  # fmt: skip
PUBLISH = {"image_tag": "new", "openclaw_version": "2026.11.9"}
PIN = {"image_tag": "one"}
DISABLE = {"status": "disabled"}

STARTS: Mapping[str, Sequence[StartRow]] = {
    "postgres": (
        StartRow({"user_id": "pinned"}, {"image_tag": "one", "is_pinned": True, **KEPT}),
        StartRow({"user_id": "known"}, {"image_tag": "two", "is_pinned": False, **KEPT}),
        StartRow({"user_id": "unknown"}, "CatalogUnavailable"),
        StartRow({"user_id": "gone", "intent": "destroy"}, {"destroyed": False}),
    ),
    "dynamodb": (
        StartRow(
            {"user_id": "pinned"},
            {"image_tag": "one", "source": "pin", "recorded": False, "degraded": False,
             "pin_state": "applied", "previous": None, "changed": None},
        ),
        StartRow({"user_id": "known"}, ON_MIRROR),
        StartRow({"user_id": "unknown"}, ON_MIRROR),
        StartRow(
            {"user_id": "known", "intent": "restart", "running_tag": "one"},
            {**ON_MIRROR, "image_tag": "one", "source": "instance", "changed": False},
        ),
        StartRow({"user_id": "gone", "intent": "destroy"}, "KVUnavailable"),
    ),
    "both": (
        StartRow({"user_id": "pinned"}, "CatalogUnavailable"),
        StartRow({"user_id": "known"}, "CatalogUnavailable"),
        StartRow({"user_id": "unknown"}, "CatalogUnavailable"),
        StartRow({"user_id": "gone", "intent": "destroy"}, "KVUnavailable"),
    ),
}  # fmt: skip
NO_CATALOG = (503, "catalog_unavailable")
NO_KV = (503, "kv_unavailable")
ASKS: Mapping[str, Sequence[AskRow]] = {
    "postgres": (
        AskRow("GET", "/v1/versions", None, *NO_CATALOG),
        AskRow("GET", "/v1/versions/one", None, *NO_CATALOG),
        AskRow("GET", "/v1/instances", None, *NO_CATALOG),
        AskRow("GET", "/v1/instances/known", None, *NO_CATALOG),
        AskRow("POST", "/v1/versions", PUBLISH, *NO_CATALOG),
        AskRow("PUT", "/v1/users/other/pin", PIN, *NO_CATALOG),
        AskRow("PATCH", "/v1/versions/spare", DISABLE, *NO_CATALOG),
        AskRow("POST", "/v1/users/other/erase", None, *NO_CATALOG),
        AskRow("POST", "/v1/sync", None, *NO_CATALOG),
        AskRow("GET", "/v1/users/known/resolution", None, 200),
        AskRow("GET", "/v1/users/unknown/resolution", None, *NO_CATALOG),
    ),
    "dynamodb": (
        AskRow("GET", "/v1/versions", None, 200),
        AskRow("GET", "/v1/versions/one", None, 200),
        AskRow("GET", "/v1/instances", None, 200),
        AskRow("GET", "/v1/instances?drift=true", None, 200),
        AskRow("GET", "/v1/distribution", None, 200),
        AskRow("GET", "/v1/stats", None, 200),
        AskRow("GET", "/v1/instances/known", None, *NO_KV),
        AskRow("POST", "/v1/versions", PUBLISH, *NO_KV),
        AskRow("PUT", "/v1/users/other/pin", PIN, 201),
        AskRow("POST", "/v1/versions/one/promote", {}, *NO_KV),
        AskRow("PATCH", "/v1/versions/spare", DISABLE, 200),
        AskRow("PATCH", "/v1/versions/bad", {**DISABLE, "replacement": "good"}, 200),
        AskRow("PATCH", "/v1/versions/off", {"status": "active"}, *NO_KV),
        AskRow("DELETE", "/v1/versions/useless", None, *NO_KV),
        AskRow("POST", "/v1/users/known/erase", None, *NO_KV),
        AskRow("POST", "/v1/sync", None, *NO_KV),
        AskRow("GET", "/v1/users/unknown/resolution", None, 200),
        AskRow("GET", "/v1/users/pinned/resolution", None, 200),
    ),
    "both": (
        AskRow("GET", "/v1/versions", None, *NO_CATALOG),
        AskRow("GET", "/v1/instances/known", None, *NO_KV),
        AskRow("POST", "/v1/versions", PUBLISH, *NO_CATALOG),
        AskRow("POST", "/v1/sync", None, *NO_CATALOG),
        AskRow("GET", "/v1/users/known/resolution", None, *NO_CATALOG),
    ),
}
VERSIONS = {
    "one": "default", "two": "default", "bad": "killed", "good": "killed", "off": "off",
    "spare": "spare", "useless": "useless",
}  # fmt: skip
"""Each variant has one lock, so that requests made at the same time name different variants."""


class OutageFleet:
    """A system with the users and versions that the rows need, and its clients."""

    def __init__(self, system: RunningSystem) -> None:
        self.system = system
        self.admin = system.bearer("admin")
        self.pids = {name: system.status()[name]["pid"] for name in ("postgres", "dynamodb")}
        self._functions = boto3.client(
            "lambda",
            endpoint_url=system.url,
            region_name="us-east-1",
            aws_access_key_id="any",
            aws_secret_access_key="any",
            config=Config(retries={"total_max_attempts": 1}, read_timeout=40),
        )

    def close(self) -> None:
        self._functions.close()

    def ask(self, method: str, path: str, body: object = None) -> HttpReply:
        return self.system.call(method, path, body, self.admin)

    def done(self, method: str, path: str, body: object = None) -> Any:
        """The body of a request that must succeed."""
        reply = self.ask(method, path, body)
        assert reply.status < 300, reply.body
        return reply.json if reply.body else None

    def start(self, **payload: str) -> Any:
        """The answer of provisioning, or its error."""
        return self.invoke("provisioning", **payload)

    def invoke(self, function: str, **payload: str) -> Any:
        """The answer of a function, or its error."""
        answer = self._functions.invoke(FunctionName=function, Payload=json.dumps(payload))
        return json.loads(answer["Payload"].read())

    def backends(self) -> list[int]:
        """The processes of PostgreSQL that serve the functions' connections."""
        conninfo = self.system.status()["postgres"]["conninfo"]
        with psycopg.connect(conninfo) as connection:
            rows = connection.execute(
                "SELECT pid FROM pg_stat_activity"
                " WHERE usename LIKE 'kiloclaw%' AND pid <> pg_backend_pid()"
            ).fetchall()
        return [pid for (pid,) in rows]

    def fill(self) -> None:
        for tag, variant in VERSIONS.items():
            body = {"image_tag": tag, "openclaw_version": "2026.11.1", "variant": variant}
            self.done("POST", "/v1/versions", body)
        for tag in ("two", "bad"):
            self.done("POST", f"/v1/versions/{tag}/promote")
        self.done("PATCH", "/v1/versions/off", DISABLE)
        self.done("PUT", "/v1/users/pinned/pin", PIN)
        for user in ("pinned", "known"):
            self.start(user_id=user)

    def warm(self) -> None:
        """Let four environments of each function load and connect."""
        with ThreadPoolExecutor(8) as pool:
            for _ in range(4):
                pool.submit(self.ask, "GET", "/v1/users/known/resolution")
                pool.submit(self.start, user_id="known")

    def faults(self, down: str) -> list[str]:
        """The rows whose answer is wrong or comes too late."""
        with ThreadPoolExecutor(4) as starting, ThreadPoolExecutor(4) as asking:
            rows = [
                *(starting.submit(_timed, self._start_fault, row) for row in STARTS[down]),
                *(asking.submit(_timed, self._ask_fault, row) for row in ASKS[down]),
            ]
            return [fault for row in rows if (fault := row.result())]

    def _start_fault(self, row: StartRow) -> object:
        answer = self.start(**row.payload)
        if isinstance(row.expected, str):
            return answer if answer.get("errorType") != row.expected else None
        wrong = {name for name in row.expected if answer.get(name) != row.expected[name]}
        return (wrong, answer) if wrong else None

    def _ask_fault(self, row: AskRow) -> object:
        reply = self.ask(row.method, row.path, row.body)
        code = None if row.code is None else reply.json["code"]
        later = row.status == 503 and int(reply.headers.get("retry-after", "0")) <= 0
        return reply if (reply.status, code) != (row.status, row.code) or later else None

    def mend(self) -> None:
        """Undo what the rows have changed, once the stores answer again."""
        give_up = time.monotonic() + 20
        while not self.start(user_id="known").get("recorded"):
            assert time.monotonic() < give_up
        self.done("POST", "/v1/sync")
        for tag in ("spare", "bad"):
            self.done("PATCH", f"/v1/versions/{tag}", {"status": "active"})
        self.done("POST", "/v1/versions/bad/promote")
        self.done("POST", "/v1/users/other/erase")


def _timed(check: Callable[[Any], object], row: tuple[object, ...]) -> str | None:
    began = time.monotonic()
    fault = check(row)
    took = time.monotonic() - began
    late = took > LIMIT_SECONDS + MARGIN_SECONDS
    return f"{row} took {took:.2f} s: {fault}" if fault or late else None


@contextmanager
def stopped(*pids: int) -> Generator[None]:
    """Stop these processes and their descendants, and let them go on at the end."""
    stopped_pids = []
    try:
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)  # first, so that it starts no more descendants
            stopped_pids += [pid, *children(pid)]
        for pid in stopped_pids:
            os.kill(pid, signal.SIGSTOP)
        yield
    finally:
        for pid in stopped_pids:
            os.kill(pid, signal.SIGCONT)
