"""`migrate` runs at each deployment, before any other function changes."""

from collections.abc import Iterable
from pathlib import Path

from aws_cdk import CfnResource, Duration
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from infra.aws.acknowledged import RUNTIME, acknowledge
from infra.aws.database import CatalogDatabase
from infra.aws.function import LambdaFunction
from infra.aws.logs import log_group
from infra.settings import Stage

SOURCE = Path(__file__).with_name("migration_resource.py")
SECONDS = 900
"""The longest that Lambda lets a function run; `migrate` itself ends a minute before."""


class Release(Construct):
    """A resource that can't be made while `migrate` fails, so the deployment fails with it."""

    def __init__(
        self,
        scope: Construct,
        stage: Stage,
        migrate: LambdaFunction,
        catalog: CatalogDatabase,
        before: Iterable[LambdaFunction],
    ) -> None:
        super().__init__(scope, "Release")
        resource = CfnResource(
            self,
            "Migrated",
            type="Custom::Migrated",
            properties={
                "ServiceToken": self._invoker(stage, migrate).function_arn,
                "ServiceTimeout": SECONDS,
                "Function": migrate.function_name,
                "Release": stage.release,
            },
        )
        resource.node.add_dependency(migrate, catalog)
        for function in before:
            function.node.add_dependency(resource)

    def _invoker(self, stage: Stage, migrate: LambdaFunction) -> lambda_.Function:
        """Outside the network, for it answers to CloudFormation."""
        name = f"kiloclaw-{stage.name}-release"
        log = log_group(self, stage, "Log", f"/aws/lambda/{name}")
        role = iam.Role(self, "Role", assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"))
        log.grant_write(role)
        role.add_to_policy(
            iam.PolicyStatement(
                actions=["lambda:InvokeFunction"], resources=[migrate.function_arn]
            )
        )
        invoker = lambda_.Function(
            self,
            "Invoker",
            function_name=name,
            code=lambda_.Code.from_inline(SOURCE.read_text()),
            handler="index.handler",
            runtime=lambda_.Runtime.PYTHON_3_13,
            architecture=lambda_.Architecture.ARM_64,
            timeout=Duration.seconds(SECONDS),
            role=role,
            log_group=log,
        )
        acknowledge(invoker, RUNTIME)
        return invoker
