"""The clock: `sync` every minute, and what becomes of runs that fail."""

from aws_cdk import ArnFormat, Aws, Duration, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_scheduler as scheduler
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from infra.aws.acknowledged import acknowledge
from infra.aws.function import LambdaFunction
from infra.settings import Stage

STALE = Duration.minutes(5)


class Schedules(Construct):
    """Nothing keeps two runs apart but the lock that they take in the catalog."""

    def __init__(self, scope: Construct, stage: Stage, function: LambdaFunction) -> None:
        super().__init__(scope, "Schedule")
        self.undelivered = self._dead_letters("Undelivered")
        self.failed = self._dead_letters("Failed")
        self._keep_failed_runs(function)
        self._schedule(f"kiloclaw-{stage.name}-sync", function)

    def _dead_letters(self, name: str) -> sqs.Queue:
        queue = sqs.Queue(
            self,
            name,
            encryption=sqs.QueueEncryption.SQS_MANAGED,
            enforce_ssl=True,
            retention_period=Duration.days(14),
        )
        acknowledge(queue, {"SQS3": "It is a dead-letter queue itself."})
        return queue

    def _keep_failed_runs(self, function: LambdaFunction) -> None:
        """Lambda tries an event three times in all."""
        function.add_to_role_policy(_sends_to(self.failed))
        lambda_.CfnEventInvokeConfig(
            self,
            "Runs",
            function_name=function.function_name,
            qualifier="$LATEST",
            maximum_retry_attempts=2,
            maximum_event_age_in_seconds=STALE.to_seconds(),
            destination_config=lambda_.CfnEventInvokeConfig.DestinationConfigProperty(
                on_failure=lambda_.CfnEventInvokeConfig.OnFailureProperty(
                    destination=self.failed.queue_arn
                )
            ),
        ).node.add_dependency(function.role or function)

    def _schedule(self, name: str, function: LambdaFunction) -> None:
        scheduler.CfnSchedule(
            self,
            "EveryMinute",
            name=name,
            schedule_expression="rate(1 minute)",
            flexible_time_window=scheduler.CfnSchedule.FlexibleTimeWindowProperty(mode="OFF"),
            target=scheduler.CfnSchedule.TargetProperty(
                arn=function.function_arn,
                role_arn=self._role(name, function).role_arn,
                dead_letter_config=scheduler.CfnSchedule.DeadLetterConfigProperty(
                    arn=self.undelivered.queue_arn
                ),
                retry_policy=scheduler.CfnSchedule.RetryPolicyProperty(
                    maximum_event_age_in_seconds=STALE.to_seconds(), maximum_retry_attempts=3
                ),
            ),
        )

    def _role(self, name: str, function: LambdaFunction) -> iam.Role:
        """For this schedule alone, whoever else may make schedules."""
        arn = Stack.of(self).format_arn(
            service="scheduler",
            resource="schedule",
            resource_name=f"default/{name}",
            arn_format=ArnFormat.SLASH_RESOURCE_NAME,
        )
        mine = {"aws:SourceAccount": Aws.ACCOUNT_ID, "aws:SourceArn": arn}
        role = iam.Role(
            self,
            "Role",
            assumed_by=iam.ServicePrincipal(
                "scheduler.amazonaws.com", conditions={"StringEquals": mine}
            ),
        )
        role.add_to_policy(
            iam.PolicyStatement(
                actions=["lambda:InvokeFunction"], resources=[function.function_arn]
            )
        )
        role.add_to_policy(_sends_to(self.undelivered))
        return role


def _sends_to(queue: sqs.Queue) -> iam.PolicyStatement:
    return iam.PolicyStatement(actions=["sqs:SendMessage"], resources=[queue.queue_arn])
