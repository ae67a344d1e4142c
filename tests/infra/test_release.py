"""The release step: what it runs, how often, and how it answers CloudFormation."""

import io
import json
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any, ClassVar
from uuid import uuid4

import boto3
import pytest
from botocore.exceptions import ClientError
from moto.backends import get_backend
from moto.server import ThreadedMotoServer

from infra.aws import migration_resource
from infra.functions import FUNCTIONS
from tests.support.templates import Template

FUNCTION = "kiloclaw-dev-provisioning"
DOWN = {"Error": "CatalogUnavailable", "Cause": '{"errorMessage": "not yet"}'}
EDITED = {"Error": "MigrationEdited", "Cause": '{"errorMessage": "0001 was edited"}'}
APPLIED = {"applied": ["0001_versions"]}
FINISHED = {"Status": "SUCCESS", "Reason": "applied: 0001_versions"}
Outcome = dict[str, Any]


class CloudFormationStandIn(BaseHTTPRequestHandler):
    """Takes responses by PUT, as the signed address of a request does."""

    received: ClassVar[list[dict[str, Any]]]
    content_types: ClassVar[list[str | None]]

    def do_PUT(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        assert len(body) <= 4096
        self.received.append(json.loads(body))
        self.content_types.append(self.headers.get("content-type"))
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Stay silent."""


@dataclass
class Cloud:
    """An account with a stack and a state machine, and the responses to CloudFormation."""

    url: str
    stack: str
    machine: str
    responses: list[dict[str, Any]] = field(default_factory=list)
    content_types: list[str | None] = field(default_factory=list)

    def request(self, kind: str = "Update", **changes: Any) -> dict[str, Any]:
        """Build a request as CloudFormation sends it."""
        properties = {"StateMachine": self.machine, "Provisioning": FUNCTION}
        return {
            "RequestType": kind,
            "ResponseURL": self.url,
            "StackId": self.stack,
            "RequestId": str(uuid4()),
            "LogicalResourceId": "Migrated",
            "ResourceProperties": properties,
        } | changes

    def executions(self) -> list[dict[str, Any]]:
        """Find the inputs of all executions that were started."""
        client = boto3.client("stepfunctions")
        started = client.list_executions(stateMachineArn=self.machine)["executions"]
        return [
            json.loads(
                client.describe_execution(executionArn=execution["executionArn"])["input"]
            )
            for execution in started
        ]

    def set_status(self, status: str) -> None:
        """Put the stack into a state; moto finishes every operation at once."""
        get_backend("cloudformation")["123456789012"]["us-east-1"].stacks[
            self.stack
        ].status = status


@pytest.fixture(scope="module")
def account() -> Iterator[str]:
    """The address of moto, which serves Lambda, Step Functions and CloudFormation."""
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def cloud(account: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cloud]:
    """A stack of its own in the account; pauses take no time."""
    for name, value in {
        "AWS_ENDPOINT_URL": account,
        "AWS_ACCESS_KEY_ID": "local",
        "AWS_SECRET_ACCESS_KEY": "local",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(migration_resource, "DENIED_PAUSE_SECONDS", 0)
    name = f"s{uuid4().hex}"
    body = json.dumps({"Resources": {"Topic": {"Type": "AWS::SNS::Topic"}}})
    stack = boto3.client("cloudformation").create_stack(StackName=name, TemplateBody=body)
    machine = boto3.client("stepfunctions").create_state_machine(
        name=name,
        definition='{"StartAt": "A", "States": {"A": {"Type": "Succeed"}}}',
        roleArn="arn:aws:iam::123456789012:role/any",
    )
    cloud = Cloud("", stack["StackId"], machine["stateMachineArn"])
    handler = type(
        "Bound",
        (CloudFormationStandIn,),
        {"received": cloud.responses, "content_types": cloud.content_types},
    )
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    cloud.url = f"http://127.0.0.1:{server.server_port}/response?signed=1"
    Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield cloud
    server.shutdown()
    server.server_close()


class Machine:
    """Walks the state machine of the template, with functions in place of Lambda's."""

    def __init__(self, template: Template, migrate: Callable[[], Outcome]) -> None:
        self._states = template.only("AWS::StepFunctions::StateMachine")["Definition"]["States"]
        self._start = template.only("AWS::StepFunctions::StateMachine")["Definition"]["StartAt"]
        self._migrate = migrate
        self.waits: list[int] = []

    def run(self, data: dict[str, Any]) -> None:
        """Run to the end, from the input of an execution."""
        name: str | None = self._start
        while name is not None:
            state = self._states[name]
            name = getattr(self, f"_{state['Type'].lower()}")(state, data)

    def _task(self, state: dict[str, Any], data: dict[str, Any]) -> str:
        key = state["ResultPath"].removeprefix("$.")
        if state["Parameters"]["FunctionName"] == "${Migrate}":
            assert state["Parameters"]["Payload"] == {}
            data[key] = self._migrate()
            if "Error" in data[key]:
                [catch] = state["Catch"]
                assert catch["ErrorEquals"] == ["States.ALL"]
                assert catch["ResultPath"] == state["ResultPath"]
                return str(catch["Next"])
        else:
            assert state["Parameters"] == {"FunctionName": "${Finish}", "Payload.$": "$"}
            data[key] = migration_resource.handler(json.loads(json.dumps(data)), None)
        return str(state["Next"])

    def _choice(self, state: dict[str, Any], data: dict[str, Any]) -> str:
        [choice] = state["Choices"]
        assert (choice["Variable"], choice["BooleanEquals"]) == ("$.decision.again", True)
        return str(choice["Next"] if data["decision"]["again"] else state["Default"])

    def _wait(self, state: dict[str, Any], _: dict[str, Any]) -> str:
        self.waits.append(state["Seconds"])
        return str(state["Next"])

    def _succeed(self, *_: object) -> None:
        return None


def answers(*outcomes: Outcome) -> Callable[[], Outcome]:
    """Give outcomes in turn, the last one for ever."""
    left = list(outcomes)
    return lambda: left.pop(0) if len(left) > 1 else left[0]


@pytest.mark.parametrize(
    ("outcomes", "status", "reason", "waits"),
    [
        ([APPLIED], "SUCCESS", "applied: 0001_versions", 0),
        ([{"applied": []}], "SUCCESS", "applied: nothing new", 0),
        ([DOWN, DOWN, APPLIED], "SUCCESS", "applied: 0001_versions", 2),
        ([{"Error": "Lambda.AWSLambdaException"}, APPLIED], *FINISHED.values(), 1),
        ([{"Error": "Lambda.EC2AccessDeniedException"}, APPLIED], *FINISHED.values(), 1),
        ([EDITED], "FAILED", "MigrationEdited: 0001 was edited", 0),
        ([DOWN, EDITED], "FAILED", "MigrationEdited: 0001 was edited", 1),
        ([{"Error": "Lambda.Unknown", "Cause": "died"}], "FAILED", "Lambda.Unknown: died", 0),
        ([{"Error": "States.Timeout"}], "FAILED", "States.Timeout: ", 0),
    ],
)
def test_a_deployment_fails_with_its_migrations(
    cloud: Cloud,
    template_of: Callable[[str], Template],
    outcomes: list[Outcome],
    status: str,
    reason: str,
    waits: int,
) -> None:
    """Attempts are repeated while the proxy or IAM may not be ready, and for nothing else."""
    migration_resource.handler(cloud.request(), None)
    assert cloud.responses == []
    [started] = cloud.executions()
    machine = Machine(template_of("dev"), answers(*outcomes))
    machine.run(started)
    [response] = cloud.responses
    assert (response["Status"], response["Reason"]) == (status, reason)
    assert len(machine.waits) == waits


def test_attempts_end_before_cloudformation_gives_up(
    cloud: Cloud, template_of: Callable[[str], Template], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A catalog that stays away fails the deployment with the reason, within the hour."""
    migration_resource.handler(cloud.request(), None)
    [started] = cloud.executions()
    clock = [float(started["started"])]
    monkeypatch.setattr("time.time", lambda: clock[0])

    def migrate() -> Outcome:
        clock[0] += 300
        return DOWN

    Machine(template_of("dev"), migrate).run(started)
    [response] = cloud.responses
    assert (response["Status"], response["Reason"]) == ("FAILED", "CatalogUnavailable: not yet")
    assert clock[0] - started["started"] == 2_700


def test_the_last_attempt_has_its_time(template: Template) -> None:
    """An attempt that starts at the last moment ends, and is answered, before the time-out."""
    states = template.only("AWS::StepFunctions::StateMachine")["Definition"]["States"]
    attempt = states["Migrate"]["TimeoutSeconds"]
    functions = template.of("AWS::Lambda::Function")
    answer = functions["ReleaseFunction"]["Timeout"]
    resource = template.only("Custom::Migrated")
    assert FUNCTIONS["migrate"].timeout_seconds < attempt
    latest = migration_resource.LAST_START_SECONDS + states["Pause"]["Seconds"] + attempt
    # One answer in good time; a repeat only if the first is refused, which takes no time.
    assert latest + migration_resource.READ_SECONDS < resource["ServiceTimeout"] == 3600
    tries = migration_resource.DENIED_TRIES * migration_resource.DENIED_PAUSE_SECONDS
    assert tries + 2 * migration_resource.READ_SECONDS < answer


def test_a_request_that_arrives_twice_runs_once(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lambda may deliver a request again, a minute later; it finds the first execution."""
    request = cloud.request()
    for seconds in (1_000, 1_060):
        monkeypatch.setattr("time.time", lambda now=seconds: now)
        migration_resource.handler(request, None)
    assert len(cloud.executions()) == 1
    assert cloud.responses == []


@pytest.mark.parametrize(
    "status", ["UPDATE_ROLLBACK_IN_PROGRESS", "ROLLBACK_IN_PROGRESS", "UPDATE_ROLLBACK_FAILED"]
)
def test_a_rollback_runs_no_migrations(cloud: Cloud, status: str) -> None:
    """CloudFormation sends an update with the old properties; it succeeds at once."""
    cloud.set_status(status)
    migration_resource.handler(cloud.request(), None)
    [response] = cloud.responses
    assert response["Status"] == "SUCCESS"
    assert response["Reason"] == "a rollback runs no migrations"
    assert cloud.executions() == []


def test_deleting_runs_nothing(cloud: Cloud) -> None:
    """A stack that is deleted needs no migrations, and no right to ask about its status."""
    migration_resource.handler(cloud.request("Delete", StackId="gone"), None)
    [response] = cloud.responses
    assert response["Status"] == "SUCCESS"
    assert cloud.executions() == []


def test_a_response_names_its_request(cloud: Cloud) -> None:
    """The response has the members that CloudFormation wants, and no content type."""
    request = cloud.request("Delete")
    migration_resource.handler(request, None)
    assert cloud.responses == [
        {
            "StackId": cloud.stack,
            "RequestId": request["RequestId"],
            "LogicalResourceId": "Migrated",
            "PhysicalResourceId": "kiloclaw-migrated",
            "Status": "SUCCESS",
            "Reason": "nothing to do",
        }
    ]
    assert cloud.content_types == [""]


@pytest.mark.parametrize("letter", ["a", '"', "\\", "\n", "ä", "🦀", "\x00"])
def test_a_long_reason_is_cut(cloud: Cloud, letter: str) -> None:
    """CloudFormation takes 4,096 bytes, however the text is escaped."""
    request = cloud.request("Delete", LogicalResourceId="M" * 255)
    migration_resource.respond(request, letter * 5000)
    [response] = cloud.responses
    assert len(response["Reason"]) > 100


def test_a_request_is_answered_whatever_happens(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    """CloudFormation would wait for an hour otherwise."""
    missing = cloud.request(StackId=cloud.stack.replace("stack/s", "stack/other"))
    malformed = cloud.request(ResourceProperties={})
    for request in (missing, malformed):
        migration_resource.handler(request, None)
    assert [response["Status"] for response in cloud.responses] == ["FAILED", "FAILED"]
    assert all("could not start" in response["Reason"] for response in cloud.responses)


@pytest.mark.parametrize(("refusals", "calls"), [(3, 4), (99, 13)])
def test_a_new_role_is_waited_for(
    monkeypatch: pytest.MonkeyPatch, refusals: int, calls: int
) -> None:
    """IAM takes a while to make a right known; another error is not repeated."""
    monkeypatch.setattr(migration_resource, "DENIED_PAUSE_SECONDS", 0)
    made = []

    def call(code: str) -> str:
        made.append(code)
        if len(made) <= refusals:
            raise ClientError({"Error": {"Code": code}}, "StartExecution")
        return "done"

    if refusals < migration_resource.DENIED_TRIES:
        assert migration_resource._when_allowed(lambda: call("AccessDeniedException")) == "done"
    else:
        with pytest.raises(ClientError):
            migration_resource._when_allowed(lambda: call("AccessDeniedException"))
    assert len(made) == calls
    made.clear()
    with pytest.raises(ClientError):
        migration_resource._when_allowed(lambda: call("StateMachineDeleting"))
    assert len(made) == 1


def test_three_versions_are_kept(cloud: Cloud) -> None:
    """The two newest stay beside the one to come, and those that an alias leads to."""
    client = boto3.client("lambda")
    _publish(client, 6)
    client.create_alias(
        FunctionName=FUNCTION,
        Name="live",
        FunctionVersion="2",
        RoutingConfig={"AdditionalVersionWeights": {"3": 0.1}},
    )
    event = {"request": cloud.request(Provisioning=FUNCTION), "started": 0, "outcome": APPLIED}
    assert migration_resource.handler(event, None) == {"again": False}
    pages = client.get_paginator("list_versions_by_function").paginate(FunctionName=FUNCTION)
    left = [version["Version"] for page in pages for version in page["Versions"]]
    assert left == ["$LATEST", "2", "3", "5", "6"]
    assert cloud.responses[0]["Status"] == "SUCCESS"


def test_versions_that_cannot_be_deleted_fail_nothing(
    cloud: Cloud, capsys: pytest.CaptureFixture[str]
) -> None:
    """At the first deployment the function does not exist yet."""
    request = cloud.request(Provisioning="kiloclaw-dev-none")
    migration_resource.handler({"request": request, "started": 0, "outcome": APPLIED}, None)
    assert cloud.responses[0]["Status"] == "SUCCESS"
    assert "old versions stay" in capsys.readouterr().out


def test_the_release_step_is_one_file(template: Template) -> None:
    """Its package holds the file of that name and nothing else."""
    [asset] = [
        folder
        for folder in template.folder.glob("asset.*")
        if (folder / "migration_resource.py").exists()
    ]
    assert [path.name for path in asset.rglob("*")] == ["migration_resource.py"]
    function = template.of("AWS::Lambda::Function")["ReleaseFunction"]
    assert function["Handler"] == "migration_resource.handler"
    assert "VpcConfig" not in function


def _publish(client: Any, count: int) -> None:
    for number in range(count):
        archive = io.BytesIO()
        with zipfile.ZipFile(archive, "w") as packed:
            packed.writestr("handler.py", f"NUMBER = {number}")
        if number == 0:
            role = "arn:aws:iam::123456789012:role/any"
            boto3.client("iam").create_role(RoleName="any", AssumeRolePolicyDocument="{}")
            client.create_function(
                FunctionName=FUNCTION,
                Runtime="python3.13",
                Role=role,
                Handler="handler.handler",
                Code={"ZipFile": archive.getvalue()},
            )
        else:
            client.update_function_code(FunctionName=FUNCTION, ZipFile=archive.getvalue())
        client.publish_version(FunctionName=FUNCTION)
