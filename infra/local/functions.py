"""The deployed functions with all that their environments hold, here on one machine."""

import os
from dataclasses import dataclass
from pathlib import Path

from infra.functions import FUNCTIONS
from infra.local.aws.dynamodb import CREDENTIAL, DynamoDB
from infra.local.aws.environments import ROOT, LocalFunction, Settings
from infra.local.postgres import Postgres
from infra.local.roles import DATABASE


@dataclass(frozen=True, slots=True)
class Stores:
    """What the functions connect to, with the passwords of the database's roles."""

    postgres: Postgres
    passwords: dict[str, str]
    dynamodb: DynamoDB


def deploy(
    stores: Stores, folder: Path, *, environments: int, max_new: int | None
) -> dict[str, LocalFunction]:
    """The functions by name; nothing runs yet. Their logs go to `folder`."""
    cap = {} if max_new is None else {"SYNC_MAX_NEW": str(max_new)}
    return {
        name: LocalFunction(
            Settings(
                name=name,
                handler=function.handler,
                environ=_environ(name, stores, folder) | cap,
                timeout=function.timeout_seconds,
                log=folder / f"{name}.log",
            ),
            environments,
        )
        for name, function in FUNCTIONS.items()
    }


def _environ(name: str, stores: Stores, folder: Path) -> dict[str, str]:
    role = FUNCTIONS[name].database_role
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": str(folder),
        "LANG": "C.UTF-8",
        "TZ": ":UTC",
        "PYTHONPATH": str(ROOT),
        **_lambda_environ(name),
        "AWS_ENDPOINT_URL_DYNAMODB": stores.dynamodb.endpoint,
        "TABLE_NAME": stores.dynamodb.table,
        "DATABASE_CONNINFO": stores.postgres.conninfo(DATABASE, role),
        "PGPASSWORD": stores.passwords[role],
        "POWERTOOLS_SERVICE_NAME": name,
        "POWERTOOLS_METRICS_NAMESPACE": "KiloClaw/local",
    }


def _lambda_environ(name: str) -> dict[str, str]:
    """What Lambda itself sets."""
    return {
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
