"""What must hold of single resources: sizes, encryption, backups, nothing public."""

from typing import Any

import pytest

from infra.functions import FUNCTIONS
from tests.support.templates import CONTEXT, Template, text

DATABASE, TABLE = "AWS::RDS::DBInstance", "AWS::DynamoDB::Table"
PROXY, POOL = "AWS::RDS::DBProxy", "AWS::Cognito::UserPool"
STAGE = "AWS::ApiGatewayV2::Stage"
TARGETS = "AWS::RDS::DBProxyTargetGroup"


@pytest.mark.parametrize(
    ("kind", "path", "dev", "prod"),
    [
        (DATABASE, "EngineVersion", "17", "17"),
        (DATABASE, "StorageEncrypted", True, True),
        (DATABASE, "PubliclyAccessible", False, False),
        (DATABASE, "EnableIAMDatabaseAuthentication", True, True),
        (DATABASE, "MasterUserAuthenticationType", "iam-db-auth", "iam-db-auth"),
        (DATABASE, "MasterUserPassword", None, None),
        (DATABASE, "MultiAZ", False, True),
        (DATABASE, "DeletionProtection", False, True),
        (DATABASE, "BackupRetentionPeriod", 1, 35),
        (DATABASE, "CopyTagsToSnapshot", True, True),
        ("AWS::RDS::DBParameterGroup", "Parameters/rds.force_ssl", "1", "1"),
        ("AWS::RDS::DBParameterGroup", "Parameters/log_error_verbosity", "terse", "terse"),
        (PROXY, "RequireTLS", True, True),
        (PROXY, "DefaultAuthScheme", "IAM_AUTH", "IAM_AUTH"),
        (PROXY, "Auth", None, None),
        (PROXY, "DebugLogging", None, None),
        (TARGETS, "ConnectionPoolConfigurationInfo/ConnectionBorrowTimeout", 1, 1),
        (TABLE, "BillingMode", "PAY_PER_REQUEST", "PAY_PER_REQUEST"),
        (TABLE, "SSESpecification/SSEEnabled", True, True),
        (TABLE, "PointInTimeRecoverySpecification/PointInTimeRecoveryEnabled", True, True),
        (TABLE, "PointInTimeRecoverySpecification/RecoveryPeriodInDays", 35, 35),
        (TABLE, "DeletionProtectionEnabled", False, True),
        (POOL, "AdminCreateUserConfig/AllowAdminCreateUserOnly", True, True),
        (POOL, "DeletionProtection", "INACTIVE", "ACTIVE"),
        (POOL, "MfaConfiguration", "OPTIONAL", "ON"),
        (POOL, "EnabledMfas", ["SOFTWARE_TOKEN_MFA"], ["SOFTWARE_TOKEN_MFA"]),
        (STAGE, "StageName", "$default", "$default"),
        (STAGE, "DefaultRouteSettings/ThrottlingRateLimit", 20, 100),
        (STAGE, "DefaultRouteSettings/ThrottlingBurstLimit", 40, 200),
        ("AWS::SNS::Topic", "KmsMasterKeyId/Fn::GetAtt/1", "Arn", "Arn"),
        ("AWS::KMS::Key", "EnableKeyRotation", True, True),
        ("AWS::Lambda::EventInvokeConfig", "MaximumRetryAttempts", 2, 2),
    ],
)
def test_a_property(
    template: Template, kind: str, path: str, dev: object, prod: object
) -> None:
    """As it is meant, in each stage."""
    found: Any = template.only(kind)
    for step in path.split("/"):
        found = found[int(step)] if step.isdigit() else found.get(step)
    assert found == {"dev": dev, "prod": prod}[template.stage]


@pytest.mark.parametrize(
    ("kind", "policy"),
    [
        (TABLE, "RetainExceptOnCreate"),
        (POOL, "RetainExceptOnCreate"),
        (DATABASE, "Snapshot"),
        ("AWS::Logs::LogGroup", "RetainExceptOnCreate"),
    ],
)
def test_what_has_content_outlives_a_protected_stack(
    template: Template, kind: str, policy: str
) -> None:
    """And is thrown away with one that is made for it."""
    policies = {
        resource["DeletionPolicy"]
        for resource in template.resources.values()
        if resource["Type"] == kind
    }
    assert policies == {policy if template.stage == "prod" else "Delete"}


def test_functions_are_sized_as_the_stage_says(template: Template) -> None:
    """One runtime and processor; memory of the list unless cdk.json says otherwise."""
    memory = CONTEXT["stages"][template.stage].get("memory_mib", {})
    for name, function in template.functions().items():
        assert function["MemorySize"] == memory.get(name, FUNCTIONS[name].memory_mib)
        assert (function["Runtime"], function["Architectures"]) == ("python3.13", ["arm64"])
        assert function["TracingConfig"] == {"Mode": "Active"}
        assert "ReservedConcurrentExecutions" not in function


