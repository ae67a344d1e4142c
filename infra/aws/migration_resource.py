"""The function behind the custom resource `Custom::Migrated`; it runs on AWS as its own file.

CloudFormation's request starts an execution of the state machine in `release.py`. That invokes
`migrate`, hands the outcome to this function and waits where another attempt is worth it. This
function alone answers CloudFormation, at the end.

The form of requests and responses: AWS CloudFormation User Guide, "CloudFormation custom
resource request and response reference".
"""

import json
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

READ_SECONDS = 20
CONFIG = Config(
    connect_timeout=5,
    read_timeout=READ_SECONDS,
    retries={"mode": "standard", "total_max_attempts": 8},
)
DENIED = ("AccessDenied", "AccessDeniedException")
DENIED_TRIES = 12
DENIED_PAUSE_SECONDS = 10
LAST_START_SECONDS = 2_600
"""An attempt that starts later could end after CloudFormation has given up."""

KEPT_VERSIONS = 3
MAX_REASON_BYTES = 2_500
"""As JSON. The whole response may have 4,096."""


def handler(event: dict[str, Any], _context: object) -> dict[str, bool] | None:
    """Take a request of CloudFormation, or the outcome of an attempt to migrate."""
    if "RequestType" not in event:
        return {"again": finish(event)}
    begin(event)
    return None


def begin(event: dict[str, Any]) -> None:
    """Start the migration, or answer at once where there is none to run."""
    try:
        if event["RequestType"] == "Delete":
            respond(event, None, "nothing to do")
        elif _is_rolling_back(event["StackId"]):
            respond(event, None, "a rollback runs no migrations")
        else:
            _start(event)
    except Exception as error:  # CloudFormation would wait for an hour
        respond(event, f"the release could not start: {error}")


def finish(event: dict[str, Any]) -> bool:
    """Answer CloudFormation, or return True if another attempt is to be made."""
    request, outcome = event["request"], event["outcome"]
    if "Error" not in outcome:
        _delete_old_versions(request["Provisioning"])
        respond(request, None, f"applied: {', '.join(outcome['applied']) or 'nothing new'}")
        return False
    if _may_pass(outcome["Error"]) and time.time() - event["started"] < LAST_START_SECONDS:
        return True
    respond(request, f"{outcome['Error']}: {_message(outcome)}")
    return False


def respond(request: Mapping[str, Any], failure: str | None, reason: str = "") -> None:
    """Tell CloudFormation the result. Its address is signed without a content type."""
    reason = failure or reason
    while len(json.dumps(reason)) > MAX_REASON_BYTES:
        reason = reason[: len(reason) * 3 // 4]
    content = {name: request[name] for name in ("StackId", "RequestId", "LogicalResourceId")}
    content |= {
        "Status": "FAILED" if failure else "SUCCESS",
        "Reason": reason,
        "PhysicalResourceId": "kiloclaw-migrated",
    }
    put = urllib.request.Request(
        request["ResponseURL"], json.dumps(content).encode(), {"content-type": ""}, method="PUT"
    )
    urllib.request.urlopen(put, timeout=READ_SECONDS).close()


def _is_rolling_back(stack: str) -> bool:
    """Requests of a rollback look like those of an update, so the stack's status tells."""
    client = boto3.client("cloudformation", config=CONFIG)
    [found] = _when_allowed(lambda: client.describe_stacks(StackName=stack))["Stacks"]
    return "ROLLBACK" in found["StackStatus"]


def _start(event: dict[str, Any]) -> None:
    """Idempotent: a request that is delivered again finds its execution."""
    properties = event["ResourceProperties"]
    names = ("StackId", "RequestId", "LogicalResourceId", "ResponseURL")
    request = {name: event[name] for name in names}
    request["Provisioning"] = properties["Provisioning"]
    started = {"request": request, "started": int(time.time())}
    client = boto3.client("stepfunctions", config=CONFIG)
    try:
        _when_allowed(
            lambda: client.start_execution(
                stateMachineArn=properties["StateMachine"],
                name=event["RequestId"],
                input=json.dumps(started),
            )
        )
    except client.exceptions.ExecutionAlreadyExists:
        print("this request has its execution already")


def _when_allowed(call: Callable[[], Any]) -> Any:
    """Repeat a call that is denied: rights of a new role take a while to be known."""
    for _ in range(DENIED_TRIES):
        try:
            return call()
        except ClientError as error:
            if error.response["Error"]["Code"] not in DENIED:
                raise
            time.sleep(DENIED_PAUSE_SECONDS)
    return call()


def _may_pass(error: str) -> bool:
    """Tell whether an error is worth another attempt.

    The catalog is unavailable while a new proxy looks for its database, and while a migration
    waits for a lock. Lambda's own errors include rights that are not known yet; it reports a
    function that died as unknown.
    """
    is_lambdas = error.startswith("Lambda.") and error != "Lambda.Unknown"
    return error == "CatalogUnavailable" or is_lambdas


def _message(outcome: Mapping[str, str]) -> str:
    """Find the message of a function's error, which arrives as a document in a text."""
    cause = outcome.get("Cause", "")
    try:
        return str(json.loads(cause)["errorMessage"])
    except (ValueError, KeyError, TypeError):
        return cause


def _delete_old_versions(function: str) -> None:
    """Delete all published versions but the newest and those that an alias names.

    Each costs a snapshot. The deployment publishes one more. A version that stays for now is
    no reason to fail, nor is a function that does not exist yet.
    """
    client = boto3.client("lambda", config=CONFIG)
    try:
        named = set(_named_versions(client, function))
        pages = client.get_paginator("list_versions_by_function").paginate(
            FunctionName=function
        )
        found = [version["Version"] for page in pages for version in page["Versions"]]
        numbers = sorted((int(version) for version in found if version.isdigit()), reverse=True)
        for number in numbers[KEPT_VERSIONS - 1 :]:
            if str(number) not in named:
                client.delete_function(FunctionName=function, Qualifier=str(number))
    except (BotoCoreError, ClientError) as error:
        print(f"old versions stay: {error}")


def _named_versions(client: Any, function: str) -> Iterator[str]:
    for page in client.get_paginator("list_aliases").paginate(FunctionName=function):
        for alias in page["Aliases"]:
            yield alias["FunctionVersion"]
            yield from alias.get("RoutingConfig", {}).get("AdditionalVersionWeights", {})
