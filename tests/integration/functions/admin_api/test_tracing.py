"""Traces: sent where a daemon takes them, and nothing of a user in them."""

import json
import socket
import subprocess
import sys
from pathlib import Path

from tests.support.requests import event

ROOT = str(Path(__file__).parents[4])
TRACE = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1"
ANSWER = """
import json, sys
from functions.admin_api.handler import handler
content = json.loads(sys.stdin.read())
assert handler(content, None)["statusCode"] == 422
assert ("aws_xray_sdk" in sys.modules) == (sys.argv[1] == "traced")
"""


def answer(traced: str, **environ: str) -> None:
    """Let a new process answer one event that names a user."""
    known = {
        "DATABASE_CONNINFO": "host=127.0.0.1 port=1", "TABLE_NAME": "none",
        "AWS_DEFAULT_REGION": "eu-west-1",
        "POWERTOOLS_METRICS_NAMESPACE": "KiloClaw", "POWERTOOLS_SERVICE_NAME": "admin_api",
        "LAMBDA_TASK_ROOT": ROOT, "_X_AMZN_TRACE_ID": TRACE, "PYTHONPATH": ROOT,
    }  # fmt: skip
    content = json.dumps(event("GET", "/v1/users/ana%/pin", "admin"))
    subprocess.run(
        [sys.executable, "-c", ANSWER, traced], input=content, text=True, check=True,
        env=known | environ, capture_output=True,
    )  # fmt: skip


def test_an_event_is_traced_where_there_is_a_daemon() -> None:
    """The daemon gets the event under its trace, without the path or the answer."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as daemon:
        daemon.bind(("127.0.0.1", 0))
        daemon.settimeout(5)
        answer("traced", AWS_XRAY_DAEMON_ADDRESS=f"127.0.0.1:{daemon.getsockname()[1]}")
        text = daemon.recv(65536).decode()
    segment = json.loads(text.partition("\n")[2])
    assert segment["name"] == "## resolve"
    assert segment["trace_id"] == "1-5759e988-bd862e3fe1be46a994272793"
    assert "ana" not in text
    assert "invalid_request" not in text


def test_nothing_is_traced_where_there_is_none() -> None:
    """The local system sends nothing, and does not even load what would."""
    answer("untraced")
