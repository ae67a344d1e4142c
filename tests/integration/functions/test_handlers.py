"""The handlers that are invoked directly: what they take, answer, refuse and count."""

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from functions.fleet import handler as fleet
from functions.provisioning import handler as provisioning
from functions.sync import handler as sync
from infra.local.aws.scheduler import scheduled_event
from infra.local.postgres import Postgres
from infra.local.processes import free_port
from shared.domain.errors import (
    CatalogUnavailable,
    KVUnavailable,
    NoVersionAvailable,
)
from shared.domain.fleet_position import FleetPosition
from shared.runtime.dependencies import CatalogDependencies
from tests.support.admin_api import Api, api_on, sandbox
from tests.support.concurrent_actors import digest
from tests.support.stores import Stores, make_stores
from tests.support.stream_records import instance_item, stream_record

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
    """A start gets the latest, a restart what was recorded; null counts as omitted."""
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
    """A pin decides, and one that does not apply is reported and counted."""
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
    """The record is forgotten once, and the pin stays."""
    api.pin("cleo", "one")
    provision(user_id="cleo")
    for destroyed in (True, False):
        answer = provision(user_id="cleo", intent="destroy")
        assert answer == {"user_id": "cleo", "destroyed": destroyed}
    assert provision(user_id="cleo")["source"] == "pin"


