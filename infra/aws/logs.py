"""Log groups, each with the number of days that its entries are kept."""

from typing import Final

from aws_cdk import RemovalPolicy
from aws_cdk import aws_logs as logs
from constructs import Construct

from infra.settings import LogDays, Stage

RETENTION: Final[dict[LogDays, logs.RetentionDays]] = {
    7: logs.RetentionDays.ONE_WEEK,
    14: logs.RetentionDays.TWO_WEEKS,
    30: logs.RetentionDays.ONE_MONTH,
    60: logs.RetentionDays.TWO_MONTHS,
    90: logs.RetentionDays.THREE_MONTHS,
    180: logs.RetentionDays.SIX_MONTHS,
    365: logs.RetentionDays.ONE_YEAR,
}


def log_group(scope: Construct, stage: Stage, construct: str, name: str) -> logs.LogGroup:
    """Make a log group. CloudWatch encrypts it with a key of its own."""
    return logs.LogGroup(
        scope,
        construct,
        log_group_name=name,
        retention=RETENTION[stage.log_days],
        removal_policy=kept(stage),
    )


def kept(stage: Stage) -> RemovalPolicy:
    """Say whether a resource with content outlives its stack.

    In a protected stage it does, unless the deployment that made it fails; else it goes.
    """
    if stage.protected:
        return RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE
    return RemovalPolicy.DESTROY
