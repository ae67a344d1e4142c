"""The whole system: its parts, what each function is told, and what it may do."""

from aws_cdk import Stack
from constructs import Construct

from infra.alarms import Watched
from infra.callers import ControlPlane, Pipeline
from infra.catalog import MASTER, Catalog, user_of
from infra.function import Function
from infra.gateway import Gateway
from infra.kv import KV
from infra.network import Network
from infra.release import Release
from infra.schedule import Schedule
from infra.settings import FunctionName, Stage
from infra.watching import Watching


class KiloClaw(Stack):
    """One stage. Everything that differs between stages is in `cdk.json`."""

    def __init__(self, scope: Construct, stage: Stage) -> None:
        name = f"kiloclaw-{stage.name}"
        super().__init__(scope, name, termination_protection=stage.protected)
        network = Network(self, stage)
        catalog = Catalog(self, stage, network)
        kv = KV(self, stage)
        kv.through(network)

        def function(name: FunctionName, *, snap_start: bool = False, **own: str) -> Function:
            told = {"DATABASE_CONNINFO": catalog.conninfo(name), "DATABASE_IAM": "on", **own}
            made = Function(self, stage, name, network, told, snap_start=snap_start)
            catalog.admit(made, user_of(name))
            return made

        table = kv.table.table_name
        cap = str(stage.sync_max_new)
        may_promote = "on" if stage.publisher_may_promote else "off"
        snap_start = stage.provisioned_concurrency == 0

        migrate = function("migrate", DATABASE_SETUP_USER=MASTER)
        provisioning = function("provisioning", snap_start=snap_start, TABLE_NAME=table)
        sync = function("sync", TABLE_NAME=table, SYNC_MAX_NEW=cap)
        admin_api = function(
            "admin_api",
            TABLE_NAME=table,
            SYNC_MAX_NEW=cap,
            PUBLISHER_MAY_PROMOTE=may_promote,
        )

        catalog.admit(migrate, MASTER)
        kv.grant(
            provisioning,
            {
                "BatchGetItem": ("IMAGE", "POINTER", "INSTANCE#*"),
                "PutItem": ("INSTANCE#*",),
                "DeleteItem": ("INSTANCE#*",),
            },
        )
        kv.grant(
            sync,
            {
                "Query": ("IMAGE", "POINTER"),
                "BatchGetItem": ("IMAGE", "POINTER"),
                "PutItem": ("IMAGE", "DIGEST", "POINTER"),
                "UpdateItem": ("IMAGE",),
            },
        )
        kv.grant(
            admin_api,
            {
                "Query": ("IMAGE", "POINTER"),
                "BatchGetItem": ("IMAGE", "DIGEST", "POINTER", "INSTANCE#*"),
                "PutItem": ("IMAGE", "DIGEST", "POINTER"),
                "UpdateItem": ("IMAGE",),
                "DeleteItem": ("IMAGE", "DIGEST", "INSTANCE#*"),
            },
        )
        kv.grant_index(admin_api, "Query", "Scan")

        Release(self, stage, migrate, catalog, before=[admin_api, provisioning, sync])
        ControlPlane(self, stage, provisioning)
        Gateway(self, stage, admin_api)
        schedule = Schedule(self, stage, sync)
        if stage.pipeline:
            Pipeline(self, stage, kv, stage.pipeline)
        functions = {
            "admin_api": admin_api,
            "migrate": migrate,
            "provisioning": provisioning,
            "sync": sync,
        }
        watched = Watched(
            functions=functions,
            dead_letters={"Undelivered": schedule.undelivered, "Failed": schedule.failed},
            table=kv.table,
            database=catalog.database,
            proxy=catalog.proxy,
            storage_gib=stage.database.storage_gib,
        )
        Watching(self, stage, watched)
