"""One alarm for each situation that docs/operations.md says how to handle."""

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

from infra.functions import FUNCTIONS, STORE_ERRORS, Function, store_users

MINUTE, FIVE_MINUTES = Duration.minutes(1), Duration.minutes(5)
HEARTBEAT_MINUTES = 10
BORROWED_PERCENT = 80
BEHIND_MS = 300_000
FREE_SHARE = 0.2
GIB = 1024**3


@dataclass(frozen=True, slots=True)
class Monitored:
    """The resources that alarms and dashboard look at.

    `namespace` is the one to which the functions write their own metrics.
    """

    namespace: str
    functions: Mapping[str, lambda_.IFunction]
    dead_letters: Mapping[str, sqs.IQueue]
    table: dynamodb.ITable
    database: rds.DatabaseInstance
    proxy: rds.DatabaseProxy
    storage_gib: int

    def metric(
        self, name: str, function: str, statistic: str = "Sum", period: Duration = FIVE_MINUTES
    ) -> cloudwatch.Metric:
        """A metric that a function writes in its log, in the embedded metric format."""
        return cloudwatch.Metric(
            namespace=self.namespace,
            metric_name=name,
            dimensions_map={"service": function},
            statistic=statistic,
            period=period,
        )


class Alarms(Construct):
    """All alarms, each of which notifies the topic."""

    def __init__(
        self,
        scope: Construct,
        id: str,  # noqa: A002
        monitored: Monitored,
        topic: sns.ITopic,
    ) -> None:
        super().__init__(scope, id)
        self._monitored = monitored
        self._action = actions.SnsAction(topic)
        for function in FUNCTIONS.values():
            self._add_function(function)
        for metric, store in STORE_ERRORS.items():
            self._add_store_errors(metric, store)
        for name, queue in monitored.dead_letters.items():
            waiting = queue.metric_approximate_number_of_messages_visible(statistic="Maximum")
            self._above(f"DeadLetters{name}", waiting, 0, f"dead letters: {name}")
        self._add_proxy()
        self._add_storage()

    def _add_function(self, function: Function) -> None:
        name, deployed = function.name, self._monitored.functions[function.name]
        prefix = name.title().replace("_", "")
        errors = deployed.metric_errors(period=FIVE_MINUTES)
        self._above(f"{prefix}Errors", errors, 0, f"errors: {name}")
        slow = deployed.metric_duration(statistic="p99", period=FIVE_MINUTES)
        self._above(f"{prefix}P99", slow, function.p99_ms, f"p99 of {name}, ms", periods=3)
        for alarm in function.alarms:
            metric = self._monitored.metric(alarm.metric, name, alarm.statistic)
            self._above(alarm.name, metric, 0, alarm.description, alarm.periods)
        if function.trigger == "table_stream":
            age = deployed.metric("IteratorAge", statistic="Maximum", period=FIVE_MINUTES)
            self._above(f"{prefix}Behind", age, BEHIND_MS, f"{name} is behind its stream, ms")
        if function.heartbeat:
            self._add_heartbeat(f"{prefix}NotRun", function.heartbeat, name)

    def _add_heartbeat(self, id_: str, metric: str, name: str) -> None:
        """Missing data counts as missing runs."""
        cloudwatch.Alarm(
            self,
            id_,
            metric=self._monitored.metric(metric, name, period=MINUTE),
            threshold=1,
            comparison_operator=cloudwatch.ComparisonOperator.LESS_THAN_THRESHOLD,
            evaluation_periods=HEARTBEAT_MINUTES,
            treat_missing_data=cloudwatch.TreatMissingData.BREACHING,
            alarm_description=f"{name} without a good run for ten minutes",
        ).add_alarm_action(self._action)

    def _add_store_errors(self, name: str, store: str) -> None:
        """The sum over all functions that use the store; one that wrote nothing counts as 0."""
        users = store_users(name)
        errors = cloudwatch.MathExpression(
            expression=" + ".join(f"FILL({user}, 0)" for user in users),
            using_metrics={user: self._monitored.metric(name, user) for user in users},
            period=FIVE_MINUTES,
            label=f"errors answered by {store}",
        )
        self._above(name, errors, 0, f"store errors: {store}")

    def _add_proxy(self) -> None:
        proxy = self._monitored.proxy
        borrowed = cloudwatch.MathExpression(
            expression="100 * used / most",
            using_metrics={
                "used": _proxy_metric(proxy, "DatabaseConnectionsCurrentlyBorrowed"),
                "most": _proxy_metric(proxy, "MaxDatabaseConnectionsAllowed"),
            },
            period=FIVE_MINUTES,
            label="borrowed, % of what is allowed",
        )
        self._above("ProxyConnections", borrowed, BORROWED_PERCENT, "proxy connections, %")

    def _add_storage(self) -> None:
        cloudwatch.Alarm(
            self,
            "Storage",
            metric=self._monitored.database.metric_free_storage_space(
                statistic="Minimum", period=FIVE_MINUTES
            ),
            threshold=FREE_SHARE * self._monitored.storage_gib * GIB,
            comparison_operator=cloudwatch.ComparisonOperator.LESS_THAN_THRESHOLD,
            evaluation_periods=1,
            alarm_description="storage of the database",
        ).add_alarm_action(self._action)

    def _above(
        self,
        id_: str,
        metric: cloudwatch.IMetric,
        threshold: float,
        text: str,
        periods: int = 1,
    ) -> None:
        cloudwatch.Alarm(
            self,
            id_,
            metric=metric,
            threshold=threshold,
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
