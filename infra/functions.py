"""The one list of functions.

The stack, the local system, packages, alarms and tests read it: a new function is one entry
here and a folder below `functions/`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Trigger = Literal["control_plane", "deployment", "http_api", "schedule", "table_stream"]
"""What invokes a function. Operators may invoke any of them by hand as well."""

Items = Literal["IMAGE", "DIGEST", "POINTER", "ROLLOUT", "REPORT#*", "INSTANCE#*"]
"""Partition keys of the table; `*` stands for any text, slashes included."""


@dataclass(frozen=True, slots=True)
class PartOf:
    """Items of which only these attributes may be named in a call, besides their keys."""

    items: Items
    attributes: tuple[str, ...]


HOLD = PartOf("POINTER", ("held", "moved_by", "revision", "updated_at"))
"""What the brake writes when it holds a rollout."""

SessionItems = Literal["SESSION#*", "SIGN_IN#*"]
"""Partition keys of the table of sessions."""

Operation = Literal[
    "BatchGetItem", "DeleteItem", "GetItem", "PutItem", "Query", "Scan", "UpdateItem"
]
Variable = Literal[
    "CLIENT_ID",
    "CONSOLE_ORIGIN",
    "DATABASE_SETUP_USER",
    "ISSUER_URL",
    "PUBLISHER_MAY_PROMOTE",
    "SESSION_TABLE_NAME",
    "SIGN_OUT_URL",
    "SYNC_MAX_NEW",
    "TABLE_NAME",
]
STREAM_BATCH = 500
STREAM_PARTITION = "INSTANCE#"
"""The stream is delivered in batches of at most so many records, of items with this prefix."""
VERIFICATION = {"verify": "audit"}
"""What `sync` is invoked with once a day, beside its runs."""
STORE_ERRORS = {
    "CatalogErrors": "the catalog",
    "KVErrors": "the KV",
    "SessionErrors": "the table of sessions",
}
"""Metrics of stores that answer with an error, written by the functions of `store_users`."""


@dataclass(frozen=True, slots=True)
class MetricAlarm:
    """Fires when a metric that the function writes is above zero.

    `name` is the alarm's, unique in the stack. The statistic is taken over five minutes, and
    must be above zero for so many periods running.
    """

    name: str
    metric: str
    description: str
    statistic: Literal["Maximum", "Sum"] = "Sum"
    periods: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Function:
    """One Lambda function, in the folder `functions/{name}`.

    `memory_mib` holds unless a stage in `cdk.json` says otherwise. Without a `database_role` it
    is outside the private network. `variables` are the environment variables that it reads
    beside its database. `rights` are the operations that it may call on the table, each limited
    to items with these partition keys; a scan cannot be limited. `session_rights` are the same
    for the table of sessions. `p99_ms` is the duration above which the function counts as slow.
    `heartbeat` names a metric that must be written every ten minutes. `data_files` are read at
    run time from outside its folder, as patterns below the project's root.
    """

    name: str
    trigger: Trigger
    timeout_seconds: int
    memory_mib: int = 1024
    database_role: str | None
    variables: tuple[Variable, ...] = ()
    rights: Mapping[Operation, tuple[Items | PartOf, ...]] = field(default_factory=dict)
    session_rights: Mapping[Operation, tuple[SessionItems, ...]] = field(default_factory=dict)
    p99_ms: int
    alarms: tuple[MetricAlarm, ...] = ()
    heartbeat: str | None = None
    data_files: tuple[str, ...] = ()
    max_package_megabytes: float = float("inf")

    @property
    def handler(self) -> str:
        """The name under which Lambda finds it."""
        return f"functions.{self.name}.handler.handler"


_ADMINISTRATION: Mapping[Operation, tuple[Items | PartOf, ...]] = {
    "Query": ("IMAGE", "POINTER"),
    "BatchGetItem": ("IMAGE", "DIGEST", "POINTER", "ROLLOUT", "INSTANCE#*"),
    "PutItem": ("IMAGE", "DIGEST", "POINTER"),
    "UpdateItem": ("IMAGE", HOLD),
    "DeleteItem": ("IMAGE", "DIGEST", "ROLLOUT", "INSTANCE#*"),
}
"""What people do, through the API or the console."""

_ALL = (
    Function(
        name="admin_api",
        trigger="http_api",
        timeout_seconds=29,
        database_role="kiloclaw_admin_api",
        variables=("TABLE_NAME", "SYNC_MAX_NEW", "PUBLISHER_MAY_PROMOTE"),
        rights=_ADMINISTRATION,
        p99_ms=5_000,
        alarms=(
            MetricAlarm("Unexpected", "Unexpected", "unexpected: a bare 500"),
            MetricAlarm("NewlySuspendedPins", "PinsSuspended", "newly suspended pins"),
        ),
    ),
    Function(
        name="console",
        trigger="http_api",
        timeout_seconds=29,
        database_role="kiloclaw_console",
        variables=(
            "TABLE_NAME",
            "SYNC_MAX_NEW",
            "PUBLISHER_MAY_PROMOTE",
            "SESSION_TABLE_NAME",
            "CONSOLE_ORIGIN",
        ),
        rights=_ADMINISTRATION,
        session_rights={"GetItem": ("SESSION#*",), "UpdateItem": ("SESSION#*",)},
        p99_ms=5_000,
        alarms=(
            MetricAlarm("ConsoleUnexpected", "Unexpected", "unexpected: a failed page"),
            MetricAlarm(
                "ConsoleNewlySuspendedPins",
                "PinsSuspended",
                "newly suspended pins: the console",
            ),
        ),
    ),
    Function(
        name="fleet",
        trigger="table_stream",
        timeout_seconds=30,
        memory_mib=512,
        database_role="kiloclaw_fleet",
        p99_ms=5_000,
        alarms=(
            MetricAlarm("SkippedRecords", "FleetRecordsSkipped", "malformed instance records"),
        ),
    ),
    Function(
        name="migrate",
        trigger="deployment",
        timeout_seconds=840,
        memory_mib=512,
        database_role="kiloclaw_migrate",
        variables=("DATABASE_SETUP_USER",),
        p99_ms=240_000,
        data_files=("shared/catalog/roles.sql", "shared/catalog/migrations/*.sql"),
    ),
    Function(
        name="provisioning",
        trigger="control_plane",
        timeout_seconds=10,
        database_role="kiloclaw_provisioning",
        variables=("TABLE_NAME",),
        rights={
            "BatchGetItem": ("IMAGE", "POINTER", "ROLLOUT", "INSTANCE#*"),
            "PutItem": ("INSTANCE#*", "REPORT#*"),
            "UpdateItem": ("ROLLOUT", HOLD),
            "DeleteItem": ("INSTANCE#*",),
        },
        p99_ms=2_000,
        alarms=(
            MetricAlarm("PinNotApplied", "PinNotApplied", "pin not applied"),
            MetricAlarm("DegradedAnswers", "DegradedAnswer", "degraded answers"),
            MetricAlarm("RolloutHeld", "RolloutHeld", "rollout held: just now"),
        ),
        # The start of an instance waits while the package is loaded.
        max_package_megabytes=30,
    ),
    Function(
        name="sign_in",
        trigger="http_api",
        timeout_seconds=29,
        memory_mib=512,
        database_role=None,
        variables=(
            "SESSION_TABLE_NAME",
            "CONSOLE_ORIGIN",
            "ISSUER_URL",
            "CLIENT_ID",
            "SIGN_OUT_URL",
        ),
        session_rights={
            "PutItem": ("SESSION#*", "SIGN_IN#*"),
            "DeleteItem": ("SESSION#*", "SIGN_IN#*"),
        },
        p99_ms=5_000,
        alarms=(MetricAlarm("SignInUnexpected", "Unexpected", "unexpected: a failed sign-in"),),
    ),
    Function(
        name="sync",
        trigger="schedule",
        timeout_seconds=60,
        database_role="kiloclaw_sync",
        variables=("TABLE_NAME", "SYNC_MAX_NEW"),
        rights={
            "Query": ("IMAGE", "DIGEST", "POINTER"),
            "BatchGetItem": ("IMAGE", "DIGEST", "POINTER", "ROLLOUT", "INSTANCE#*"),
            "Scan": (),
            "PutItem": ("IMAGE", "DIGEST", "POINTER"),
            "UpdateItem": ("IMAGE", HOLD),
            "DeleteItem": ("DIGEST",),
        },
        p99_ms=45_000,
        alarms=(
            MetricAlarm("OpenFindings", "OpenFindings", "open findings", "Maximum"),
            MetricAlarm("HeldRollouts", "HeldRollouts", "rollout held: still", "Maximum"),
            # One run may meet a variant that somebody is just moving.
            MetricAlarm("FailedVariants", "FailedVariants", "failed variants", periods=3),
            MetricAlarm("OverdueEvents", "OverdueEvents", "unsealed events", "Maximum"),
            MetricAlarm(
                "AuditNotVerified", "AuditNotVerified", "the audit log does not verify"
            ),
        ),
        heartbeat="SyncOk",
    ),
)
FUNCTIONS: Mapping[str, Function] = {function.name: function for function in _ALL}


def store_users(metric: str) -> list[str]:
    """The functions that have rights on the store whose errors the metric counts."""
    return [
        function.name
        for function in _ALL
        if (function.session_rights if metric == "SessionErrors" else function.rights)
    ]


def database_roles() -> list[str]:
    """The roles in the database, one for each function that connects to it."""
    return [function.database_role for function in _ALL if function.database_role]
