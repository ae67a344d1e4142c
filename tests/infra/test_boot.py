"""Every package boots under Lambda's runtime client, alone, and answers a real event."""

import json
import os
import subprocess
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest

from infra.functions import FUNCTIONS
from infra.local.aws import events
from infra.local.processes import free_port
from infra.packaging.recipe import HERE, build
from infra.routes import find_route
from shared.catalog.migrate import migrations
from shared.domain.model import Initiator
from shared.kv.sessions import Sessions
from shared.kv.table import Table
from shared.usecases.publish import Publication, publish
from tests.support.http_requests import http_request
from tests.support.package_boot import PackageSandbox, booted, isolated, make_runtime, unzip
from tests.support.stores import PASSWORD, Stores, create_database, make_session_table
from tests.support.stream_records import stream_record

IMPORT = """
import importlib, os, sys
package, runtime, module = sys.argv[1:]
sys.path[:] = [package, *sys.path, runtime]
importlib.import_module(module)
for fd in (3, 4, 5, 6, 7, 8, 9):
    try:
        print(os.readlink(f"/proc/self/fd/{fd}"))
    except FileNotFoundError:
        pass
"""
"""Imports a handler and prints the files that it has opened and not closed."""


@dataclass(frozen=True)
class Built:
    """Where the unzipped packages and the runtime's libraries are."""

    folder: Path
    runtime: Path

    @contextmanager
    def boot(self, name: str, environ: dict[str, str]) -> Generator[PackageSandbox]:
        """An environment of this function."""
        named = {"AWS_LAMBDA_FUNCTION_NAME": name, "POWERTOOLS_SERVICE_NAME": name}
        with booted(name, self.folder / name, self.runtime, environ | named) as sandbox:
            yield sandbox


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """All packages, built for this machine and its Python."""
    folder = tmp_path_factory.mktemp("built")

    def unzipped(name: str) -> None:
        unzip(build(name, folder / f"{name}.zip", HERE).archive, folder / name)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(unzipped, FUNCTIONS))
    return Built(folder, make_runtime(folder / "runtime"))


@pytest.fixture
def environ(stores: Stores) -> dict[str, str]:
    """The environment of every function, without its connection string."""
    lambdas = {name: value for name, value in os.environ.items() if name.startswith("AWS_")}
    return lambdas | {
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "512",
        "POWERTOOLS_METRICS_NAMESPACE": "KiloClaw",
        "TABLE_NAME": stores.table,
        "SESSION_TABLE_NAME": make_session_table(stores.client),
        "CONSOLE_ORIGIN": "http://127.0.0.1:8080",
        "ISSUER_URL": f"http://127.0.0.1:{free_port()}",
        "CLIENT_ID": "console",
    }


def test_provisioning_resolves(built: Built, stores: Stores, environ: dict[str, str]) -> None:
    """It answers the latest version and records it."""
    _publish(stores)
    variables = environ | {"DATABASE_CONNINFO": stores.conninfo("provisioning")}
    with built.boot("provisioning", variables) as sandbox:
        answers = [sandbox.invoke({"user_id": "ana"}), sandbox.invoke({"user_id": "ana"})]
    found = [(each["image_tag"], each["changed"], each["recorded"]) for each in answers]
    assert found == [("stable", True, True), ("stable", False, True)]


def test_admin_api_lists_versions(
    built: Built, stores: Stores, environ: dict[str, str]
) -> None:
    """It answers an event of the HTTP API with the claims of a viewer."""
    _publish(stores)
    variables = environ | {"DATABASE_CONNINFO": stores.conninfo("admin_api")}
    request = http_request("GET", "/v1/versions")
    claims = {"sub": "ana", "cognito:groups": ["viewer"]}
    with built.boot("admin_api", variables) as sandbox:
        event = events.event(request, find_route("GET", "/v1/versions"), "/v1/versions", claims)
        status, body = _answer(sandbox.invoke(event))
    assert status == 200
    assert [(item["image_tag"], item["is_latest"]) for item in body["items"]] == [
        ("stable", True)
    ]


