"""Least privilege: every right of every role is listed here, and there is no other."""

import re
from collections.abc import Iterable
from typing import Any

import pytest

from infra.functions import FUNCTIONS, database_roles
from infra.routes import DEFAULT, ROUTES
from tests.support.templates import Template, name_of, statements, text, texts

Right = tuple[str, str, tuple[str, ...]]
"""An action, a resource, and the partition keys that it is limited to.

`POINTER: pk sk` are items of which only these attributes may be named.
"""

TABLE = "${KVTable.Arn}"
SESSIONS = "${SessionsTable.Arn}"
STREAM = "${KVTable.StreamArn}"
ACCOUNT = "${AWS::Region}:${AWS::AccountId}"
PROXY = f"arn:${{AWS::Partition}}:rds-db:{ACCOUNT}:dbuser:${{CatalogProxy.DBProxyArn}}[:6]"
INSTANCE = f"arn:${{AWS::Partition}}:rds-db:{ACCOUNT}:dbuser:${{CatalogDatabase.DbiResourceId}}"
NETWORK = {
    ("ec2:AssignPrivateIpAddresses", "*", ()),
    ("ec2:CreateNetworkInterface", "*", ()),
    ("ec2:DeleteNetworkInterface", "*", ()),
    ("ec2:DescribeNetworkInterfaces", "*", ()),
    ("ec2:DescribeSubnets", "*", ()),
    ("ec2:UnassignPrivateIpAddresses", "*", ()),
}
LISTS_STREAMS = ("dynamodb:ListStreams", "*", ())
"""Lambda's poller of a stream acts with the function's role; this right has no resource."""

TRACES = {("xray:PutTelemetryRecords", "*", ()), ("xray:PutTraceSegments", "*", ())}


def kv(operation: str, *keys: str) -> Right:
    return (f"dynamodb:{operation}", TABLE, keys)


def session(operation: str, *keys: str) -> Right:
    return (f"dynamodb:{operation}", SESSIONS, ("SESSION#*", *keys))


def writes_log(group: str) -> set[Right]:
    return {
        ("logs:CreateLogStream", f"${{{group}.Arn}}", ()),
        ("logs:PutLogEvents", f"${{{group}.Arn}}", ()),
    }


def function(name: str, *own: Right) -> set[Right]:
    """The rights of every function, and those of this one besides."""
    log = f"{name.replace('_', '')}log"
    connects = ("rds-db:connect", f"{PROXY}/kiloclaw_{name}", ())
    return {*NETWORK, *TRACES, *writes_log(log), connects, *own}


HOLD = kv("UpdateItem", "POINTER: held moved_by pk revision sk updated_at")
ADMINISTRATION = (
    kv("Query", "IMAGE", "POINTER"),
    kv("BatchGetItem", "IMAGE", "DIGEST", "POINTER", "ROLLOUT", "INSTANCE#*"),
    kv("PutItem", "IMAGE", "DIGEST", "POINTER"),
    kv("UpdateItem", "IMAGE"),
    HOLD,
    kv("DeleteItem", "IMAGE", "DIGEST", "ROLLOUT", "INSTANCE#*"),
)
RIGHTS: dict[str, set[Right]] = {
    "fleetrole": function(
        "fleet",
        ("dynamodb:DescribeStream", STREAM, ()),
        ("dynamodb:GetRecords", STREAM, ()),
        ("dynamodb:GetShardIterator", STREAM, ()),
        LISTS_STREAMS,
        ("sqs:GetQueueAttributes", "${FleetStreamFailed.Arn}", ()),
        ("sqs:GetQueueUrl", "${FleetStreamFailed.Arn}", ()),
        ("sqs:SendMessage", "${FleetStreamFailed.Arn}", ()),
    ),
    "migraterole": function("migrate", ("rds-db:connect", f"{PROXY}/kiloclaw_master", ())),
    "provisioningrole": function(
        "provisioning",
        kv("BatchGetItem", "IMAGE", "POINTER", "ROLLOUT", "INSTANCE#*"),
        kv("PutItem", "INSTANCE#*", "REPORT#*"),
        kv("UpdateItem", "ROLLOUT"),
        HOLD,
        kv("DeleteItem", "INSTANCE#*"),
    ),
    "syncrole": function(
        "sync",
        kv("Query", "IMAGE", "DIGEST", "POINTER"),
        kv("BatchGetItem", "IMAGE", "DIGEST", "POINTER", "ROLLOUT", "INSTANCE#*"),
        kv("Scan"),
        kv("PutItem", "IMAGE", "DIGEST", "POINTER"),
        kv("UpdateItem", "IMAGE"),
        HOLD,
        kv("DeleteItem", "DIGEST"),
        ("sqs:SendMessage", "${SchedulesFailed.Arn}", ()),
    ),
    "adminapirole": function("admin_api", *ADMINISTRATION),
    "consolerole": function(
        "console", *ADMINISTRATION, session("GetItem"), session("UpdateItem")
    ),
    # Neither a network nor a database.
    "signinrole": {
        *TRACES,
        *writes_log("signinlog"),
        session("PutItem", "SIGN_IN#*"),
        session("DeleteItem", "SIGN_IN#*"),
    },
    "CatalogProxyRole": {
        ("rds-db:connect", f"{INSTANCE}/{role}", ())
        for role in (*database_roles(), "kiloclaw_master")
    },
    "ReleaseRole": writes_log("ReleaseLog"),
    "ReleaseMachineRole": {
        ("lambda:InvokeFunction", "${migrate.Arn}", ()),
        ("lambda:InvokeFunction", "${ReleaseFunction.Arn}", ()),
    },
    "SchedulesRole": {
        ("lambda:InvokeFunction", "${sync.Arn}", ()),
        ("sqs:SendMessage", "${SchedulesUndelivered.Arn}", ()),
    },
}