def test_every_log_ends_and_belongs_to_something(template: Template) -> None:
    """What writes a log has its group made here, so that none is kept for ever."""
    groups = template.of("AWS::Logs::LogGroup")
    days = {group["RetentionInDays"] for group in groups.values()}
    assert days == {CONTEXT["stages"][template.stage]["log_days"]}
    names = {group["LogGroupName"] for group in groups.values()}
    functions = template.of("AWS::Lambda::Function").values()
    assert names == {
        *(f"/aws/lambda/{function['FunctionName']}" for function in functions),
        f"/aws/rds/proxy/kiloclaw-{template.stage}",
        f"/aws/vendedlogs/kiloclaw-{template.stage}-api",
    }


def test_nothing_comes_in_from_outside_nor_leaves(template: Template) -> None:
    """No address is let in, no gateway leads out, all that functions reach is inside."""
    kinds = {resource["Type"] for resource in template.resources.values()}
    assert not kinds & {
        "AWS::EC2::InternetGateway",
        "AWS::EC2::NatGateway",
        "AWS::EC2::EIP",
        "AWS::EC2::Route",
    }
    for group in template.of("AWS::EC2::SecurityGroup").values():
        assert "SecurityGroupIngress" not in group
    for rule in template.of("AWS::EC2::SecurityGroupIngress").values():
        assert "CidrIp" not in rule
        assert text(rule["FromPort"]) in {"5432", "${CatalogDatabase.Endpoint.Port}"}
        assert rule["FromPort"] == rule["ToPort"]
    for subnet in template.of("AWS::EC2::Subnet").values():
        assert subnet["MapPublicIpOnLaunch"] is False


def test_ways_through_the_network(template: Template) -> None:
    """Functions → proxy → database, on PostgreSQL's port."""
    ways = {
        (text(rule["SourceSecurityGroupId"]), text(rule["GroupId"]))
        for rule in template.of("AWS::EC2::SecurityGroupIngress").values()
    }
    functions, proxy, database = (
        f"${{Network{name}.GroupId}}" for name in ("Functions", "Proxy", "Database")
    )
    assert ways == {(functions, proxy), (proxy, database)}


def test_dead_letters_are_kept_encrypted(template: Template) -> None:
    """For two weeks, the runs that failed and those that were not delivered."""
    queues = template.of("AWS::SQS::Queue")
    assert set(queues) == {"ScheduleFailed", "ScheduleUndelivered"}
    for queue in queues.values():
        assert queue["SqsManagedSseEnabled"] is True
        assert queue["MessageRetentionPeriod"] == 14 * 24 * 3600


def test_access_logs_name_nobody(template: Template) -> None:
    """Route key, status and request id: a path would hold a user's id."""
    settings = template.only(STAGE)["AccessLogSettings"]
    assert settings["Format"] == (
        '{"route": "$context.routeKey", "status": "$context.status",'
        ' "request_id": "$context.requestId"}'
    )


def test_people_and_pipelines_sign_in_their_own_way(template: Template) -> None:
    """Code with PKCE without a secret; client credentials with the one scope."""
    clients = template.of("AWS::Cognito::UserPoolClient")
    people = clients["GatewaySignInPoolPeople"]
    pipeline = clients["GatewaySignInPoolPipeline"]
    assert people["AllowedOAuthFlows"] == ["code"]
    assert people["AllowedOAuthScopes"] == ["openid", "email"]
    assert people["GenerateSecret"] is False
    assert pipeline["AllowedOAuthFlows"] == ["client_credentials"]
    assert [text(scope) for scope in pipeline["AllowedOAuthScopes"]] == [
        "${GatewaySignInPoolApi}/publisher"
    ]
    assert pipeline["GenerateSecret"] is True
    groups = template.of("AWS::Cognito::UserPoolGroup").values()
    assert {group["GroupName"] for group in groups} == {"viewer", "publisher", "admin"}
    [email] = template.only(POOL)["Schema"]
    assert email == {"Mutable": False, "Name": "email", "Required": True}


def test_migrations_come_before_every_change(template: Template) -> None:
    """The others wait for the run; the run waits for its function and for the proxy."""
    resources = template.resources
    [run] = [key for key in resources if resources[key]["Type"] == "Custom::Migrated"]
    functions = {
        resource["Properties"]["FunctionName"].rpartition("-")[2]: (key, resource)
        for key, resource in resources.items()
        if resource["Type"] == "AWS::Lambda::Function"
    }
    for name in ("admin_api", "provisioning", "sync"):
        assert run in functions[name][1]["DependsOn"]
    waits_for = resources[run]["DependsOn"]
    assert functions["migrate"][0] in waits_for
    assert [key for key in waits_for if resources[key]["Type"] == TARGETS]
    assert resources[run]["Properties"]["ServiceTimeout"] == 900
