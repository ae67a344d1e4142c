"""Properties of single resources: sizes, encryption, backups, nothing public."""

import re
from collections.abc import Callable
from pathlib import Path
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
        (DATABASE, "DBInstanceClass", "db.t4g.small", "db.m7g.large"),
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
    """The property has this value in each stage."""
    found: Any = template.of(kind)["KVTable"] if kind == TABLE else template.only(kind)
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
    """In a stage that is not protected it is deleted with the stack."""
    policies = {
        resource["DeletionPolicy"]
        for logical_id, resource in template.resources.items()
        if resource["Type"] == kind and not logical_id.startswith("Sessions")
    }
    assert policies == {policy if template.stage == "prod" else "Delete"}


def test_functions_are_sized_as_the_stage_says(template: Template) -> None:
    """Memory is that of the list unless cdk.json says otherwise; all share one runtime."""
    memory = CONTEXT["stages"][template.stage].get("memory_mib", {})
    for name, function in template.functions().items():
        assert function["MemorySize"] == memory.get(name, FUNCTIONS[name].memory_mib)
        assert (function["Runtime"], function["Architectures"]) == ("python3.13", ["arm64"])
        assert function["TracingConfig"] == {"Mode": "Active"}
        assert "ReservedConcurrentExecutions" not in function


def test_every_log_ends_and_belongs_to_something(template: Template) -> None:
    """Each log group is made by the stack, with an end, so none is kept for ever."""
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
    """No address outside is let in, and no gateway leads out."""
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


def test_the_database_is_reached_by_its_proxy_only(template: Template) -> None:
    """Functions may connect to the proxy, and the proxy to the database."""
    ways = {
        (text(rule["SourceSecurityGroupId"]), text(rule["GroupId"]))
        for rule in template.of("AWS::EC2::SecurityGroupIngress").values()
    }
    functions, proxy, database = (
        f"${{Network{name}.GroupId}}" for name in ("Functions", "Proxy", "Database")
    )
    assert ways == {(functions, proxy), (proxy, database)}


def test_sessions_end_and_are_not_backed_up(template: Template) -> None:
    """In no stage: a restored backup would bring sessions back that people have ended."""
    table = template.of(TABLE)["SessionsTable"]
    assert table["TimeToLiveSpecification"] == {"AttributeName": "expires_at", "Enabled": True}
    assert "PointInTimeRecoverySpecification" not in table
    assert "DeletionProtectionEnabled" not in table
    [resource] = [
        resource for key, resource in template.resources.items() if key.startswith("Sessions")
    ]
    assert resource["DeletionPolicy"] == "Delete"


def test_dead_letters_are_kept_encrypted(template: Template) -> None:
    """What failed and what was not delivered is kept for two weeks."""
    queues = template.of("AWS::SQS::Queue")
    assert set(queues) == {"FleetStreamFailed", "SchedulesFailed", "SchedulesUndelivered"}
    for queue in queues.values():
        assert queue["SqsManagedSseEnabled"] is True
        assert queue["MessageRetentionPeriod"] == 14 * 24 * 3600


def test_access_logs_name_nobody(template: Template) -> None:
    """They hold route key, status and request id; a path could hold a user id."""
    settings = template.only(STAGE)["AccessLogSettings"]
    assert settings["Format"] == (
        '{"route": "$context.routeKey", "status": "$context.status",'
        ' "request_id": "$context.requestId"}'
    )


