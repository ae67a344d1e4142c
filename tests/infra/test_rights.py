"""Least privilege: who may do what, named one by one, and nobody anything else."""

from typing import Any

import pytest

from tests.support.templates import Template, name_of, statements, text, texts

Right = tuple[str, str, tuple[str, ...]]
"""An action, a resource, and the partition keys that it is limited to."""

TABLE = "${KVTable.Arn}"
INDEX = f"{TABLE}/index/instances_by_image"
ACCOUNT = "${AWS::Region}:${AWS::AccountId}"
PROXY = f"arn:${{AWS::Partition}}:rds-db:{ACCOUNT}:dbuser:${{CatalogProxy.DBProxyArn}}[:6]"
INSTANCE = f"arn:${{AWS::Partition}}:rds-db:{ACCOUNT}:dbuser:${{CatalogDatabase.DbiResourceId}}"
ROLES = ("admin_api", "migrate", "provisioning", "sync")
NETWORK = {
    ("ec2:AssignPrivateIpAddresses", "*", ()),
    ("ec2:CreateNetworkInterface", "*", ()),
    ("ec2:DeleteNetworkInterface", "*", ()),
    ("ec2:DescribeNetworkInterfaces", "*", ()),
    ("ec2:DescribeSubnets", "*", ()),
    ("ec2:UnassignPrivateIpAddresses", "*", ()),
}
TRACES = {("xray:PutTelemetryRecords", "*", ()), ("xray:PutTraceSegments", "*", ())}


def kv(operation: str, *keys: str) -> Right:
    return (f"dynamodb:{operation}", TABLE, keys)


def writes_log(group: str) -> set[Right]:
    return {
        ("logs:CreateLogStream", f"${{{group}.Arn}}", ()),
        ("logs:PutLogEvents", f"${{{group}.Arn}}", ()),
    }


def function(name: str, *own: Right) -> set[Right]:
    """What every function may, and what this one may besides."""
    log = f"{name.replace('_', '')}log"
    connects = ("rds-db:connect", f"{PROXY}/kiloclaw_{name}", ())
    return {*NETWORK, *TRACES, *writes_log(log), connects, *own}


RIGHTS: dict[str, set[Right]] = {
    "migraterole": function("migrate", ("rds-db:connect", f"{PROXY}/kiloclaw_master", ())),
    "provisioningrole": function(
        "provisioning",
        kv("BatchGetItem", "IMAGE", "POINTER", "INSTANCE#*"),
        kv("PutItem", "INSTANCE#*"),
        kv("DeleteItem", "INSTANCE#*"),
    ),
    "syncrole": function(
        "sync",
        kv("Query", "IMAGE", "POINTER"),
        kv("BatchGetItem", "IMAGE", "POINTER"),
        kv("PutItem", "IMAGE", "DIGEST", "POINTER"),
        kv("UpdateItem", "IMAGE"),
        ("sqs:SendMessage", "${ScheduleFailed.Arn}", ()),
    ),
    "adminapirole": function(
        "admin_api",
        kv("Query", "IMAGE", "POINTER"),
        kv("BatchGetItem", "IMAGE", "DIGEST", "POINTER", "INSTANCE#*"),
        kv("PutItem", "IMAGE", "DIGEST", "POINTER"),
        kv("UpdateItem", "IMAGE"),
        kv("DeleteItem", "IMAGE", "DIGEST", "INSTANCE#*"),
        ("dynamodb:Query", INDEX, ()),
        ("dynamodb:Scan", INDEX, ()),
    ),
    "CatalogProxyRole": {
        ("rds-db:connect", f"{INSTANCE}/kiloclaw_{name}", ()) for name in (*ROLES, "master")
    },
    "ReleaseRole": writes_log("ReleaseLog") | {("lambda:InvokeFunction", "${migrate.Arn}", ())},
    "ScheduleRole": {
        ("lambda:InvokeFunction", "${sync.Arn}", ()),
        ("sqs:SendMessage", "${ScheduleUndelivered.Arn}", ()),
    },
}