def rights_of_the_release(stage: str) -> set[Right]:
    """Start the state machine, ask about the stack, and delete versions of `provisioning`."""
    machine = f"arn:${{AWS::Partition}}:states:{ACCOUNT}:stateMachine:kiloclaw-{stage}-release"
    versions = (
        f"arn:${{AWS::Partition}}:lambda:{ACCOUNT}:function:kiloclaw-{stage}-provisioning"
    )
    return {
        ("states:StartExecution", machine, ()),
        ("cloudformation:DescribeStacks", "${AWS::StackId}", ()),
        ("lambda:ListAliases", versions, ()),
        ("lambda:ListVersionsByFunction", versions, ()),
        ("lambda:DeleteFunction", f"{versions}:*", ()),
    }


def rights(template: Template, effect: str = "Allow") -> dict[str, set[Right]]:
    """Collect rights by role. Fails for a policy that belongs to something else."""
    found: dict[str, set[Right]] = {}
    for policy in template.of("AWS::IAM::Policy").values():
        assert set(policy) == {"PolicyDocument", "PolicyName", "Roles"}
        [role] = policy["Roles"]
        for statement in statements(policy["PolicyDocument"]):
            if statement["Effect"] == effect:
                found.setdefault(name_of(role["Ref"]), set()).update(_rights(statement))
    return found


def _rights(statement: dict[str, Any]) -> set[Right]:
    assert statement.keys() <= {"Action", "Condition", "Effect", "Resource", "Sid"}
    keys: tuple[str, ...] = ()
    if statement["Effect"] == "Allow" and "Condition" in statement:
        keys = _keys(**statement["Condition"])
    return {
        (action, resource, keys)
        for action in texts(statement["Action"])
        for resource in texts(statement["Resource"])
    }


def _keys(**condition: Any) -> tuple[str, ...]:
    """The partition keys; behind the one of a part of items, the attributes of that part."""
    limits = condition.pop("ForAllValues:StringLike")
    assert set(limits) == {"dynamodb:LeadingKeys"}
    keys = tuple(texts(limits["dynamodb:LeadingKeys"]))
    if not condition:
        return keys
    [(operator, part)] = condition.items()
    assert (operator, set(part)) == ("ForAllValues:StringEquals", {"dynamodb:Attributes"})
    [key] = keys
    return (f"{key}: {' '.join(texts(part['dynamodb:Attributes']))}",)


def test_every_role_has_exactly_what_it_uses(template: Template) -> None:
    """One action, resource or partition key more or less fails the test."""
    release = RIGHTS["ReleaseRole"] | rights_of_the_release(template.stage)
    assert rights(template) == RIGHTS | {"ReleaseRole": release}


