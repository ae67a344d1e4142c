"""A process of its own that cleans up if the local system is killed.

It reads from its standard input what exists, a line each: `+ pid signal` for a process,
`+ path` for a folder, the same with `-` once it is gone. When the input ends it sends each
process its signal and deletes the folders. It is run as a plain script, which starts fast.
"""

import os
import shutil
import signal
import sys
import time
from contextlib import suppress

GRACE_SECONDS = 5.0


def main() -> None:
    processes: dict[int, int] = {}
    folders: set[str] = set()
    for line in sys.stdin:
        sign, thing, *last_signal = line.rstrip("\n").split("\t")
        if last_signal and sign == "+":
            processes[int(thing)] = int(last_signal[0])
        elif last_signal:
            processes.pop(int(thing), None)
        elif sign == "+":
            folders.add(thing)
        else:
            folders.discard(thing)
    end(processes)
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)


def end(processes: dict[int, int]) -> None:
    """Send each process its signal, and SIGKILL to those that are still there later."""
    for pid, last_signal in processes.items():
        send(pid, last_signal)
        send(pid, signal.SIGCONT)
    give_up = time.monotonic() + GRACE_SECONDS
    while any(map(exists, processes)) and time.monotonic() < give_up:
        time.sleep(0.02)
    for pid in filter(exists, processes):
        send(pid, signal.SIGKILL)


def send(pid: int, number: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.kill(pid, number)


def exists(pid: int) -> bool:
    """Does the process still run? A zombie does not."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    with suppress(OSError), open(f"/proc/{pid}/stat") as stat:  # noqa: PTH123  starts fast
        return stat.read().rpartition(")")[2].split()[0] != "Z"
    return True


if __name__ == "__main__":
    main()
