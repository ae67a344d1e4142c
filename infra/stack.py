"""The whole system: its parts, what each function is told, and what it may do."""

from aws_cdk import Stack
from constructs import Construct

from infra.aws.alarms import Watched
from infra.aws.callers import ControlPlane, Pipeline
from infra.aws.database import MASTER, CatalogDatabase, user_of
from infra.aws.function import LambdaFunction
from infra.aws.http_api import HttpApi
from infra.aws.kv_table import KvTable
from infra.aws.monitoring import Monitoring
from infra.aws.network import Network
from infra.aws.release import Release
from infra.aws.schedules import Schedules
from infra.settings import FunctionName, Stage


class KiloClaw(Stack):
    """One stage. Everything that differs between stages is in `cdk.json`."""

    def __init__(self, scope: Construct, stage: Stage) -> None:
        name = f"kiloclaw-{stage.name}"
        super().__init__(scope, name, termination_protection=stage.protected)
        network = Network(self, stage)
        catalog = CatalogDatabase(self, stage, network)
        kv = KvTable(self, stage)
        kv.through(network)

        def function(
            name: FunctionName, *, snap_start: bool = False, **own: str
        ) -> LambdaFunction:
            told = {"DATABASE_CONNINFO": catalog.conninfo(name), "DATABASE_IAM": "on", **own}
            made = LambdaFunction(self, stage, name, network, told, snap_start=snap_start)
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
        HttpApi(self, stage, admin_api)
        schedule = Schedules(self, stage, sync)
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
        Monitoring(self, stage, watched)
