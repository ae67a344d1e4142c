"""The options of `python -m infra.local`. Needs no package, so that `--help` always works."""

import argparse
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

STARTED_BY_MAKE = os.environ.get("STARTED_BY") == "make"


@dataclass(frozen=True, slots=True)
class Options:
    """How to run. `max_new` None is the sync's default; with `logs` None no logs are kept."""

    port: int = 8080
    empty: bool = False
    schedule: bool = True
    max_new: int | None = None
    environments: int = 4
    logs: Path | None = None
    quiet: bool = False


def parse(arguments: Sequence[str]) -> Options:
    """Read the command line; as argparse does, end the program on a mistake or after --help."""
    program = 'make run ARGS="…"' if STARTED_BY_MAKE else "python -m infra.local"
    parser = argparse.ArgumentParser(
        program,
        description="Run the whole system on 127.0.0.1, until Ctrl-C or SIGTERM.",
        epilog="`make run` installs what is needed first; its options go into ARGS: "
        'make run ARGS="--port 8081".',
    )
    add = parser.add_argument
    add("--port", type=_number(65_535), default=8080, help="default: 8080; 0: any free port")
    add("--empty", action="store_true", help="start without demo data")
    add("--no-schedule", action="store_true", help="do not run a sync every 60 s")
    add("--max-new", type=_number(), help="new versions that one sync may take; 0: no cap")
    add("--environments", type=_number(least=1), default=4, help="processes a function (4)")
    add("--logs", type=Path, metavar="DIR", help="keep the functions' logs in this folder")
    add("--quiet", action="store_true", help="do not print a line for each call")
    given = parser.parse_args(arguments)
    return Options(
        given.port,
        given.empty,
        not given.no_schedule,
        given.max_new,
        given.environments,
        given.logs,
        given.quiet,
    )


def as_typed(option: str) -> str:
    """An option in the form in which the user types it."""
    return f'ARGS="{option}"' if STARTED_BY_MAKE else option


def _number(most: int = 1_000_000, least: int = 0) -> Callable[[str], int]:
    def number(text: str) -> int:
        if not (text.isascii() and text.isdigit() and least <= int(text) <= most):
            raise argparse.ArgumentTypeError(f"must be a number from {least} to {most}")
        return int(text)

    return number
