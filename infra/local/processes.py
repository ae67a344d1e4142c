"""Processes and folders of the local system; none of them may outlive it."""

import atexit
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from threading import Lock
from typing import Any

from infra.local import guard

HOST = "127.0.0.1"
Process = subprocess.Popen[bytes]


class NotStarted(Exception):
    """A part of the system cannot start. The message is one line for people."""


class _Guard:
    """Tells the guard what exists; the first call starts it."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._process: Process | None = None

    def tell(self, sign: str, *words: object) -> None:
        line = "\t".join(str(word) for word in (sign, *words)) + "\n"
        # Without its guard the system goes on.
        with self._lock, suppress(BrokenPipeError):
            pipe = self._started().stdin
            assert pipe is not None  # noqa: S101
            pipe.write(line.encode())
            pipe.flush()

    def _started(self) -> Process:
        if self._process is None:
            command = [sys.executable, "-I", "-S", guard.__file__]
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, process_group=0
            )
            atexit.register(self.close)
        return self._process

    def close(self) -> None:
        with self._lock:
            process, self._process = self._process, None
        if process is not None:
            process.communicate()


GUARD = _Guard()


def start(
    command: Sequence[str | Path], *, last_signal: int = signal.SIGKILL, **options: Any
) -> Process:
    """Start a program in a process group of its own, so that Ctrl-C does not reach it.

    The guard sends it `last_signal` if this process is killed.
    """
    process = subprocess.Popen[bytes](command, process_group=0, **options)
    GUARD.tell("+", process.pid, last_signal)
    return process


def stop(process: Process, *signals: int, seconds: float = 5.0) -> None:
    """Send the signals one after another until the process ends, and at last SIGKILL."""
    for number in (*signals, signal.SIGKILL):
        with suppress(subprocess.TimeoutExpired):
            process.send_signal(number)
            # A stopped process handles no other signal.
            process.send_signal(signal.SIGCONT)
            process.wait(seconds)
            break
    GUARD.tell("-", process.pid, 0)


def make_folder(name: str, parent: Path | None = None) -> Path:
    """A new temporary folder; `delete` removes it."""
    path = tempfile.mkdtemp(prefix=f"kiloclaw-{name}-", dir=parent)
    GUARD.tell("+", path)
    return Path(path)


def delete(folder: Path, seconds: float = 5.0) -> None:
    """Delete a folder, in which an ending process may still be writing."""
    give_up = time.monotonic() + seconds
    while folder.exists() and time.monotonic() < give_up:
        shutil.rmtree(folder, ignore_errors=True)
    GUARD.tell("-", folder)


def free_port() -> int:
    with socket.create_server((HOST, 0)) as listener:
        return int(listener.getsockname()[1])


def is_root() -> bool:
    return os.geteuid() == 0
