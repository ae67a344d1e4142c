"""The overview, the sync and the log over the admin API."""

from collections.abc import Iterator

import pytest

from infra.local.processes import free_port
from tests.support.admin_api import EMAIL, Api, api_on
from tests.support.concurrent_actors import digest
from tests.support.fleet_copy import copy_fleet
from tests.support.stores import Stores
from tests.support.stream_records import MOMENT, instance_item

REPORT = {
    "run_id", "outcome", "seen", "inserted", "updated", "filled", "unchanged", "deferred",
    "missing", "pointers_copied", "rejected", "rejected_total", "duration_ms",
}  # fmt: skip
EVENT = {
    "id", "at", "actor", "action", "subject", "before", "after", "reason", "request_id"
}  # fmt: skip


@pytest.fixture
def api(stores: Stores) -> Iterator[Api]:
    """Empty stores; a run takes at most two new versions."""
    with api_on(stores, SYNC_MAX_NEW="2") as made:
        yield made


def test_the_overview(api: Api) -> None:
    """Counts of versions and pins by state, and the last run, null before there is one."""
    assert api.get("/v1/stats", roles=("viewer",)) == {
        "versions": {"total": 0, "active": 0, "deprecated": 0, "disabled": 0, "variants": 0},
        "pins": {"total": 0, "suspended": 0, "expired": 0, "expiring_soon": 0, "stale": 0},
        "instances": {"total": 0, "pinned": 0, "drift": 0, "outdated": 0},
        "last_sync": None,
        "as_of": None,
    }
    for tag in ("one", "two", "bad"):
        api.publish(tag)
    api.publish("gpu", variant="gpu")
    api.pin("ana", "bad")
    api.pin("ben", "one", expires_at="2099-01-01T00:00:00Z")
    api.patch("two", status="deprecated")
    api.patch("bad", status="disabled", force=True)
    ran = api.call("POST", "/v1/sync").json
    stats = api.get("/v1/stats")
    assert stats["versions"] == {
        "total": 4, "active": 2, "deprecated": 1, "disabled": 1, "variants": 2
    }  # fmt: skip
    assert stats["pins"] == {
        "total": 2, "suspended": 1, "expired": 0, "expiring_soon": 0, "stale": 0
    }  # fmt: skip
    assert stats["last_sync"]["run_id"] == ran["run_id"]


def test_the_overview_of_the_fleet(api: Api) -> None:
    """Counts of instances and the age of the copy they come from, with the KV down too."""
    for tag in ("one", "two"):
        api.publish(tag, variant="gpu")
    api.promote("one")
    api.pin("pia", "one")
    for user in ("pia", "tom", "ulf"):
        api.stores.put(
            f"INSTANCE#{user}",
            "IMAGE",
            **instance_item(user, running_tag="one", variant="gpu", is_pinned=user == "pia"),
        )
    copy_fleet(api.stores)
    api.promote("two")
    api.pin("ulf", "two")
    counted = {"total": 3, "pinned": 1, "drift": 1, "outdated": 2}
    stats = api.get("/v1/stats")
    assert (stats["instances"], stats["as_of"]) == (counted, MOMENT)
    with api_on(api.stores, AWS_ENDPOINT_URL_DYNAMODB=closed_endpoint()) as without_kv:
        assert without_kv.get("/v1/stats")["instances"] == counted


def test_the_distribution(api: Api) -> None:
    """Instances and pins that hold by version, of all variants or one, with the copy's age."""
    assert api.get("/v1/distribution") == {"items": [], "as_of": None}
    for tag, variant in (("one", "default"), ("two", "default"), ("big", "gpu")):
        api.publish(tag, variant=variant)
    api.pin("pia", "two")
    api.pin("tom", "big")
    api.pin("old", "two")
    api.stores.sql("UPDATE kiloclaw_version_pins SET expires_at = now() WHERE user_id = 'old'")
    for number, (tag, variant) in enumerate(
        [("one", "default"), ("big", "gpu"), ("big", "gpu"), ("lost", "omega")]
    ):
        user = f"user-{number}"
        record = instance_item(user, running_tag=tag, variant=variant)
        api.stores.put(f"INSTANCE#{user}", "IMAGE", **record)
    copy_fleet(api.stores)
    shares = [
        {"image_tag": "big", "instances": 2, "pins": 1},
        {"image_tag": "lost", "instances": 1, "pins": 0},
        {"image_tag": "one", "instances": 1, "pins": 0},
        {"image_tag": "two", "instances": 0, "pins": 1},
    ]
    everything = api.get("/v1/distribution", roles=("viewer",))
    assert everything == {"items": shares, "as_of": MOMENT}
    assert api.get("/v1/distribution?variant=gpu")["items"] == shares[:1]
    assert api.get("/v1/distribution?variant=default")["items"] == shares[2:]
    assert api.call("GET", "/v1/distribution?variant=No").fields == ["variant"]
    with api_on(api.stores, AWS_ENDPOINT_URL_DYNAMODB=closed_endpoint()) as without_kv:
        assert without_kv.get("/v1/distribution") == everything


def closed_endpoint() -> str:
    return f"http://127.0.0.1:{free_port()}"