def rights(template: Template, effect: str = "Allow") -> dict[str, set[Right]]:
    """By role; a policy that is not a role's, or not in the template, is an error."""
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
        [(operator, limits)] = statement["Condition"].items()
        assert operator == "ForAllValues:StringLike"
        assert set(limits) == {"dynamodb:LeadingKeys"}
        keys = tuple(texts(limits["dynamodb:LeadingKeys"]))
    return {
        (action, resource, keys)
        for action in texts(statement["Action"])
        for resource in texts(statement["Resource"])
    }


def test_every_role_has_exactly_what_it_uses(template: Template) -> None:
    """Action by action, resource by resource, key by key: a grant more or less fails."""
    assert rights(template) == RIGHTS


def test_nothing_else_grants_a_role_anything(template: Template) -> None:
    """No managed policy, none inside a role, no user or group; each role is known."""
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
    """Network interfaces and traces alone are granted without a name."""
    for granted in rights(template).values():
        assert not [action for action, _, _ in granted if "*" in action]
        assert {right for right in granted if "*" in right[1]} <= NETWORK | TRACES


@pytest.mark.parametrize("name", ROLES)
def test_code_is_denied_the_network(template: Template, name: str) -> None:
    """What Lambda needs to place a function, the function itself may not do."""
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
    """And the scheduler's for the one schedule."""
    trusted = {}
    for name, role in template.of("AWS::IAM::Role").items():
        [statement] = statements(role["AssumeRolePolicyDocument"])
        assert statement["Action"] == "sts:AssumeRole"
        trusted[name] = statement["Principal"]["Service"]
        assert ("Condition" in statement) == (name == "ScheduleRole")
    service = {"CatalogProxyRole": "rds", "ScheduleRole": "scheduler"}
    assert trusted == {name: f"{service.get(name, 'lambda')}.amazonaws.com" for name in RIGHTS}


def test_who_may_invoke_functions(template: Template) -> None:
    """The API the admin API, by its routes; in production the control plane `live`."""
    api = f"arn:${{AWS::Partition}}:execute-api:{ACCOUNT}:${{GatewayApi}}"
    permissions = {
        (
            text(permission["FunctionName"]),
            text(permission["Principal"]),
            text(permission.get("SourceArn", "")),
        )
        for permission in template.of("AWS::Lambda::Permission").values()
    }
    by_api = {
        ("${adminapi.Arn}", "apigateway.amazonaws.com", f"{api}/*/*{path}")
        for path in ("", "/v1", "/v1/{proxy+}")
    }
    caller = "arn:${AWS::Partition}:iam::${AWS::AccountId}:role/kiloclaw-control-plane"
    by_caller = {("${ControlPlaneLive}", caller, "")} if template.stage == "prod" else set()
    assert permissions == by_api | by_caller


def test_the_networks_endpoint_leads_to_our_table_alone(template: Template) -> None:
    """With the operations that some function has, and no other."""
    [statement] = statements(template.only("AWS::EC2::VPCEndpoint")["PolicyDocument"])
    operations = {
        action
        for granted in rights(template).values()
        for action, _, _ in granted
        if action.startswith("dynamodb:")
    }
    assert set(statement["Action"]) == operations
    assert set(texts(statement["Resource"])) == {TABLE, INDEX}


def test_queues_and_topic_take_nothing_in_the_clear(template: Template) -> None:
    """Their own policies grant nothing: they deny whoever comes without TLS."""
    kinds = ("AWS::SQS::QueuePolicy", "AWS::SNS::TopicPolicy")
    policies = [policy for kind in kinds for policy in template.of(kind).values()]
    assert len(policies) == 3
    for policy in policies:
        for statement in statements(policy["PolicyDocument"]):
            assert statement["Effect"] == "Deny"
            assert statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
