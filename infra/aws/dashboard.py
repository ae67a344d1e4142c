"""One page that says how the system is, in the order in which one asks."""

from collections.abc import Sequence

from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_dynamodb as dynamodb
from constructs import Construct

from infra.aws.alarms import Watched, own_metric

HALF = 12
"""Of the 24 columns of a page."""
SOURCES = ("Pin", "Rollout", "Latest", "Instance")
RUNS = ("SyncOk", "SyncSkippedLocked", "SyncSuspectPartial")
REFUSALS = (
    "CatalogUnavailable",
    "KVUnavailable",
    "NoVersionAvailable",
    "InvalidRequest",
)


class Dashboard(Construct):
    """Starts first, then the catalog's age, then the machinery."""

    def __init__(self, scope: Construct, id: str, watched: Watched, stage: str) -> None:  # noqa: A002
        super().__init__(scope, id)
        board = cloudwatch.Dashboard(self, "Board", dashboard_name=f"kiloclaw-{stage}")
        board.add_widgets(*_starts())
        board.add_widgets(*_agreement())
        board.add_widgets(*_functions(watched))
        board.add_widgets(*_stores(watched))


def _starts() -> list[cloudwatch.IWidget]:
    sources = [own_metric(f"ResolvedBy{source}", "provisioning") for source in SOURCES]
    troubles = ("PinNotApplied", "DegradedAnswer", "NotRecorded", *REFUSALS)
    return [
        _graph("Starts, by what decided", sources, stacked=True),
        _graph("Starts in trouble", [own_metric(name, "provisioning") for name in troubles]),
    ]


def _agreement() -> list[cloudwatch.IWidget]:
    age = own_metric("CatalogAge", "sync", statistic="Maximum")
    runs = [own_metric(name, "sync") for name in (*RUNS, "NewConflicts")]
    people = [own_metric(name, "admin_api") for name in ("PinsSuspended", "Unexpected")]
    return [
        _graph("Seconds since the last good sync", [age]),
        _graph("Syncs, conflicts, suspended pins", [*runs, *people]),
    ]


def _functions(watched: Watched) -> list[cloudwatch.IWidget]:
    functions = watched.functions.items()
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


def _stores(watched: Watched) -> list[cloudwatch.IWidget]:
    database = watched.database
    throttled = watched.table.metric_throttled_requests_for_operations(
        operations=[
            dynamodb.Operation.PUT_ITEM,
            dynamodb.Operation.BATCH_GET_ITEM,
            dynamodb.Operation.TRANSACT_WRITE_ITEMS,
        ]
    )
    return [
        _graph("Database: CPU, %", [database.metric_cpu_utilization()]),
        _graph("Database: connections", [database.metric_database_connections()]),
        _graph("DynamoDB: throttled requests", [throttled]),
    ]


def _graph(
    title: str, metrics: Sequence[cloudwatch.IMetric], *, stacked: bool = False
) -> cloudwatch.GraphWidget:
    return cloudwatch.GraphWidget(title=title, left=[*metrics], width=HALF, stacked=stacked)