def test_nothing_else_grants_a_role_anything(template: Template) -> None:
    """There are no managed or inline policies, no users, no groups and no unknown roles."""
    roles = template.of("AWS::IAM::Role")
    assert set(roles) == set(RIGHTS)
    for role in roles.values():
        assert role.keys() <= {"AssumeRolePolicyDocument", "Tags"}
    kinds = {resource["Type"] for resource in template.resources.values()}
    assert {kind for kind in kinds if kind.startswith("AWS::IAM::")} == {
        "AWS::IAM::Policy",
        "AWS::IAM::Role",
    }


def test_a_wildcard_is_in_no_action_and_where_nothing_has_a_name(template: Template) -> None:
    """Network interfaces, traces and the list of streams are granted without a name, versions
    without a number.
    """
    nameless = NETWORK | TRACES | {LISTS_STREAMS}
    for granted in rights(template).values():
        assert not [action for action, _, _ in granted if "*" in action]
        numberless = {right for right in granted if right[0] == "lambda:DeleteFunction"}
        assert {right for right in granted if "*" in right[1]} <= nameless | numberless


@pytest.mark.parametrize("name", sorted(FUNCTIONS.keys() - {"sign_in"}))
def test_code_is_denied_the_network(template: Template, name: str) -> None:
    """Rights that Lambda needs to connect a function are denied to the function's own code."""
    role = f"{name.replace('_', '')}role"
    assert rights(template, "Deny")[role] == NETWORK
    arn = f"arn:${{AWS::Partition}}:lambda:{ACCOUNT}:function:kiloclaw-{template.stage}-{name}"
    [denial] = [
        statement
        for policy in template.of("AWS::IAM::Policy").values()
        if name_of(policy["Roles"][0]["Ref"]) == role
        for statement in statements(policy["PolicyDocument"])
        if statement["Effect"] == "Deny"
    ]
    [(operator, condition)] = denial["Condition"].items()
    assert operator == "ArnEquals"
    assert text(condition["lambda:SourceFunctionArn"]) == arn


def test_each_role_is_for_one_service(template: Template) -> None:
    """Those of Scheduler and Step Functions act for resources of this account alone."""
    trusted = {}
    for name, role in template.of("AWS::IAM::Role").items():
        [statement] = statements(role["AssumeRolePolicyDocument"])
        assert statement["Action"] == "sts:AssumeRole"
        trusted[name] = statement["Principal"]["Service"]
        assert ("Condition" in statement) == (name in {"SchedulesRole", "ReleaseMachineRole"})
    service = {
        "CatalogProxyRole": "rds",
        "ReleaseMachineRole": "states",
        "SchedulesRole": "scheduler",
    }
    assert trusted == {name: f"{service.get(name, 'lambda')}.amazonaws.com" for name in RIGHTS}


def test_who_may_invoke_functions(template: Template) -> None:
    """The HTTP API may invoke what its routes name; in production the control plane `live`."""
    api = f"arn:${{AWS::Partition}}:execute-api:{ACCOUNT}:${{HttpApi}}"
    permissions = {
        (
            text(permission["FunctionName"]),
            text(permission["Principal"]),
            text(permission.get("SourceArn", "")),
        )
        for permission in template.of("AWS::Lambda::Permission").values()
    }
    by_api = {
        (
            f"${{{route.function.replace('_', '')}.Arn}}",
            "apigateway.amazonaws.com",
            f"{api}/*/*{route.path}",
        )
        for route in (*ROUTES, DEFAULT)
    }
    caller = "arn:${AWS::Partition}:iam::${AWS::AccountId}:role/kiloclaw-control-plane"
    by_caller = {("${ControlPlaneLive}", caller, "")} if template.stage == "prod" else set()
    assert permissions == by_api | by_caller


@pytest.mark.parametrize("table", [TABLE, SESSIONS])
def test_the_networks_endpoint_leads_to_our_tables_alone(
    template: Template, table: str
) -> None:
    """The endpoint allows the operations that some function inside may call, and no other."""
    policy = list(statements(template.only("AWS::EC2::VPCEndpoint")["PolicyDocument"]))
    assert [texts(statement["Resource"]) for statement in policy] == [[TABLE], [SESSIONS]]
    [allowed] = [each["Action"] for each in policy if texts(each["Resource"]) == [table]]
    operations = {
        action
        for role, granted in rights(template).items()
        for action, resource, _ in granted
        if action.startswith("dynamodb:") and resource == table and role != "signinrole"
    }
    assert set(allowed) == operations


