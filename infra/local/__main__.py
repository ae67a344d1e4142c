"""The whole system on 127.0.0.1, until Ctrl-C or SIGTERM."""

import argparse
import shutil
import signal
import sys
from collections.abc import Callable

from infra.local.postgres import embedded_programs
from infra.local.processes import GUARD, NotStarted
from infra.local.system import Options, Stopped, StopSignal, System, running


def main() -> int:
    options = parse(sys.argv[1:])
    stop = StopSignal()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop.set)
    try:
        with running(options, stop) as system:
            print(welcome(system), flush=True)
            stop.wait()
    except NotStarted as error:
        print(error, file=sys.stderr)
        return 1
    except Stopped:
        pass
    finally:
        GUARD.close()
    return 0


def parse(arguments: list[str]) -> Options:
    parser = argparse.ArgumentParser("python -m infra.local", description=__doc__)
    add = parser.add_argument
    add("--port", type=_number(65_535), default=8080, help="default: 8080; 0: a free one")
    add("--empty", action="store_true", help="no demo data")
    add("--no-schedule", action="store_true", help="no sync every 60 s")
    add("--max-new", type=_number(), help="new versions a sync run may take; 0: no cap")
    add("--environments", type=_number(least=1), default=4, help="processes a function")
    given = parser.parse_args(arguments)
    return Options(
        given.port, given.empty, not given.no_schedule, given.max_new, given.environments
    )


def _number(most: int = 1_000_000, least: int = 0) -> Callable[[str], int]:
    def number(text: str) -> int:
        if not (text.isascii() and text.isdigit() and least <= int(text) <= most):
            raise argparse.ArgumentTypeError(f"must be a number from {least} to {most}")
        return int(text)

    return number


def welcome(system: System) -> str:
    """Where things are, and three commands to try."""
    status = system.endpoints.status()
    psql = shutil.which("psql") or embedded_programs() / "psql"
    dynamodb = status["dynamodb"]
    token = (
        f"TOKEN=$(curl -s {system.url}/local/token "
        """-d '{"sub": "me", "roles": ["admin"]}' | cut -d'"' -f4)"""
    )
    return f"""\
KiloClaw runs on {system.url} (Ctrl-C stops it)
  API         {system.url}/docs
  DynamoDB    {dynamodb["endpoint"]}, table {dynamodb["table"]}, {dynamodb["region"]}
  logs        {system.logs}

What exists? Which image does a user get? What is in the database?
  {token}
  curl -s -H "Authorization: Bearer $TOKEN" {system.url}/v1/versions
  curl -s {system.url}/2015-03-31/functions/provisioning/invocations \\
    -d '{{"user_id": "ana@example.com"}}'
  {psql} "{status["postgres"]["conninfo"]}" -c "TABLE kiloclaw_version_pins"
"""


if __name__ == "__main__":
    sys.exit(main())