def test_people_and_pipelines_sign_in_their_own_way(template: Template) -> None:
    """People use an authorization code and no secret; a pipeline a secret and one scope."""
    clients = template.of("AWS::Cognito::UserPoolClient")
    people = clients["HttpApiUserPoolPeople"]
    pipeline = clients["HttpApiUserPoolPipeline"]
    assert people["AllowedOAuthFlows"] == ["code"]
    assert people["AllowedOAuthScopes"] == ["openid", "email"]
    assert people["GenerateSecret"] is False
    # Nobody may sign in through the user pool's API by the flows that Cognito adds by itself.
    assert people["ExplicitAuthFlows"] == ["ALLOW_USER_SRP_AUTH", "ALLOW_REFRESH_TOKEN_AUTH"]
    assert pipeline["ExplicitAuthFlows"] == ["ALLOW_REFRESH_TOKEN_AUTH"]
    assert pipeline["AllowedOAuthFlows"] == ["client_credentials"]
    assert [text(scope) for scope in pipeline["AllowedOAuthScopes"]] == [
        "${HttpApiUserPoolApi}/publisher"
    ]
    assert pipeline["GenerateSecret"] is True
    groups = template.of("AWS::Cognito::UserPoolGroup").values()
    assert {group["GroupName"] for group in groups} == {"viewer", "publisher", "admin"}
    [email] = template.only(POOL)["Schema"]
    assert email == {"Mutable": False, "Name": "email", "Required": True}


def test_the_console_has_a_client_of_its_own(template: Template) -> None:
    """A code with PKCE and no secret; the API takes none of its tokens."""
    console = template.of("AWS::Cognito::UserPoolClient")["HttpApiUserPoolConsole"]
    assert console["AllowedOAuthFlows"] == ["code"]
    assert console["AllowedOAuthScopes"] == ["openid", "email"]
    assert console["GenerateSecret"] is False
    assert console["ExplicitAuthFlows"] == ["ALLOW_USER_SRP_AUTH", "ALLOW_REFRESH_TOKEN_AUTH"]
    assert console["PreventUserExistenceErrors"] == "ENABLED"
    assert [text(url) for url in console["CallbackURLs"]] == [
        "${HttpApi.ApiEndpoint}/console/signed-in"
    ]
    assert [text(url) for url in console["LogoutURLs"]] == [
        "${HttpApi.ApiEndpoint}/console/sign-out"
    ]
    audience = template.only("AWS::ApiGatewayV2::Authorizer")["JwtConfiguration"]["Audience"]
    assert "${HttpApiUserPoolConsole}" not in [text(client) for client in audience]
    # Managed login would need a branding for each client.
    assert template.only("AWS::Cognito::UserPoolDomain")["ManagedLoginVersion"] == 1


def test_sign_in_knows_the_issuer(template: Template) -> None:
    """Its addresses are those of the stack's own user pool, never a request's."""
    variables = template.functions()["sign_in"]["Environment"]["Variables"]
    assert text(variables["ISSUER_URL"]) == "${HttpApiUserPool.ProviderURL}"
    assert text(variables["CLIENT_ID"]) == "${HttpApiUserPoolConsole}"
    assert text(variables["CONSOLE_ORIGIN"]) == "${HttpApi.ApiEndpoint}"
    assert text(variables["SIGN_OUT_URL"]).startswith("https://${HttpApiUserPoolDomain}.auth.")
    assert text(variables["SIGN_OUT_URL"]).endswith(".amazoncognito.com/logout")


def test_migrations_come_before_every_change(template: Template) -> None:
    """Other functions wait for the release step, and that for network, proxy and `migrate`."""
    resources = template.resources
    [run] = [key for key in resources if resources[key]["Type"] == "Custom::Migrated"]
    functions = {
        resource["Properties"]["FunctionName"].rpartition("-")[2]: (key, resource)
        for key, resource in resources.items()
        if resource["Type"] == "AWS::Lambda::Function"
    }
    for name in FUNCTIONS.keys() - {"migrate"}:
        assert run in functions[name][1]["DependsOn"]
    waits_for = resources[run]["DependsOn"]
    assert functions["migrate"][0] in waits_for
    assert [key for key in waits_for if resources[key]["Type"] == TARGETS]
    kinds = {resources[key]["Type"] for key in waits_for}
    assert kinds >= {
        "AWS::EC2::SecurityGroupIngress",
        "AWS::EC2::SubnetRouteTableAssociation",
        "AWS::EC2::VPCEndpoint",
        "AWS::Lambda::Function",
        TARGETS,
    }


def test_a_new_package_migrates_by_itself(template: Template) -> None:
    """CloudFormation asks for a release if a package has changed, also without `release`."""
    packages = {
        name: function["Code"]["S3Key"] for name, function in template.functions().items()
    }
    asked = template.only("Custom::Migrated")
    assert asked["Packages"] == [packages["migrate"], packages["provisioning"]]
    assert asked["Release"] == "none"