def test_queues_and_topic_refuse_calls_without_tls(template: Template) -> None:
    """Their own policies deny every call without TLS; that of the topic grants one right."""
    kinds = ("AWS::SQS::QueuePolicy", "AWS::SNS::TopicPolicy")
    policies = [policy for kind in kinds for policy in template.of(kind).values()]
    assert len(policies) == 4
    granted = []
    for policy in policies:
        [denied] = [
            statement
            for statement in statements(policy["PolicyDocument"])
            if statement["Effect"] == "Deny"
        ]
        assert denied["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
        granted += [each for each in statements(policy["PolicyDocument"]) if each != denied]
    # Amazon SNS Developer Guide, "Example cases for Amazon SNS access control".
    assert granted == [
        {
            "Sid": "AlarmsOfThisAccount",
            "Effect": "Allow",
            "Principal": {"Service": "cloudwatch.amazonaws.com"},
            "Action": "sns:Publish",
            "Resource": {"Ref": template.logical_id("MonitoringTopic")},
            "Condition": {"StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}},
        }
    ]


def test_every_alarm_reaches_the_topic(template: Template) -> None:
    """CloudWatch may use the key of the topic that each alarm notifies."""
    for alarm in template.of("AWS::CloudWatch::Alarm").values():
        assert texts(alarm["AlarmActions"]) == ["${MonitoringTopic}"]
    by_cloudwatch = [
        statement["Action"]
        for statement in statements(template.only("AWS::KMS::Key")["KeyPolicy"])
        if statement["Principal"] == {"Service": "cloudwatch.amazonaws.com"}
    ]
    assert {action for actions in by_cloudwatch for action in actions} >= {
        "kms:Decrypt",
        "kms:GenerateDataKey*",
    }


def test_the_scheduler_acts_for_one_group_of_schedules(template: Template) -> None:
    """EventBridge Scheduler User Guide, "Confused deputy prevention": a group, no schedule."""
    [statement] = statements(
        template.of("AWS::IAM::Role")["SchedulesRole"]["AssumeRolePolicyDocument"]
    )
    group = template.only("AWS::Scheduler::ScheduleGroup")
    assert group["Name"] == f"kiloclaw-{template.stage}"
    for schedule in template.of("AWS::Scheduler::Schedule").values():
        assert text(schedule["GroupName"]) == "${SchedulesGroup}"
    condition = statement["Condition"]["StringEquals"]
    assert {key: text(value) for key, value in condition.items()} == {
        "aws:SourceAccount": "${AWS::AccountId}",
        "aws:SourceArn": (
            f"arn:${{AWS::Partition}}:scheduler:{ACCOUNT}:schedule-group/${{SchedulesGroup}}"
        ),
    }


def test_step_functions_acts_for_this_account(template: Template) -> None:
    """AWS Step Functions Developer Guide, "Creating an IAM role for your state machine"."""
    [statement] = statements(
        template.of("AWS::IAM::Role")["ReleaseMachineRole"]["AssumeRolePolicyDocument"]
    )
    condition = statement["Condition"]
    assert text(condition["StringEquals"]["aws:SourceAccount"]) == "${AWS::AccountId}"
    machines = f"arn:${{AWS::Partition}}:states:{ACCOUNT}:stateMachine:*"
    assert text(condition["ArnLike"]["aws:SourceArn"]) == machines


@pytest.mark.parametrize(
    "user_id",
    ["ana", "oauth/google:114000741928328149731", "a/b/c", "o'brien@example.com", "*"],
)
def test_rights_on_instances_cover_every_user_id(user_id: str) -> None:
    """`*` stands for any text, slashes too: IAM User Guide, "IAM JSON policy elements:
    Condition operators", string condition operators.
    """
    keys = [key for key in FUNCTIONS["provisioning"].rights["PutItem"] if isinstance(key, str)]
    assert string_like(f"INSTANCE#{user_id}", keys)
    assert not string_like(f"IMAGE#{user_id}", keys)
    assert not string_like(f"XINSTANCE#{user_id}", keys)


def string_like(value: str, patterns: Iterable[str]) -> bool:
    """Compare as IAM's `StringLike` does: case counts, `*` is any text, `?` one character."""
    wildcards = {"*": ".*", "?": "."}
    return any(
        re.fullmatch("".join(wildcards.get(sign, re.escape(sign)) for sign in pattern), value)
        for pattern in patterns
    )
