"""The release step: `migrate` runs at each deployment, before any other function changes.

docs/decisions/0005-release-step.md says why it is a state machine.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from aws_cdk import ArnFormat, Aws, CfnResource, Duration, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_stepfunctions as stepfunctions
from constructs import Construct

from infra.aws.acknowledged import RUNTIME, acknowledge
from infra.aws.function import LambdaFunction
from infra.aws.logs import log_group
from infra.settings import Stage

SOURCE = Path(__file__).with_name("migration_resource.py")
SERVICE_TIMEOUT_SECONDS = 3_600
"""The longest that CloudFormation waits for a custom resource."""

ATTEMPT_SECONDS = 870
ANSWER_SECONDS = 180
PAUSE_SECONDS = 15
INVOKE = "arn:aws:states:::lambda:invoke"
DEFINITION: dict[str, Any] = {
    "Comment": "Migrate, again while that may help, and answer CloudFormation.",
    "StartAt": "Migrate",
    "TimeoutSeconds": SERVICE_TIMEOUT_SECONDS,
    "States": {
        "Migrate": {
            "Type": "Task",
            "Resource": INVOKE,
            "Parameters": {"FunctionName": "${Migrate}", "Payload": {}},
            "TimeoutSeconds": ATTEMPT_SECONDS,
            "ResultSelector": {"applied.$": "$.Payload.applied"},
            "ResultPath": "$.outcome",
            "Catch": [
                {"ErrorEquals": ["States.ALL"], "ResultPath": "$.outcome", "Next": "Finish"}
            ],
            "Next": "Finish",
        },
        "Finish": {
            "Type": "Task",
            "Resource": INVOKE,
            "Parameters": {"FunctionName": "${Finish}", "Payload.$": "$"},
            "ResultSelector": {"again.$": "$.Payload.again"},
            "ResultPath": "$.decision",
            "Retry": [
                {
                    "ErrorEquals": ["States.ALL"],
                    "IntervalSeconds": 5,
                    "MaxAttempts": 10,
                    "BackoffRate": 1,
                }
            ],
            "Next": "Again",
        },
        "Again": {
            "Type": "Choice",
            "Choices": [
                {"Variable": "$.decision.again", "BooleanEquals": True, "Next": "Pause"}
            ],
            "Default": "Answered",
        },
        "Pause": {"Type": "Wait", "Seconds": PAUSE_SECONDS, "Next": "Migrate"},
        "Answered": {"Type": "Succeed"},
    },
}
"""Amazon States Language. Step Functions waits for `migrate` without an open connection."""


class Release(Construct):
    """A resource that is made when `migrate` has succeeded; without it the deployment fails."""

    def __init__(
        self,
        scope: Construct,
        stage: Stage,
        migrate: LambdaFunction,
        provisioning: LambdaFunction,
        *,
        after: Iterable[Construct],
        before: Iterable[LambdaFunction],
    ) -> None:
        super().__init__(scope, "Release")
        self._name = f"kiloclaw-{stage.name}-release"
        self._migrate = migrate
        machine_arn = self._arn("states", "stateMachine", self._name)
        function = self._function(stage, machine_arn, provisioning)
        machine = self._machine(function)
        resource = CfnResource(
            self,
            "Migrated",
            type="Custom::Migrated",
            properties={
                "ServiceToken": function.function_arn,
                "ServiceTimeout": SERVICE_TIMEOUT_SECONDS,
                "StateMachine": machine.ref,
                "Provisioning": provisioning.full_name,
                # CloudFormation asks again only if a property has changed.
                "Packages": [migrate.package, provisioning.package],
                "Release": stage.release,
            },
        )
        resource.node.add_dependency(migrate, *after)
        for other in before:
            other.node.add_dependency(resource)

    def _function(
        self, stage: Stage, machine_arn: str, provisioning: LambdaFunction
    ) -> lambda_.Function:
        """Outside the network, because it answers CloudFormation."""
        log = log_group(self, stage, "Log", f"/aws/lambda/{self._name}")
        role = iam.Role(self, "Role", assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"))
        log.grant_write(role)
        # By name: the function itself is made after the release.
        versions_of = self._arn("lambda", "function", provisioning.full_name)
        for actions, resource in (
            (["states:StartExecution"], machine_arn),
            (["cloudformation:DescribeStacks"], Aws.STACK_ID),
            (["lambda:ListAliases", "lambda:ListVersionsByFunction"], versions_of),
            (["lambda:DeleteFunction"], f"{versions_of}:*"),
        ):
            role.add_to_policy(iam.PolicyStatement(actions=actions, resources=[resource]))
        reason = "It deletes versions, whose numbers are not known; never the function itself."
        account = "<AWS::Partition>:lambda:<AWS::Region>:<AWS::AccountId>"
        finding = f"IAM5[Resource::arn:{account}:function:{provisioning.full_name}:*]"
        acknowledge(role, {finding: reason})
        function = lambda_.Function(
            self,
            "Function",
            function_name=self._name,
            code=lambda_.Code.from_asset(str(SOURCE.parent), exclude=["*", f"!{SOURCE.name}"]),
            handler=f"{SOURCE.stem}.handler",
            runtime=lambda_.Runtime.PYTHON_3_13,
            architecture=lambda_.Architecture.ARM_64,
            timeout=Duration.seconds(ANSWER_SECONDS),
            role=role,
            log_group=log,
        )
        acknowledge(function, RUNTIME)
        return function

    def _machine(self, function: lambda_.Function) -> stepfunctions.CfnStateMachine:
        invoked = {"Migrate": self._migrate.function_arn, "Finish": function.function_arn}
        role = iam.Role(self, "MachineRole", assumed_by=_step_functions(self))
        role.add_to_policy(
            iam.PolicyStatement(
                actions=["lambda:InvokeFunction"], resources=[*invoked.values()]
            )
        )
        machine = stepfunctions.CfnStateMachine(
            self,
            "Machine",
            state_machine_name=self._name,
            role_arn=role.role_arn,
            definition=DEFINITION,
            definition_substitutions=invoked,
        )
        machine.node.add_dependency(role)
        history = "Each execution's history is kept by Step Functions for 90 days."
        acknowledge(machine, {"SF1": history, "SF2": history})
        return machine

    def _arn(self, service: str, resource: str, name: str) -> str:
        return Stack.of(self).format_arn(
            service=service,
            resource=resource,
            resource_name=name,
            arn_format=ArnFormat.COLON_RESOURCE_NAME,
        )


def _step_functions(scope: Construct) -> iam.ServicePrincipal:
    """Step Functions on behalf of this account's state machines, no other account's.

    AWS Step Functions Developer Guide, "Creating an IAM role for your state machine".
    """
    machines = Stack.of(scope).format_arn(
        service="states",
        resource="stateMachine",
        resource_name="*",
        arn_format=ArnFormat.COLON_RESOURCE_NAME,
    )
    return iam.ServicePrincipal(
        "states.amazonaws.com",
        conditions={
            "StringEquals": {"aws:SourceAccount": Aws.ACCOUNT_ID},
            "ArnLike": {"aws:SourceArn": machines},
        },
    )
