"""One construct for all functions: the same runtime, logs and network, minimal rights."""

from collections.abc import Mapping

from aws_cdk import ArnFormat, Duration, RemovalPolicy, Stack
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from infra.aws.acknowledged import RUNTIME, acknowledge, acknowledge_snap_start
from infra.aws.logs import log_group
from infra.aws.network import Network
from infra.functions import Function
from infra.packaging import code
from infra.settings import Stage

NETWORK_ACTIONS = [
    "ec2:AssignPrivateIpAddresses",
    "ec2:CreateNetworkInterface",
    "ec2:DeleteNetworkInterface",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeSubnets",
    "ec2:UnassignPrivateIpAddresses",
]
"""What Lambda does with the function's role to connect it to the network."""

ISOLATED = ec2.SubnetSelection(subnet_type=ec2.SubnetType.PRIVATE_ISOLATED)


class LambdaFunction(lambda_.Function):
    """A function of the list, deployed. The stack grants its rights on stores.

    Without a network it is on Lambda's own, from which the internet can be reached.
    """

    def __init__(
        self,
        scope: Construct,
        stage: Stage,
        entry: Function,
        network: Network | None,
        environment: Mapping[str, str],
    ) -> None:
        name = entry.name
        self.full_name = full_name = f"kiloclaw-{stage.name}-{name}"
        log = log_group(scope, stage, f"{name}_log", f"/aws/lambda/{full_name}")
        snap_start = entry.trigger == "control_plane" and not stage.provisioned_concurrency
        role = _role(scope, f"{name}_role")
        if network:
            _let_lambda_connect(role, full_name)
        log.grant_write(role)
        super().__init__(
            scope,
            name,
            function_name=full_name,
            code=code(name),
            handler=entry.handler,
            runtime=lambda_.Runtime.PYTHON_3_13,
            architecture=lambda_.Architecture.ARM_64,
            memory_size=stage.memory_mib.get(name, entry.memory_mib),
            timeout=Duration.seconds(entry.timeout_seconds),
            environment={
                "POWERTOOLS_METRICS_NAMESPACE": stage.metrics_namespace,
                "POWERTOOLS_SERVICE_NAME": name,
                **environment,
            },
            role=role,
            log_group=log,
            tracing=lambda_.Tracing.ACTIVE,
            vpc=network.vpc if network else None,
            vpc_subnets=ISOLATED if network else None,
            security_groups=[network.functions] if network else None,
            snap_start=lambda_.SnapStartConf.ON_PUBLISHED_VERSIONS if snap_start else None,
            # The alias may be moved back to a version, so it outlives its successor; but not a
            # failed deployment, or Lambda would refuse to publish the same code a second time.
            current_version_options=lambda_.VersionOptions(
                removal_policy=RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE
            ),
        )
        self.package = _package(self)
        acknowledge(self, RUNTIME)
        if snap_start:
            acknowledge_snap_start(self)


def _package(function: lambda_.Function) -> str:
    """Name the package, which holds its hash."""
    resource = function.node.default_child
    if not isinstance(resource, lambda_.CfnFunction):
        raise TypeError("expected a CfnFunction")
    return str(Stack.of(function).resolve(resource.code)["s3Key"])


def _role(scope: Construct, construct: str) -> iam.Role:
    """Make a role with which a function's code can do nothing yet."""
    role = iam.Role(scope, construct, assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"))
    acknowledge(
        role,
        {
            "IAM5[Resource::*]": "Network interfaces, which the code is denied, and traces "
            "have no names in advance."
        },
    )
    return role


def _let_lambda_connect(role: iam.Role, function: str) -> None:
    """Let Lambda attach the function to a network, and deny its code those rights.

    Lambda needs rights on all network interfaces, because they have no names in advance. A
    denial for calls that come from the function takes these rights from its code.
    https://docs.aws.amazon.com/lambda/latest/dg/configuration-vpc.html
    """
    arn = Stack.of(role).format_arn(
        service="lambda",
        resource="function",
        resource_name=function,
        arn_format=ArnFormat.COLON_RESOURCE_NAME,
    )
    role.add_to_policy(
        iam.PolicyStatement(sid="LambdaMayConnect", actions=NETWORK_ACTIONS, resources=["*"])
    )
    role.add_to_policy(
        iam.PolicyStatement(
            sid="CodeMayNot",
            effect=iam.Effect.DENY,
            actions=NETWORK_ACTIONS,
            resources=["*"],
            conditions={"ArnEquals": {"lambda:SourceFunctionArn": arn}},
        )
    )
