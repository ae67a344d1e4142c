"""The local system in a terminal: what it prints, and the signals that end it."""

import shutil
import signal
import sys
from datetime import datetime

from werkzeug.wrappers import Request, Response

from infra.local.options import Options
from infra.local.postgres import embedded_programs
from infra.local.processes import GUARD, NotStarted
from infra.local.system import Stopped, StopSignal, System, running

REQUEST_IDS = ("x-request-id", "x-amzn-requestid", "apigw-requestid")


def run(options: Options) -> int:
    """Run the system until a signal arrives; the exit status."""
    stop = StopSignal()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop.set)
    try:
        with running(options, stop) as system:
            print(welcome(system), flush=True)
            if not options.quiet:
                system.server.access_log = print_access
            stop.wait()
    except NotStarted as error:
        print(error, file=sys.stderr)
        return 1
    except Stopped:
        pass
    finally:
        GUARD.close()
    return 0


def welcome(system: System) -> str:
    """Where everything is, and three commands to try."""
    status = system.endpoints.status()
    psql = shutil.which("psql") or embedded_programs() / "psql"
    dynamodb = status["dynamodb"]
    token = (
        f"TOKEN=$(curl -s {system.url}/local/token "
        """-d '{"sub": "me", "roles": ["admin"]}' | cut -d'"' -f4)"""
    )
    return f"""\
KiloClaw runs on {system.url} (Ctrl-C stops it)
  Console     {system.url}/console
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


def print_access(request: Request, response: Response, seconds: float) -> None:
    """Print one line for a call: time, request, status, duration, and the id in the logs."""
    now = datetime.now().astimezone().strftime("%H:%M:%S")
    # What is not printable could move the cursor.
    target = ascii(request.environ["RAW_URI"])[1:-1]
    ids = (response.headers.get(name) for name in REQUEST_IDS)
    request_id = next(filter(None, ids), "-")
    failed = " FunctionError" if "x-amz-function-error" in response.headers else ""
    status = f"{response.status_code}{failed}"
    print(
        f"{now} {request.method} {target} {status} {seconds * 1000:.0f} ms {request_id}",
        flush=True,
    )
