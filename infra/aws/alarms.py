"""What wakes people: one alarm for each thing that docs/operations.md says what to do about."""

from collections.abc import Mapping
from dataclasses import dataclass

from aws_cdk import Duration
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_rds as rds
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sqs as sqs
from constructs import Construct

NAMESPACE = "KiloClaw"
MINUTE, FIVE_MINUTES = Duration.minutes(1), Duration.minutes(5)
TEN_RUNS = 10
SLOW_MS: Mapping[str, int] = {
    "admin_api": 5_000,
    "migrate": 240_000,
    "provisioning": 2_000,
    "sync": 45_000,
}
"""p99 above which a function is too slow, in milliseconds."""
BORROWED_SHARE = 0.8
FREE_SHARE = 0.2
GIB = 1024**3


@dataclass(frozen=True, slots=True)
class Watched:
    """What the alarms look at."""

    functions: Mapping[str, lambda_.IFunction]
    dead_letters: Mapping[str, sqs.IQueue]
    table: dynamodb.ITable
    database: rds.DatabaseInstance
    proxy: rds.DatabaseProxy
    storage_gib: int


def own_metric(
    name: str, function: str, statistic: str = "Sum", period: Duration = FIVE_MINUTES
) -> cloudwatch.Metric:
    """A metric that a function writes in the embedded metric format."""
    return cloudwatch.Metric(
        namespace=NAMESPACE,
        metric_name=name,
        dimensions_map={"service": function},
        statistic=statistic,
        period=period,
    )


class Alarms(Construct):
    """Every alarm, and the topic that all of them go to."""

    def __init__(self, scope: Construct, id: str, watched: Watched, topic: sns.ITopic) -> None:  # noqa: A002
        super().__init__(scope, id)
        self._action = actions.SnsAction(topic)
        for name, function in watched.functions.items():
            self._watch_function(name, function)
        self._watch_what_is_decided()
        self._watch_sync()
        for name, queue in watched.dead_letters.items():
            waiting = queue.metric_approximate_number_of_messages_visible(statistic="Maximum")
            self._above(f"DeadLetters{name}", waiting, 0, f"dead letters: {name}")
        self._watch_stores(watched)

    def _watch_function(self, name: str, function: lambda_.IFunction) -> None:
        title = name.title().replace("_", "")
        self._above(
            f"{title}Errors", function.metric_errors(period=FIVE_MINUTES), 0, f"errors: {name}"
        )
        slow = function.metric_duration(statistic="p99", period=FIVE_MINUTES)
        self._above(f"{title}P99", slow, SLOW_MS[name], f"p99 of {name}, ms", periods=3)

    def _watch_what_is_decided(self) -> None:
        for id_, name, function, text in (
            ("Unexpected", "Unexpected", "admin_api", "unexpected: a bare 500"),
            ("NewConflicts", "NewConflicts", "sync", "new conflicts in the KV"),
            ("NewlySuspendedPins", "PinsSuspended", "admin_api", "newly suspended pins"),
            ("PinNotApplied", "PinNotApplied", "provisioning", "pin not applied"),
            ("DegradedAnswers", "DegradedAnswer", "provisioning", "degraded answers"),
        ):
            self._above(id_, own_metric(name, function), 0, text)

    def _watch_sync(self) -> None:
        """Ten minutes without a good run; no data at all is as bad."""
        cloudwatch.Alarm(
            self,
            "SyncNotRun",
            metric=own_metric("SyncOk", "sync", period=MINUTE),
            threshold=1,
            comparison_operator=cloudwatch.ComparisonOperator.LESS_THAN_THRESHOLD,
            evaluation_periods=TEN_RUNS,
            treat_missing_data=cloudwatch.TreatMissingData.BREACHING,
            alarm_description="sync not run for ten minutes",
        ).add_alarm_action(self._action)

    def _watch_stores(self, watched: Watched) -> None:
        borrowed = cloudwatch.MathExpression(
            expression="100 * used / most",
            using_metrics={
                "used": _proxy_metric(watched.proxy, "DatabaseConnectionsCurrentlyBorrowed"),
                "most": _proxy_metric(watched.proxy, "MaxDatabaseConnectionsAllowed"),
            },
            period=FIVE_MINUTES,
            label="borrowed, % of what is allowed",
        )
        self._above("ProxyConnections", borrowed, 100 * BORROWED_SHARE, "proxy connections, %")
        cloudwatch.Alarm(
            self,
            "Storage",
            metric=watched.database.metric_free_storage_space(
                statistic="Minimum", period=FIVE_MINUTES
            ),
            threshold=FREE_SHARE * watched.storage_gib * GIB,
            comparison_operator=cloudwatch.ComparisonOperator.LESS_THAN_THRESHOLD,
            evaluation_periods=1,
            alarm_description="storage of the database",
        ).add_alarm_action(self._action)

    def _above(
        self, id_: str, metric: cloudwatch.IMetric, most: float, text: str, periods: int = 1
    ) -> None:
        cloudwatch.Alarm(
            self,
            id_,
            metric=metric,
            threshold=most,
            comparison_operator=cloudwatch.ComparisonOperator.GREATER_THAN_THRESHOLD,
            evaluation_periods=periods,
            treat_missing_data=cloudwatch.TreatMissingData.NOT_BREACHING,
            alarm_description=text,
        ).add_alarm_action(self._action)


def _proxy_metric(proxy: rds.DatabaseProxy, name: str) -> cloudwatch.Metric:
    return cloudwatch.Metric(
        namespace="AWS/RDS",
        metric_name=name,
        dimensions_map={"ProxyName": proxy.db_proxy_name},
        statistic="Maximum",
        period=FIVE_MINUTES,
    )
