"""The handlers that are invoked directly: what they take, answer, refuse and count."""

import json
import re
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from functions.migrate import handler as migrate
from functions.provisioning import handler as provisioning
from functions.sync import handler as sync
from infra.local.aws.scheduler import scheduled_event
from infra.local.postgres import Postgres
from infra.local.processes import free_port
from shared.domain.errors import (
    CatalogUnavailable,
    InvalidRequest,
    KVUnavailable,
    NoVersionAvailable,
)
from shared.runtime.settings import SettingMissing
from tests.support.admin_api import Api, api_on, sandbox
from tests.support.concurrent_actors import digest
from tests.support.stores import PASSWORD, Stores, create_database, make_stores

ANSWER = {
    "user_id", "image_tag", "image_digest", "openclaw_version", "variant", "source",
    "is_pinned", "pin_state", "status", "changed", "previous", "degraded", "recorded",
    "resolved_at",
}  # fmt: skip
PREVIOUS = {
    "image_tag", "image_digest", "openclaw_version", "variant", "source", "is_pinned",
    "resolved_at",
}  # fmt: skip
REPORT = {
    "run_id", "outcome", "seen", "inserted", "updated", "filled", "unchanged", "deferred",
    "missing", "pointers_copied", "rejected", "rejected_total", "duration_ms",
}  # fmt: skip


@pytest.fixture(scope="module")
def api(postgres_server: Postgres, dynamodb: Any) -> Iterator[Api]:
    """Two versions, of which `two` is the latest, and a sandbox of provisioning."""
    stores = make_stores(postgres_server, dynamodb)
    with api_on(stores) as made, sandbox(provisioning, stores, "provisioning"):
        made.publish("one", image_digest=digest("one"))
        made.publish("two", image_digest=digest("two"))
        made.promote("two")
        yield made


@pytest.fixture
def no_catalog(api: Api) -> str:
    """Where no database listens."""
    return f"host=127.0.0.1 port={free_port()} user=x dbname=x connect_timeout=2"


@pytest.fixture
def no_kv() -> str:
    """Where no table is served."""
    return f"http://127.0.0.1:{free_port()}"


def provision(**payload: object) -> Any:
    """The answer, as the caller reads it."""
    return json.loads(json.dumps(provisioning.handler(payload, None)))


def counted(capsys: pytest.CaptureFixture[str]) -> set[str]:
    """The metrics that were written, each event's on a line of JSON."""
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    return {
        metric["Name"]
        for line in lines
        if "_aws" in line
        for written in line["_aws"]["CloudWatchMetrics"]
        for metric in written["Metrics"]
    }


def test_starting(api: Api, capsys: pytest.CaptureFixture[str]) -> None:
    """The latest, then what was recorded; a null optional field is an omitted one."""
    first = provision(user_id="ana")
    assert first.keys() == ANSWER
    assert (first["image_tag"], first["image_digest"]) == ("two", digest("two"))
    assert (first["source"], first["status"], first["pin_state"]) == (
        "latest",
        "active",
        "none",
    )
    assert (first["changed"], first["previous"], first["recorded"]) == (True, None, True)
    assert counted(capsys) == {"ResolvedByLatest"}
    again = provision(user_id="ana", intent="restart", variant=None, running_tag="one")
    assert (again["source"], again["changed"], again["degraded"]) == ("instance", False, False)
    assert again["previous"].keys() == PREVIOUS
    assert again["previous"]["resolved_at"] == first["resolved_at"]
    assert counted(capsys) == {"ResolvedByInstance"}


def test_a_pin_decides(api: Api, capsys: pytest.CaptureFixture[str]) -> None:
    """And is told of and counted where it does not."""
    api.publish("fragile")
    api.pin("ben", "fragile", reason="why")
    capsys.readouterr()
    pinned = provision(user_id="ben", intent="upgrade")
    assert (pinned["image_tag"], pinned["is_pinned"]) == ("fragile", True)
    assert (pinned["pin_state"], pinned["image_digest"]) == ("applied", None)
    assert counted(capsys) == {"ResolvedByPin"}
    api.patch("fragile", status="disabled", force=True)
    capsys.readouterr()
    suspended = provision(user_id="ben")
    assert (suspended["image_tag"], suspended["pin_state"]) == ("two", "suspended")
    assert counted(capsys) == {"ResolvedByLatest", "PinNotApplied"}


