"""One page that shows the state of a stage, the most urgent questions first."""

from collections.abc import Sequence

from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_dynamodb as dynamodb
from constructs import Construct

from infra.aws.alarms import Monitored
from infra.functions import STORE_ERRORS, store_users

HALF = 12
"""Half of the 24 columns of a page."""
SOURCES = ("Pin", "Rollout", "Latest", "Instance")
RUNS = ("SyncOk", "SyncSkippedLocked", "SyncSuspectPartial")
PEOPLE = ("admin_api", "console")
RECORDS = ("FleetRecordsApplied", "FleetRecordsSkipped")
REFUSALS = (
    "CatalogUnavailable",
    "KVUnavailable",
    "NoVersionAvailable",
    "InvalidRequest",
)


class Dashboard(Construct):
    """Starts, then the age of catalog and copy, then functions and stores."""

    def __init__(self, scope: Construct, id: str, monitored: Monitored, stage: str) -> None:  # noqa: A002
        super().__init__(scope, id)
        board = cloudwatch.Dashboard(self, "Board", dashboard_name=f"kiloclaw-{stage}")
        board.add_widgets(*_starts(monitored))
        board.add_widgets(*_agreement(monitored))
        board.add_widgets(*_functions(monitored))
        board.add_widgets(*_stores(monitored))


def _starts(monitored: Monitored) -> list[cloudwatch.IWidget]:
    sources = [f"ResolvedBy{source}" for source in SOURCES]
    problems = ("PinNotApplied", "DegradedAnswer", "NotRecorded", *REFUSALS)
    decided, failed = (
        [monitored.metric(name, "provisioning") for name in names]
        for names in (sources, problems)
    )
    return [
        _graph("Starts, by the rule that decided", decided, stacked=True),
        _graph("Starts with problems", failed),
    ]


def _agreement(monitored: Monitored) -> list[cloudwatch.IWidget]:
    age = monitored.metric("CatalogAge", "sync", statistic="Maximum")
    runs = [monitored.metric(name, "sync") for name in RUNS]
    findings = monitored.metric("OpenFindings", "sync", statistic="Maximum")
    held = monitored.metric("HeldRollouts", "sync", statistic="Maximum")
    copy = monitored.metric("FleetCopyAge", "fleet", statistic="Maximum")
    records = [monitored.metric(name, "fleet") for name in RECORDS]
    people = [monitored.metric("PinsSuspended", name) for name in PEOPLE]
    failed = [monitored.metric("Unexpected", name) for name in (*PEOPLE, "sign_in")]
    return [
        _graph("Seconds since the last good sync", [age]),
        _graph(
            "Syncs, open findings, held rollouts, suspended pins",
            [*runs, findings, held, *people, *failed],
        ),
        _graph("Age of the fleet's copy, s", [copy]),
        _graph("Records of the fleet's copy", records),
    ]


def _functions(monitored: Monitored) -> list[cloudwatch.IWidget]:
    functions = monitored.functions.items()
    return [
        _graph(
            "Errors of functions",
            [function.metric_errors(label=name) for name, function in functions],
        ),
        _graph(
            "p99 of functions, ms",
            [
                function.metric_duration(statistic="p99", label=name)
                for name, function in functions
            ],
        ),
    ]


def _stores(monitored: Monitored) -> list[cloudwatch.IWidget]:
    database = monitored.database
    throttled = monitored.table.metric_throttled_requests_for_operations(
        operations=[
            dynamodb.Operation.PUT_ITEM,
            dynamodb.Operation.BATCH_GET_ITEM,
            dynamodb.Operation.TRANSACT_WRITE_ITEMS,
        ]
    )
    errors = [
        monitored.metric(name, user) for name in STORE_ERRORS for user in store_users(name)
    ]
    return [
        _graph("Errors answered by the stores", errors),
        _graph("Database: CPU, %", [database.metric_cpu_utilization()]),
        _graph("Database: connections", [database.metric_database_connections()]),
        _graph("DynamoDB: throttled requests", [throttled]),
    ]


def _graph(
    title: str, metrics: Sequence[cloudwatch.IMetric], *, stacked: bool = False
) -> cloudwatch.GraphWidget:
    return cloudwatch.GraphWidget(title=title, left=[*metrics], width=HALF, stacked=stacked)