def test_console_shows_its_first_page(
    built: Built, stores: Stores, environ: dict[str, str]
) -> None:
    """It finds the session that a cookie names, and leads everybody else to the sign-in."""
    sessions = Sessions(Table(stores.client, environ["SESSION_TABLE_NAME"]))
    session = sessions.open("ana@example.com", ["viewer"], datetime.now(UTC))
    variables = environ | {"DATABASE_CONNINFO": stores.conninfo("console")}
    with built.boot("console", variables) as sandbox:
        known, unknown = (
            sandbox.invoke(_console_event(cookie)) for cookie in (session.id, "x" * 43)
        )
    assert (known["statusCode"], "ana@example.com" in known["body"]) == (200, True)
    assert unknown["statusCode"] == 303


def _console_event(cookie: str) -> dict[str, Any]:
    request = http_request("GET", "/console", headers={"cookie": f"kiloclaw={cookie}"})
    return events.event(request, find_route("GET", "/console"), "/console", None)


def test_sign_in_answers(built: Built, environ: dict[str, str]) -> None:
    """Without its issuer it says so, with a page: what it imports is there."""
    request = http_request("GET", "/console/sign-in")
    with built.boot("sign_in", environ) as sandbox:
        answer = sandbox.invoke(
            events.event(request, find_route("GET", request.path), request.path, None)
        )
    assert (answer["statusCode"], answer["headers"]["retry-after"]) == (503, "5")
    assert "Signing in is not possible right now" in answer["body"]


def test_fleet_copies(built: Built, stores: Stores, environ: dict[str, str]) -> None:
    """It takes in a batch of the stream, with an item that is no instance."""
    variables = {**environ, "DATABASE_CONNINFO": stores.conninfo("fleet")}
    with built.boot("fleet", variables) as sandbox:
        batch = [stream_record("ana"), stream_record("bob", decided_at="yesterday")]
        assert sandbox.invoke({"Records": batch}) is None
    assert stores.sql("SELECT user_id FROM kiloclaw_instances") == [("ana",)]


def test_sync_runs(built: Built, stores: Stores, environ: dict[str, str]) -> None:
    """It imports an entry that a pipeline wrote."""
    stores.put_entry("fresh")
    with built.boot(
        "sync", environ | {"DATABASE_CONNINFO": stores.conninfo("sync")}
    ) as sandbox:
        report = sandbox.invoke({})
    assert (report["outcome"], report["seen"], report["inserted"]) == ("ok", 1, 1)


def test_migrate_applies(built: Built, stores: Stores, environ: dict[str, str]) -> None:
    """It applies every migration to an empty database, once."""
    with psycopg.connect(stores.server.superuser(), autocommit=True) as connection:
        create_database(connection, f"{stores.dbname}_empty")
    variables = environ | {
        "DATABASE_CONNINFO": stores.server.conninfo(
            f"{stores.dbname}_empty", "kiloclaw_migrate"
        ),
        "PGPASSWORD": PASSWORD,
    }
    with built.boot("migrate", variables) as sandbox:
        answers = [sandbox.invoke({}), sandbox.invoke({})]
    applied = [migration.name for migration in migrations()]
    assert answers == [{"applied": applied}, {"applied": []}]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_nothing_is_opened_before_the_first_event(built: Built, name: str) -> None:
    """A snapshot of a sandbox holds no connection and needs no setting."""
    command = isolated(IMPORT, built.folder / name, built.runtime, f"functions.{name}.handler")
    done = subprocess.run(command, env={}, cwd=built.folder, capture_output=True, check=False)
    assert (done.stdout.decode(), done.stderr.decode()) == ("", "")


def _publish(stores: Stores) -> None:
    catalog = stores.catalog()
    publication = Publication("stable", "2026.11.1", set_latest=True)
    publish(publication, by=Initiator("tests"), catalog=catalog, kv=stores.kv())
    catalog.database.close()


def _answer(event: Any) -> tuple[int, Any]:
    return event["statusCode"], json.loads(event["body"])