def test_syncing_now(api: Api) -> None:
    """The report, kept as a run; what the cap defers is taken by the next one."""
    for number in range(3):
        api.stores.put_entry(f"kv-{number}", image_digest=digest(number))
    api.stores.put_entry("thief", image_digest=digest(0), published_at="2026-11-02T00:00:00Z")
    api.stores.put_entry("broken", openclaw_version="<script>")
    first = api.call("POST", "/v1/sync").json
    assert first.keys() == REPORT
    assert (first["outcome"], first["seen"], first["inserted"]) == ("ok", 5, 2)
    assert (first["deferred"], first["rejected_total"]) == (1, 2)
    assert [item.keys() for item in first["rejected"]] == [{"image_tag", "code", "detail"}] * 2
    second = api.call("POST", "/v1/sync").json
    assert (second["inserted"], second["unchanged"], second["deferred"]) == (1, 2, 0)
    runs = api.get("/v1/sync-runs", roles=("viewer",))["items"]
    assert [run["run_id"] for run in runs] == [second["run_id"], first["run_id"]]
    assert all(run.keys() == REPORT | {"started_at", "finished_at", "trigger"} for run in runs)
    assert {run["trigger"] for run in runs} == {"api"}
    findings = api.get("/v1/sync-findings", roles=("viewer",))["items"]
    assert {(one["image_tag"], one["code"]) for one in findings} == {
        ("thief", "digest_in_use"), ("broken", "invalid_entry")
    }  # fmt: skip
    assert all(
        one.keys() == {"image_tag", "code", "detail", "first_seen", "last_seen"}
        for one in findings
    )
    assert "script" not in str(findings)


def test_a_run_while_another_is_at_work(api: Api) -> None:
    """200 with `skipped_locked`, and it is a run like any other."""
    with api.stores.server_connection() as busy, busy.transaction():
        busy.execute("SELECT pg_advisory_xact_lock(hashtext('kiloclaw_sync'))")
        answer = api.call("POST", "/v1/sync")
    assert (answer.status, answer.json["outcome"]) == (200, "skipped_locked")
    assert api.get("/v1/sync-runs")["items"][0]["outcome"] == "skipped_locked"


def test_the_log(api: Api) -> None:
    """Who changed what, newest first; users by their id while nobody has erased them."""
    api.publish("one", image_digest=digest("one"))
    api.call("POST", "/v1/versions/one/promote", {"reason": "canaries"})
    api.pin("ana", "one", reason="waits")
    api.call("DELETE", "/v1/users/ana/pin")
    events = api.get("/v1/audit", roles=("viewer",))["items"]
    assert all(event.keys() == EVENT for event in events)
    assert [(event["action"], event["subject"]) for event in events] == [
        ("pin.removed", {"kind": "user", "id": "ana"}),
        ("pin.set", {"kind": "user", "id": "ana"}),
        ("latest.promoted", {"kind": "variant", "id": "default"}),
        ("version.published", {"kind": "version", "id": "one"}),
    ]
    assert {event["actor"] for event in events} == {EMAIL}
    assert len({event["request_id"] for event in events} - {None}) == 4
    assert [event["reason"] for event in events] == [None, "waits", "canaries", None]
    assert events[1]["after"]["image_tag"] == events[0]["before"]["image_tag"] == "one"
    for query, found in (
        ("subject=ana", 2), ("subject=one", 1), ("subject=default", 1), ("subject=An", 0),
        ("action=pin.set", 1), ("actor=ada@example.com", 4), ("actor=ada", 0),
        ("action=pin.set&subject=one", 0),
    ):  # fmt: skip
        assert len(api.get(f"/v1/audit?{query}")["items"]) == found, query


def test_the_log_of_a_time(api: Api) -> None:
    """`since` is included, `until` is not, and both go together with a cursor."""
    for tag in ("a", "b", "c"):
        api.publish(tag)
    newest, middle, oldest = api.get("/v1/audit")["items"]
    since = api.get(f"/v1/audit?since={middle['at']}")["items"]
    assert since == [newest, middle]
    assert api.get(f"/v1/audit?until={middle['at']}")["items"] == [oldest]
    between = f"/v1/audit?since={oldest['at']}&until={newest['at']}&limit=1"
    first = api.get(between)
    assert first["items"] == [middle]
    assert api.get(f"{between}&cursor={first['next_cursor']}")["items"] == [oldest]


def test_why_a_version_was_disabled(api: Api) -> None:
    """The reason of a change of status is in the log."""
    api.publish("bad")
    assert api.patch("bad", status="disabled", reason="it leaks").status == 200
    [event] = api.get("/v1/audit?action=version.status_changed")["items"]
    assert event["reason"] == "it leaks"


def test_the_verification_of_the_log(api: Api) -> None:
    """A run seals the log, and it still verifies when a person has been erased."""
    path = "/v1/audit/verification"
    found = {"sealed_through": None, "events": 0, "seals": 0, "unsealed": 0}
    well = {"ok": True, "first_bad_event": None}
    assert api.get(path, roles=("viewer",)) == found | well
    api.publish("one")
    api.pin("ana", "one", reason="why")
    assert api.get(path) == found | well | {"unsealed": 2}
    assert api.call("POST", "/v1/sync").status == 200
    sealed = {"sealed_through": 2, "events": 2, "seals": 1, "unsealed": 0}
    assert api.get(path) == sealed | well
    assert api.call("POST", "/v1/users/ana/erase").status == 204
    assert api.get(path) == sealed | well | {"unsealed": 1}
    assert "ana" not in str(api.stores.sql("SELECT before, after FROM kiloclaw_audit_log"))
    api.stores.sql(
        "ALTER TABLE kiloclaw_audit_log DISABLE TRIGGER USER;"
        "DELETE FROM kiloclaw_audit_log WHERE id = 2;"
        "ALTER TABLE kiloclaw_audit_log ENABLE TRIGGER USER"
    )
    assert api.get(path) == sealed | {"unsealed": 1, "ok": False, "first_bad_event": 2}