def test_reporting_without_the_catalog(
    api: Api, no_catalog: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Reports are counted and hold the rollout while Postgres is down; the hold is counted."""
    api.publish("three")
    body = {"image_tag": "three", "percent": 100, "brake": {"min_failures": 2, "percent": 50}}
    assert api.call("PUT", "/v1/variants/default/rollout", body).status == 200
    assert provision(user_id="hal")["source"] == "rollout"
    capsys.readouterr()
    told = {"user_id": "hal", "intent": "report", "image_tag": "three", "outcome": "failed"}
    with sandbox(provisioning, api.stores, "provisioning", DATABASE_CONNINFO=no_catalog):
        assert provision(**told, start_id="1") == {"counted": True, "held": False}
        assert provision(**told, start_id="1") == {"counted": False, "held": False}
        assert counted(capsys) == set()
        assert provision(**told, start_id="2") == {"counted": True, "held": True}
        assert counted(capsys) == {"RolloutHeld"}
        assert provision(**told, start_id="2") == {"counted": False, "held": True}
    assert counted(capsys) == set()
    assert provision(user_id="ida")["image_tag"] == "two"
    assert api.call("DELETE", "/v1/variants/default/rollout").status == 204


def test_reporting_without_the_kv(api: Api, no_kv: str) -> None:
    """The caller is told to repeat it."""
    told = {"user_id": "hal", "intent": "report", "image_tag": "three", "outcome": "failed"}
    with (
        sandbox(provisioning, api.stores, "provisioning", AWS_ENDPOINT_URL_DYNAMODB=no_kv),
        pytest.raises(KVUnavailable),
    ):
        provision(**told, start_id="1")


def test_nothing_to_run(api: Api, capsys: pytest.CaptureFixture[str]) -> None:
    """The refusal is raised and counted."""
    with pytest.raises(NoVersionAvailable):
        provision(user_id="dan", variant="empty")
    assert counted(capsys) == {"NoVersionAvailable"}


def test_without_the_kv(api: Api, no_kv: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Starts are answered without being recorded; only destroying needs the KV."""
    with sandbox(provisioning, api.stores, "provisioning", AWS_ENDPOINT_URL_DYNAMODB=no_kv):
        answer = provision(user_id="eve", running_tag="one")
        kept = provision(user_id="eve", running_tag="one", intent="restart")
        with pytest.raises(KVUnavailable):
            provision(user_id="eve", intent="destroy")
    assert (answer["degraded"], kept["source"]) == (True, "instance")
    assert counted(capsys) == {
        "ResolvedByLatest", "ResolvedByInstance", "DegradedAnswer", "NotRecorded",
        "KVUnavailable",
    }  # fmt: skip


def test_without_the_catalog(
    api: Api, no_catalog: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A known user keeps what runs; for a stranger the error is raised and counted."""
    provision(user_id="fay")
    capsys.readouterr()
    with sandbox(provisioning, api.stores, "provisioning", DATABASE_CONNINFO=no_catalog):
        assert provision(user_id="fay")["pin_state"] == "unknown"
        assert counted(capsys) == {"ResolvedByInstance", "DegradedAnswer", "NotRecorded"}
        with pytest.raises(CatalogUnavailable):
            provision(user_id="gus")
    assert counted(capsys) == {"CatalogUnavailable"}


def test_syncing(api: Api, capsys: pytest.CaptureFixture[str]) -> None:
    """Invoked directly or by the scheduler, a run answers its report and counts metrics."""
    api.stores.put_entry("found", image_digest=digest("two"))
    api.stores.sql(
        "INSERT INTO kiloclaw_idempotency_keys"
        "       (call_hash, content_hash, state, running_until, expires_at)"
        " VALUES ('old', '', 'done', now(), now()), ('new', '', 'done', now(), 'infinity')"
    )
    with sandbox(sync, api.stores, "sync", SYNC_MAX_NEW="0"):
        first = json.loads(json.dumps(sync.handler({}, None)))
        second = sync.handler(scheduled_event(), None)
    assert first.keys() == REPORT
    assert (first["outcome"], first["rejected_total"], second["rejected_total"]) == ("ok", 1, 1)
    assert [item["code"] for item in first["rejected"]] == ["digest_in_use"]
    assert api.stores.sql("SELECT call_hash FROM kiloclaw_idempotency_keys") == [("new",)]
    runs = api.stores.sql("SELECT trigger FROM kiloclaw_sync_runs ORDER BY started_at")
    assert runs == [("direct",), ("schedule",)]
    assert {
        "SyncOk", "OpenFindings", "FailedVariants", "CatalogAge", "OverdueEvents", "NewestSeal",
        "NewestSealHash", "HeldRollouts",
    } <= counted(capsys)  # fmt: skip


def test_sealing_while_the_kv_is_down(
    stores: Stores,
    no_kv: str,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The run fails, but the log is sealed: people's decisions need no KV."""
    with api_on(stores) as api:
        api.publish("one")
    with sandbox(sync, stores, "sync", AWS_ENDPOINT_URL_DYNAMODB=no_kv):
        with pytest.raises(KVUnavailable):
            sync.handler({}, None)
        answer = json.loads(json.dumps(sync.handler({"verify": "audit"}, None)))
    assert answer == {
        "sealed_through": 1, "events": 1, "seals": 1, "unsealed": 0, "ok": True,
        "first_bad_event": None, "complete": True,
    }  # fmt: skip
    [(seal, content)] = stores.sql("SELECT id, hash FROM kiloclaw_audit_seals")
    [line] = [vars(one) for one in caplog.records if one.message == "audit log sealed"]
    assert (line["newest_seal"], line["newest_hash"]) == (seal, content.hex())
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    [metrics] = [line for line in lines if "NewestSeal" in line]
    assert metrics["NewestSeal"] == [1.0]
    assert f"{int(metrics['NewestSealHash'][0]):012x}" == content.hex()[:12]


def test_a_forged_log(
    stores: Stores, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    """A verification that fails is an error in the log, and a metric that alarms."""
    with api_on(stores) as api:
        api.publish("one")
    with sandbox(sync, stores, "sync"):
        sync.handler({}, None)
        stores.sql(
            "ALTER TABLE kiloclaw_audit_log DISABLE TRIGGER ALL;"
            "UPDATE kiloclaw_audit_log SET actor = 'nobody';"
            "ALTER TABLE kiloclaw_audit_log ENABLE TRIGGER ALL"
        )
        capsys.readouterr()
        answer = sync.handler({"verify": "audit"}, None)
    assert (answer["ok"], answer["first_bad_event"]) == (False, 1)
    [line] = [one for one in caplog.records if one.message == "audit log verified"]
    assert line.levelname == "ERROR"
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["AuditNotVerified"] for line in lines if "_aws" in line] == [[1.0]]


@pytest.mark.parametrize("what", ["catalog", "kv"])
def test_rebuilding(stores: Stores, what: str) -> None:
    """All that one store lost is rebuilt at once, and a sync has nothing left to do."""
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


def test_rebuilding_the_fleets_copy(stores: Stores) -> None:
    """The answer says what was done, and a call with its `next` goes on."""
    stores.put("INSTANCE#ana", "IMAGE", **instance_item("ana"))
    last = FleetPosition({}, "ana").to_text()
    with sandbox(sync, stores, "sync"):
        first = json.loads(json.dumps(sync.handler({"rebuild": "fleet"}, None)))
        again = sync.handler({"rebuild": "fleet", "next": None}, None)
        rest = sync.handler({"rebuild": "fleet", "next": last}, None)
    assert first == {"read": 1, "written": 1, "removed": 0, "done": True, "next": None}
    assert again == first | {"written": 0}
    assert rest == first | {"read": 0, "written": 0}


def test_a_batch_waits_for_the_one_before_it(
    stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has the function's time, and not only the few seconds of a start."""
    monkeypatch.setattr(CatalogDependencies, "catalog_seconds", 0.3)
    other = stores.catalog("sync")
    with sandbox(fleet, stores, "fleet"), ThreadPoolExecutor(1) as threads:
        with other.transaction() as tx:
            tx.fleet.take_turn()
            waiting = threads.submit(fleet.handler, {"Records": [stream_record("ana")]}, None)
            time.sleep(0.8)
            assert not waiting.done()
        waiting.result()
    other.database.close()
    assert stores.sql("SELECT user_id FROM kiloclaw_instances") == [("ana",)]


def test_copying_the_stream(stores: Stores, capsys: pytest.CaptureFixture[str]) -> None:
    """A batch is applied, and metrics say how many records and how old the newest was."""
    with sandbox(fleet, stores, "fleet"):
        fleet.handler({"Records": [stream_record("ana"), stream_record("bob")]}, None)
        assert counted(capsys) >= {"FleetRecordsApplied", "FleetRecordsSkipped", "FleetCopyAge"}
        removal = stream_record("ana", "REMOVE")
        fleet.handler({"Records": [removal, stream_record("eve", variant="!")]}, None)
    assert stores.sql("SELECT user_id FROM kiloclaw_instances") == [("bob",)]
    [metrics] = [line for line in capsys.readouterr().out.splitlines() if "_aws" in line]
    assert json.loads(metrics)["FleetRecordsApplied"] == [1.0]
    assert json.loads(metrics)["FleetRecordsSkipped"] == [1.0]
