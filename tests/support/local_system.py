"""A whole local system in a process of its own, and calls to it."""

import http.client
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from infra.local.aws.environments import ROOT
from infra.local.guard import exists
from infra.local.processes import free_port

READY_SECONDS = 60.0
COMMAND = (sys.executable, "-m", "infra.local")


@dataclass(frozen=True)
class HttpReply:
    """An answer; `json` is None if its content type is not JSON."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body) if "json" in self.headers["content-type"] else None


@dataclass(frozen=True)
class RunningSystem:
    """The process of a running system, and calls to it."""

    process: subprocess.Popen[bytes]
    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def call(
        self,
        method: str,
        path: str,
        body: object = None,
        headers: Mapping[str, str] | None = None,
    ) -> HttpReply:
        """One request as it is written here: nothing is encoded, JSON bodies aside."""
        content = body if isinstance(body, bytes) or body is None else json.dumps(body)
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=40)
        kind = {"content-type": "application/json"} if content is not None else {}
        try:
            connection.request(method, path, content, {**kind, **(headers or {})})
            answer = connection.getresponse()
            names = {name.lower(): value for name, value in answer.getheaders()}
            return HttpReply(answer.status, names, answer.read())
        finally:
            connection.close()

    def get(self, path: str, **headers: str) -> HttpReply:
        return self.call("GET", path, headers=headers)

    def token(self, *roles: str, email: str = "ana@example.com") -> str:
        asked = {"sub": "ana", "roles": roles, "email": email}
        return str(self.call("POST", "/local/token", asked).json["access_token"])

    def bearer(self, *roles: str) -> dict[str, str]:
        return {"authorization": f"Bearer {self.token(*roles)}"}

    def status(self) -> Any:
        return self.get("/local/status").json

    def healthy(self) -> bool:
        try:
            return self.get("/healthz").status == http.client.OK
        except OSError:
            return False


@contextmanager
def running(log: Path, *arguments: str, ready: bool = True) -> Generator[RunningSystem]:
    """Start the system on a free port; it is ended by SIGTERM if it still runs."""
    port = free_port()
    command = [*COMMAND, "--port", str(port), *arguments]
    with log.open("wb") as output:
        process = subprocess.Popen(command, cwd=ROOT, stdout=output, stderr=output)
    try:
        system = RunningSystem(process, port)
        give_up = time.monotonic() + READY_SECONDS
        while ready and not system.healthy():
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < give_up, log.read_text()
            time.sleep(0.05)
        yield system
    finally:
        process.terminate()
        process.wait(30)


def children(pid: int) -> set[int]:
    """The ids of all descendants of a process."""
    found = set()
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(stat.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
        if parent == pid:
            child = int(stat.parent.name)
            found |= {child} | children(child)
    return found


def alive(pids: set[int]) -> set[int]:
    """Those that still run; zombies do not."""
    return set(filter(exists, pids))


def kill_catalog(system: RunningSystem) -> None:
    """Kill PostgreSQL, and wait until all its processes have ended."""
    pid = system.status()["postgres"]["pid"]
    started = {pid, *children(pid)}
    os.kill(pid, signal.SIGKILL)
    give_up = time.monotonic() + 10
    while alive(started) and time.monotonic() < give_up:
        time.sleep(0.02)
    assert not alive(started)
