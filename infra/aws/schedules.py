"""`sync` runs every minute, and verifies the log daily; failures end in dead-letter queues."""

import json

from aws_cdk import ArnFormat, Aws, Duration, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_scheduler as scheduler
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from infra.aws.acknowledged import acknowledge
from infra.aws.function import LambdaFunction
from infra.functions import VERIFICATION
from infra.settings import Stage

STALE = Duration.minutes(5)


class Schedules(Construct):
    """The schedule, its group and the queues. Two runs are kept apart by the catalog's lock."""

    def __init__(self, scope: Construct, stage: Stage, function: LambdaFunction) -> None:
        super().__init__(scope, "Schedules")
        self.undelivered = self._dead_letters("Undelivered")
        self.failed = self._dead_letters("Failed")
        self._keep_failed_runs(function)
        self._schedule(stage, function)

    def _dead_letters(self, name: str) -> sqs.Queue:
        queue = sqs.Queue(
            self,
            name,
            encryption=sqs.QueueEncryption.SQS_MANAGED,
            enforce_ssl=True,
            retention_period=Duration.days(14),
        )
        acknowledge(queue, {"SQS3": "It is a dead-letter queue."})
        return queue

    def _keep_failed_runs(self, function: LambdaFunction) -> None:
        """Lambda makes three attempts in all before an event counts as failed."""
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

    def _schedule(self, stage: Stage, function: LambdaFunction) -> None:
        group = scheduler.CfnScheduleGroup(self, "Group", name=f"kiloclaw-{stage.name}")
        role = self._role(group, function)

        def invoke(id_: str, name: str, expression: str, payload: str | None = None) -> None:
            scheduler.CfnSchedule(
                self,
                id_,
                name=f"kiloclaw-{stage.name}-{name}",
                group_name=group.ref,
                schedule_expression=expression,
                flexible_time_window=scheduler.CfnSchedule.FlexibleTimeWindowProperty(
                    mode="OFF"
                ),
                target=scheduler.CfnSchedule.TargetProperty(
                    arn=function.function_arn,
                    role_arn=role.role_arn,
                    input=payload,
                    dead_letter_config=scheduler.CfnSchedule.DeadLetterConfigProperty(
                        arn=self.undelivered.queue_arn
                    ),
                    retry_policy=scheduler.CfnSchedule.RetryPolicyProperty(
                        maximum_event_age_in_seconds=STALE.to_seconds(),
                        maximum_retry_attempts=3,
                    ),
                ),
            )

        invoke("EveryMinute", "sync", "rate(1 minute)")
        invoke("Daily", "verify-audit", "rate(1 day)", json.dumps(VERIFICATION))

    def _role(self, group: scheduler.CfnScheduleGroup, function: LambdaFunction) -> iam.Role:
        """A role for schedules of this group alone.

        The condition must name a group: EventBridge Scheduler User Guide, "Confused deputy
        prevention", says not to scope it to a schedule.
        """
        arn = Stack.of(self).format_arn(
            service="scheduler",
            resource="schedule-group",
            resource_name=group.ref,
            arn_format=ArnFormat.SLASH_RESOURCE_NAME,
        )
        this_group = {"aws:SourceAccount": Aws.ACCOUNT_ID, "aws:SourceArn": arn}
        role = iam.Role(
            self,
            "Role",
            assumed_by=iam.ServicePrincipal(
                "scheduler.amazonaws.com", conditions={"StringEquals": this_group}
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
