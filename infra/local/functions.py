"""The deployed functions on one machine, with the variables that each environment holds."""

import os
from dataclasses import dataclass
from pathlib import Path

from infra.functions import FUNCTIONS
from infra.local.aws.dynamodb import CREDENTIAL, DynamoDB
from infra.local.aws.environments import ROOT, FunctionSettings, LocalFunction
from infra.local.aws.issuer import CLIENT_ID, ISSUER
from infra.local.postgres import Postgres
from infra.local.roles import DATABASE


@dataclass(frozen=True, slots=True)
class LocalStores:
    """The stores that the functions connect to, and the passwords of the database's roles."""

    postgres: Postgres
    passwords: dict[str, str]
    dynamodb: DynamoDB

    def down(self) -> list[str]:
        """The names of the stores whose process has ended."""
        alive = {"postgres": self.postgres.alive, "dynamodb": self.dynamodb.alive}
        return [name for name, is_alive in alive.items() if not is_alive]


def deploy(
    stores: LocalStores, folder: Path, origin: str, *, environments: int, max_new: int | None
) -> dict[str, LocalFunction]:
    """The functions by name, none of them running yet. Their logs go to `folder`."""
    cap = {} if max_new is None else {"SYNC_MAX_NEW": str(max_new)}
    return {
        name: LocalFunction(
            FunctionSettings(
                name=name,
                handler=function.handler,
                environ=_environ(name, stores, origin) | cap,
                timeout=function.timeout_seconds,
                log=folder / f"{name}.log",
            ),
            environments,
        )
        for name, function in FUNCTIONS.items()
    }


def _environ(name: str, stores: LocalStores, origin: str) -> dict[str, str]:
    role = FUNCTIONS[name].database_role
    database = (
        {
            "DATABASE_CONNINFO": stores.postgres.conninfo(DATABASE, role),
            "PGPASSWORD": stores.passwords[role],
        }
        if role
        else {}
    )
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": "/nonexistent",
        "LANG": "C.UTF-8",
        "TZ": ":UTC",
        "PYTHONPATH": str(ROOT),
        **_lambda_environ(name),
        "AWS_ENDPOINT_URL_DYNAMODB": stores.dynamodb.endpoint,
        "TABLE_NAME": stores.dynamodb.table,
        "SESSION_TABLE_NAME": stores.dynamodb.session_table,
        "CONSOLE_ORIGIN": origin,
        "ISSUER_URL": f"{origin}{ISSUER}",
        "CLIENT_ID": CLIENT_ID,
        **database,
        "POWERTOOLS_SERVICE_NAME": name,
        "POWERTOOLS_METRICS_NAMESPACE": "KiloClaw/local",
        "POWERTOOLS_TRACE_DISABLED": "true",
        "PUBLISHER_MAY_PROMOTE": "on",
    }


def _lambda_environ(name: str) -> dict[str, str]:
    """The variables that Lambda itself sets."""
    return {
        "AWS_LAMBDA_LOG_FORMAT": "JSON",
        "AWS_REGION": DynamoDB.region,
        "AWS_DEFAULT_REGION": DynamoDB.region,
        "AWS_ACCESS_KEY_ID": CREDENTIAL,
        "AWS_SECRET_ACCESS_KEY": CREDENTIAL,
        "AWS_LAMBDA_FUNCTION_NAME": name,
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "512",
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        "AWS_LAMBDA_LOG_GROUP_NAME": f"/aws/lambda/{name}",
        "AWS_LAMBDA_LOG_STREAM_NAME": "local",
        "LAMBDA_TASK_ROOT": str(ROOT),
        "_HANDLER": FUNCTIONS[name].handler,
    }