def test_destroying(api: Api) -> None:
    """The record is forgotten, once; the pin stays."""
    api.pin("cleo", "one")
    provision(user_id="cleo")
    for destroyed in (True, False):
        answer = provision(user_id="cleo", intent="destroy")
        assert answer == {"user_id": "cleo", "destroyed": destroyed}
    assert provision(user_id="cleo")["source"] == "pin"


def test_nothing_to_run(api: Api, capsys: pytest.CaptureFixture[str]) -> None:
    """Raised, and counted."""
    with pytest.raises(NoVersionAvailable):
        provision(user_id="dan", variant="empty")
    assert counted(capsys) == {"NoVersionAvailable"}


def test_without_the_kv(api: Api, no_kv: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Answers go on, unrecorded; only forgetting needs it."""
    with sandbox(provisioning, api.stores, "provisioning", AWS_ENDPOINT_URL_DYNAMODB=no_kv):
        answer = provision(user_id="eve", running_tag="one")
        kept = provision(user_id="eve", running_tag="one", intent="restart")
        with pytest.raises(KVUnavailable):
            provision(user_id="eve", intent="destroy")
    assert (answer["image_tag"], answer["source"]) == ("two", "latest")
    assert (answer["degraded"], answer["recorded"], answer["changed"]) == (True, False, True)
    assert (kept["image_tag"], kept["source"], kept["changed"]) == ("one", "instance", False)
    assert counted(capsys) == {
        "ResolvedByLatest", "ResolvedByInstance", "DegradedAnswer", "NotRecorded",
        "KVUnavailable",
    }  # fmt: skip


def test_without_the_catalog(
    api: Api, no_catalog: str, no_kv: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Who is known keeps what runs; for strangers, and without the KV, it refuses."""
    provision(user_id="fay")
    capsys.readouterr()
    with sandbox(provisioning, api.stores, "provisioning", DATABASE_CONNINFO=no_catalog):
        kept = provision(user_id="fay")
        assert counted(capsys) == {"ResolvedByInstance", "DegradedAnswer", "NotRecorded"}
        with pytest.raises(CatalogUnavailable):
            provision(user_id="gus")
        both = {"DATABASE_CONNINFO": no_catalog, "AWS_ENDPOINT_URL_DYNAMODB": no_kv}
        with (
            sandbox(provisioning, api.stores, "provisioning", **both),
            pytest.raises(CatalogUnavailable),
        ):
            provision(user_id="fay")
    assert (kept["image_tag"], kept["source"], kept["pin_state"]) == (
        "two",
        "instance",
        "unknown",
    )
    assert (kept["status"], kept["degraded"], kept["recorded"]) == (None, True, False)


PAYLOADS: list[tuple[object, str]] = [
    (None, "payload"), ([], "payload"), ("ana", "payload"), ({}, "user_id"),
    ({"user_id": None}, "user_id"), ({"user_id": ""}, "user_id"), ({"user_id": 7}, "user_id"),
    ({"user_id": "a\x00"}, "user_id"), ({"user_id": "a\ud800"}, "user_id"),
    ({"user_id": "x" * 256}, "user_id"), ({"user_id": "a", "intent": "stop"}, "intent"),
    ({"user_id": "a", "intent": ["restart"]}, "intent"),
    ({"user_id": "a", "intent": {"a": 1}}, "intent"),
    ({"user_id": "a", "variant": "GPU"}, "variant"),
    ({"user_id": "a", "variant": 1}, "variant"),
    ({"user_id": "a", "running_tag": "latest"}, "running_tag"),
    ({"user_id": "a", "running_tag": False}, "running_tag"),
    ({"user_id": "a", "user\n": 1}, "user\\n"), ({"user_id": "a", "x" * 99: 1}, "x" * 64),
    ({"user_id": "a", "unknown": None}, "unknown"),
]  # fmt: skip


@pytest.mark.parametrize(("payload", "field"), PAYLOADS, ids=lambda it: repr(it)[:40])
def test_a_payload_that_is_none(api: Api, payload: object, field: str) -> None:
    """The field is named on one line, and no value is repeated."""
    with pytest.raises(InvalidRequest, match=f"(^|; ){re.escape(field)}: ") as refused:
        provisioning.handler(payload, None)
    assert str(refused.value).isprintable()


def test_syncing(api: Api, capsys: pytest.CaptureFixture[str]) -> None:
    """Directly or by the scheduler: the report, and its metrics."""
    api.stores.put_entry("found", image_digest=digest("two"))
    with sandbox(sync, api.stores, "sync", SYNC_MAX_NEW="0"):
        first = json.loads(json.dumps(sync.handler({}, None)))
        second = sync.handler(scheduled_event(), None)
    assert first.keys() == REPORT
    assert (first["outcome"], first["rejected_total"], second["rejected_total"]) == ("ok", 1, 1)
    assert [item["code"] for item in first["rejected"]] == ["digest_in_use"]
    runs = api.stores.sql("SELECT trigger FROM kiloclaw_sync_runs ORDER BY started_at")
    assert runs == [("direct",), ("schedule",)]
    assert {"SyncOk", "OpenFindings", "FailedVariants", "CatalogAge"} <= counted(capsys)


@pytest.mark.parametrize("what", ["catalog", "kv"])
def test_rebuilding(stores: Stores, what: str) -> None:
    """All that one store has and the other lost, at once; then there is nothing to do."""
    with api_on(stores) as lost:
        for number in range(7):
            lost.publish(f"v-{number}", image_digest=digest(number))
    if what == "kv":
        for item in stores.items("IMAGE"):
            stores.client.delete_item(
                TableName=stores.table, Key={"pk": item["pk"], "sk": item["sk"]}
            )
    else:
        stores.sql("DELETE FROM kiloclaw_available_versions")
    with sandbox(sync, stores, "sync"):
        sync.handler({"rebuild": what}, None)
        report = sync.handler({}, None)
    assert (report["seen"], report["unchanged"], report["missing"]) == (7, 7, 0)


@pytest.mark.parametrize(
    "payload", [None, [], {"a": 1}, {"source": "aws.events"}, "{}"], ids=str
)
def test_an_event_that_is_not_for_sync(api: Api, payload: object) -> None:
    """Refused before any store is asked."""
    with sandbox(sync, api.stores, "sync"), pytest.raises(InvalidRequest):
        sync.handler(payload, None)


class _Context:
    """Of an invocation with plenty of time."""

    def get_remaining_time_in_millis(self) -> int:
        return 60_000


def test_migrating(
    postgres_server: Postgres, dynamodb: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every migration once; again there is nothing to do. Only `{}` is taken."""
    with psycopg.connect(postgres_server.superuser(), autocommit=True) as connection:
        create_database(connection, "to_migrate")
    conninfo = postgres_server.conninfo("to_migrate", "kiloclaw_migrate", PASSWORD)
    monkeypatch.setenv("DATABASE_CONNINFO", conninfo)
    context = _Context()
    applied = migrate.handler({}, context)["applied"]
    assert applied == sorted(applied)
    assert applied[0].startswith("0001")
    assert migrate.handler({}, context) == {"applied": []}
    with pytest.raises(InvalidRequest):
        migrate.handler({"now": True}, context)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DATABASE_CONNINFO", ""), ("TABLE_NAME", ""), ("SYNC_MAX_NEW", "-1"),
        ("SYNC_MAX_NEW", "٥"), ("SYNC_MAX_NEW", ""), ("PUBLISHER_MAY_PROMOTE", "yes"),
    ],
)  # fmt: skip
def test_a_setting_that_cannot_be_read(api: Api, name: str, value: str) -> None:
    """The variable is named at the first event; nothing is guessed."""
    with pytest.raises(SettingMissing, match=name), api_on(api.stores, **{name: value}):
        """Nothing is wired."""