def test_a_version_does_not_outlive_a_failed_deployment(template: Template) -> None:
    """Else Lambda would refuse to publish the same code again: AWS CloudFormation Template
    Reference, "DeletionPolicy attribute", `RetainExceptOnCreate`.
    """
    versions = [
        resource
        for resource in template.resources.values()
        if resource["Type"] == "AWS::Lambda::Version"
    ]
    assert versions
    for version in versions:
        assert version["DeletionPolicy"] == "RetainExceptOnCreate"
        assert version["UpdateReplacePolicy"] == "Retain"


def test_the_network_is_in_the_zones_of_the_stage(template: Template) -> None:
    """cdk.json names two, because RDS Proxy is not offered in every zone."""
    zones = [subnet["AvailabilityZone"] for subnet in template.of("AWS::EC2::Subnet").values()]
    assert zones == CONTEXT["stages"][template.stage]["availability_zones"]
    assert len(set(zones)) == 2


def test_metrics_are_those_of_the_stage(template: Template) -> None:
    """Functions, alarms and dashboard agree on one namespace, which no other stage uses."""
    namespace = f"KiloClaw/{template.stage}"
    for function in template.functions().values():
        variables = function["Environment"]["Variables"]["POWERTOOLS_METRICS_NAMESPACE"]
        assert variables == namespace
    alarms = list(template.of("AWS::CloudWatch::Alarm").values())
    plain = [alarm["Namespace"] for alarm in alarms if "Namespace" in alarm]
    summed = [
        metric["MetricStat"]["Metric"]["Namespace"]
        for alarm in alarms
        for metric in alarm.get("Metrics", [])
        if "MetricStat" in metric
    ]
    own = {name for name in (*plain, *summed) if not name.startswith("AWS/")}
    assert own == {namespace}
    [board] = template.of("AWS::CloudWatch::Dashboard").values()
    body = text(board["DashboardBody"])
    assert set(re.findall(r'"(KiloClaw[^"]*)"', body)) == {namespace}


def test_alarms_know_open_findings_and_store_errors(template: Template) -> None:
    """Findings are a gauge; errors of a store are summed over the functions that use it."""
    alarms = template.of("AWS::CloudWatch::Alarm")
    findings = alarms["MonitoringAlarmsOpenFindings"]
    assert (findings["MetricName"], findings["Statistic"]) == ("OpenFindings", "Maximum")
    people = {"admin_api", "console"}
    for name, users in {
        "CatalogErrors": people | {"provisioning", "sync"},
        "KVErrors": people | {"provisioning", "sync"},
        "SessionErrors": {"console", "sign_in"},
    }.items():
        metrics = alarms[f"MonitoringAlarms{name}"]["Metrics"]
        summed = {
            metric["MetricStat"]["Metric"]["Dimensions"][0]["Value"]
            for metric in metrics
            if "MetricStat" in metric
        }
        assert summed == users


def test_every_alarm_is_explained(template: Template) -> None:
    """docs/operations.md has a row for each, and counts what alarms cost."""
    document = Path("docs/operations.md").read_text()
    names = re.findall(r"^\| `([^`]+)`", document, re.MULTILINE)
    alarms = template.of("AWS::CloudWatch::Alarm").values()
    unexplained = [
        alarm["AlarmDescription"]
        for alarm in alarms
        if not alarm["AlarmDescription"].startswith(tuple(names))
    ]
    assert unexplained == []
    metrics = sum(
        len([each for each in alarm.get("Metrics", []) if "MetricStat" in each]) or 1
        for alarm in alarms
    )
    assert f"alarms: {metrics} metrics" in document


def test_nothing_of_a_stage_that_is_thrown_away_stays(
    template_of: Callable[[str], Template],
) -> None:
    """In `dev` only published versions are retained, which go with their function."""
    retained = {
        resource["Type"]
        for resource in template_of("dev").resources.values()
        if resource.get("DeletionPolicy", "Delete") != "Delete"
    }
    assert retained == {"AWS::Lambda::Version"}
