"""Runs inside Lambda, as its own file: CloudFormation asks, `migrate` is invoked, it is told.

https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/crpg-ref-responses.html
"""

import json
import time
import urllib.request
from typing import Any

import boto3
from botocore.config import Config

WAITS = 20
PAUSE_SECONDS = 15
TIMEOUT_SECONDS = 870


def handler(event: dict[str, Any], _context: object) -> None:
    """Answer in any case: CloudFormation would wait for an hour."""
    try:
        reason = None if event["RequestType"] == "Delete" else migrate(event)
    except Exception as error:
        reason = type(error).__name__
    answer(event, reason)


def migrate(event: dict[str, Any]) -> str | None:
    """What went wrong, if something did. A new proxy takes minutes to find its database."""
    config = Config(read_timeout=TIMEOUT_SECONDS, retries={"total_max_attempts": 1})
    client = boto3.client("lambda", config=config)
    name = event["ResourceProperties"]["Function"]
    for _ in range(WAITS):
        result = client.invoke(FunctionName=name, Payload=b"{}")
        content = json.loads(result["Payload"].read())
        if "FunctionError" not in result:
            return None
        if content.get("errorType") != "CatalogUnavailable":
            break
        time.sleep(PAUSE_SECONDS)
    return f"{content.get('errorType')}: {content.get('errorMessage')}"


def answer(event: dict[str, Any], reason: str | None) -> None:
    content = {name: event[name] for name in ("StackId", "RequestId", "LogicalResourceId")}
    content |= {
        "Status": "FAILED" if reason else "SUCCESS",
        "Reason": reason or "migrated",
        "PhysicalResourceId": "kiloclaw-migrated",
    }
    request = urllib.request.Request(
        event["ResponseURL"], json.dumps(content).encode(), {"content-type": ""}, method="PUT"
    )
    urllib.request.urlopen(request).close()
