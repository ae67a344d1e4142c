"""The stack of one stage: its parts, the variables of functions and their rights."""

from aws_cdk import Stack
from constructs import Construct

from infra.aws.alarms import Monitored
from infra.aws.callers import ControlPlane, Pipeline
from infra.aws.database import MASTER, CatalogDatabase
from infra.aws.fleet_stream import FleetStream
from infra.aws.function import LambdaFunction
from infra.aws.http_api import HttpApi
from infra.aws.kv_table import KvTable, SessionTable
from infra.aws.monitoring import Monitoring
from infra.aws.network import Network
from infra.aws.release import Release
from infra.aws.schedules import Schedules
from infra.functions import FUNCTIONS, Function, Variable
from infra.settings import Stage


class KiloClaw(Stack):
    """One stage. Everything that differs between stages is in `cdk.json`."""

    def __init__(self, scope: Construct, stage: Stage) -> None:
        name = f"kiloclaw-{stage.name}"
        super().__init__(scope, name, termination_protection=stage.protected)
        network = Network(self, stage)
        catalog = CatalogDatabase(self, stage, network)
        kv = KvTable(self, stage)
        kv.through(network)
        sessions = SessionTable(self)
        sessions.through(network)
        api = HttpApi(self, stage)
        variables: dict[Variable, str] = {
            "CLIENT_ID": api.users.console.user_pool_client_id,
            "CONSOLE_ORIGIN": api.console_origin,
            "DATABASE_SETUP_USER": MASTER,
            "ISSUER_URL": api.users.pool.user_pool_provider_url,
            "PUBLISHER_MAY_PROMOTE": "on" if stage.publisher_may_promote else "off",
            "SESSION_TABLE_NAME": sessions.table.table_name,
            "SIGN_OUT_URL": api.users.sign_out_url,
            "SYNC_MAX_NEW": str(stage.sync_max_new),
            "TABLE_NAME": kv.table.table_name,
        }

        def deploy(entry: Function) -> LambdaFunction:
            environment = {str(name): variables[name] for name in entry.variables}
            if role := entry.database_role:
                environment |= {
                    "DATABASE_CONNINFO": catalog.conninfo(role),
                    "DATABASE_IAM": "on",
                }
                function = LambdaFunction(self, stage, entry, network, environment)
                catalog.admit(function, role)
            else:
                function = LambdaFunction(self, stage, entry, None, environment)
            kv.grant(function, entry.rights)
            sessions.grant(function, entry.session_rights)
            return function

        functions = {entry.name: deploy(entry) for entry in FUNCTIONS.values()}
        migrate = functions["migrate"]
        catalog.admit(migrate, MASTER)
        provisioning = functions["provisioning"]
        others = [function for function in functions.values() if function is not migrate]
        Release(self, stage, migrate, provisioning, after=[network, catalog], before=others)
        ControlPlane(self, stage, provisioning)
        api.lead_to(functions)
        schedule = Schedules(self, stage, functions["sync"])
        stream = FleetStream(self, kv.table, functions["fleet"])
        if stage.pipeline:
            Pipeline(self, stage, kv, stage.pipeline)
        monitored = Monitored(
            namespace=stage.metrics_namespace,
            functions=functions,
            dead_letters={
                "Undelivered": schedule.undelivered,
                "Failed": schedule.failed,
                "Fleet": stream.failed,
            },
            table=kv.table,
            database=catalog.database,
            proxy=catalog.proxy,
            storage_gib=stage.database.storage_gib,
        )
        Monitoring(self, stage, monitored)
