"""Functions use every right on the table that they have: rights against recorded calls."""

import json
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from functions.admin_api import handler as admin_api
from functions.provisioning import handler as provisioning
from functions.sign_in import dependencies as sign_in
from functions.sync import handler as sync
from shared.domain.model import ImageEntry
from shared.kv import KV
from shared.kv.sessions import Sessions, form_token
from shared.kv.table import Table, connect
from shared.runtime import dependencies as wiring
from shared.runtime.settings import Settings
from tests.infra.test_rights import RIGHTS, SESSIONS, TABLE, Right
from tests.support.signing_in import ORIGIN, sign_in_system
from tests.support.stores import Stores, make_session_table
from tests.support.stream_records import instance_item

OLD, NEW = "kiloclaw-1", "kiloclaw-2"
DIGESTS = [f"sha256:{number:064x}" for number in range(9)]

UseOf = Callable[[Any, str], tuple["Used", Callable[[Any], Any]]]


class Used:
    """Collects the rights that calls need, one for each partition key."""

    def __init__(self) -> None:
        self.rights: set[Right] = set()

    def connect(self) -> Any:
        """Make the functions' own client and record its calls."""
        client = connect()
        client.meta.events.register("provide-client-params.dynamodb", self._record)
        return client

    def _record(self, params: dict[str, Any], model: Any, **_: object) -> None:
        self.rights |= set(_needed(model.name, params))


def _needed(operation: str, params: dict[str, Any]) -> Iterator[Right]:
    match operation:
        case "TransactWriteItems":
            writes = (write for item in params["TransactItems"] for write in item.items())
            for kind, write in writes:
                yield from _needed(f"{kind}Item", write)
        case "BatchGetItem":
            [wanted] = params["RequestItems"].values()
            yield from (_right(operation, key) for key in wanted["Keys"])
        case "Scan":
            yield (f"dynamodb:{operation}", TABLE, ())
        case "Query":
            yield _right(operation, {"pk": params["ExpressionAttributeValues"][":pk"]})
        case _:
            action, table, (key,) = _right(operation, params.get("Item") or params["Key"])
            yield (action, table, (key + _part(operation, key, params),))


def _part(operation: str, key: str, params: dict[str, Any]) -> str:
    """The attributes that an update of a pointer names, the keys included."""
    if (operation, key) != ("UpdateItem", "POINTER"):
        return ""
    written = re.findall(r"(\w+) = ", params["UpdateExpression"])
    checked = params["ExpressionAttributeNames"].values()
    return f": {' '.join(sorted({'pk', 'sk', *written, *checked}))}"


def _right(operation: str, item: dict[str, Any]) -> Right:
    table, key = (SESSIONS, "id") if "id" in item else (TABLE, "pk")
    kind, hash_, _ = item[key]["S"].partition("#")
    return (f"dynamodb:{operation}", table, (f"{kind}#*" if hash_ else kind,))


def granted(role: str) -> set[Right]:
    """List a role's rights on both tables, one for each partition key."""
    return {
        (action, resource, (key,) if key else ())
        for action, resource, keys in RIGHTS[role]
        if action.startswith("dynamodb:")
        for key in keys or ("",)
    }


@pytest.fixture
def used(stores: Stores, monkeypatch: pytest.MonkeyPatch) -> Iterator[UseOf]:
    """Run a function on the stores of the test and collect the rights that it used."""

    def of(module: Any, name: str) -> tuple[Used, Callable[[Any], Any]]:
        record = Used()
        monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", name)
        monkeypatch.setenv("POWERTOOLS_METRICS_NAMESPACE", "KiloClaw")
        monkeypatch.setattr(wiring, "connect", record.connect)
        deps = wiring.wire(Settings(stores.conninfo(name), stores.table, sync_max_new=0))
        stack.callback(deps.database.close)
        monkeypatch.setattr(module, "dependencies", lambda: deps)
        return record, lambda event: module.handler(event, None)

    with ExitStack() as stack:
        yield of


def request(method: str, path: str, body: object = None, query: str = "") -> dict[str, Any]:
    """Build an event of the HTTP API with the claims of an administrator."""
    claims = {"sub": "ana", "cognito:groups": "[admin]"}
    return {
        "version": "2.0",
        "routeKey": "ANY /v1/{proxy+}",
        "rawPath": path,
        "rawQueryString": query,
        "headers": {"content-type": "application/json"},
        "body": json.dumps(body),
        "isBase64Encoded": False,
        "requestContext": {
            "http": {"method": method, "path": path},
            "requestId": str(uuid4()),
            "authorizer": {"jwt": {"claims": claims}},
        },
    } | ({} if body is not None else {"body": None})


def undo_publish(kv: KV) -> None:
    """Undo an entry as a publish does whose catalog half was refused."""
    now = datetime.now(UTC)
    entry = ImageEntry("kiloclaw-3", "2026.11.1", "default", now, DIGESTS[3])
    kv.entries.undo(
        kv.entries.register(entry, variant_given=True, by="ana", token="mine", now=now)
    )
    assert kv.entries.find(entry.image_tag, now) is None


def start_rollout(stores: Stores, tag: str, failed: int = 0) -> None:
    """Roll a version out to everybody; so many of its starts have failed so far."""
    rollout = {"candidate_tag": tag, "percent": 100, "salt": "salt"}
    brake = {"brake_min_failures": 1, "brake_percent": 1}
    stores.put("POINTER", "default", revision=9, latest_tag=NEW, **rollout, **brake)
    stores.put("ROLLOUT", "salt", ok=0, failed=failed)


def test_provisioning_uses_all_that_it_may(stores: Stores, used: UseOf) -> None:
    """It starts users on a version that the KV alone knows, holds it, and destroys one."""
    stores.put_entry(NEW)
    stores.put("POINTER", "default", revision=1, latest_tag=NEW)
    record, invoke = used(provisioning, "provisioning")
    assert invoke({"user_id": "u1"})["image_tag"] == NEW
    stores.put_entry(OLD)
    start_rollout(stores, OLD)
    assert invoke({"user_id": "u1"})["source"] == "rollout"
    report = {"intent": "report", "image_tag": OLD, "outcome": "failed", "start_id": "1"}
    assert invoke({"user_id": "u1"} | report) == {"counted": True, "held": True}
    assert invoke({"user_id": "u1", "intent": "destroy"})["destroyed"]
    assert record.rights == granted("provisioningrole")


def test_sync_uses_all_that_it_may(stores: Stores, used: UseOf) -> None:
    """It imports entries, writes a tombstone, copies pointers and rebuilds both copies."""
    stores.put_entry(OLD, image_digest=DIGESTS[1])
    stores.put_entry(NEW, image_digest=DIGESTS[2])
    start_rollout(stores, "kiloclaw-nowhere", failed=1)
    stores.put("POINTER", "lts", revision=1, latest_tag="kiloclaw-nowhere")
    record, invoke = used(sync, "sync")
    assert invoke({})["inserted"] == 2
    stores.sql(
        "UPDATE kiloclaw_available_versions SET status = 'disabled', retired_at = now()"
        " WHERE image_tag = %(tag)s",
        tag=OLD,
    )
    for pk, sk in (("IMAGE", NEW), ("POINTER", "default")):
        key = {"pk": {"S": pk}, "sk": {"S": sk}}
        stores.client.delete_item(TableName=stores.table, Key=key)
    report = invoke({"rebuild": "kv"})
    assert (report["entries"], report["tombstones"], report["pointers_copied"]) == (1, 1, 1)
    assert invoke({"release_claim": DIGESTS[1]})["image_tag"] == OLD
    stores.put("INSTANCE#u1", "IMAGE", **instance_item("u1"))
    assert invoke({"rebuild": "fleet"})["done"]
    assert record.rights == granted("syncrole")


def test_sign_in_uses_all_that_it_may(dynamodb: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A person signs in and out."""
    record = Used()
    monkeypatch.setattr(sign_in, "connect", record.connect)
    with sign_in_system(dynamodb) as system:
        browser = system.browser()
        browser.sign_in()
        [cookie] = browser.cookies.values()
        browser.post("/console/sign-out", {"form_token": form_token(cookie)}, origin=ORIGIN)
        assert system.items("SESSION") == []
    assert record.rights == granted("signinrole")


def test_the_console_uses_its_rights_on_sessions(dynamodb: Any) -> None:
    """It finds a session, and later notes that it is used. The rest is the admin API's."""
    record, table, now = Used(), make_session_table(dynamodb), datetime.now(UTC)
    session = Sessions(Table(dynamodb, table)).open("ana", [], now)
    client = record.connect()
    assert Sessions(Table(client, table)).find(session.id, now + timedelta(minutes=5))
    client.close()
    assert record.rights == granted("consolerole") - granted("adminapirole")


def test_the_admin_api_uses_all_that_it_may(stores: Stores, used: UseOf) -> None:
    """It publishes, undoes, moves pointers, retires, syncs, lists instances and erases."""
    record, invoke = used(admin_api, "admin_api")

    def ask(method: str, path: str, body: object = None, query: str = "") -> int:
        status: int = invoke(request(method, path, body, query))["statusCode"]
        return status

    def publish(tag: str, digest: str, **more: object) -> int:
        version = {"image_tag": tag, "image_digest": digest, "openclaw_version": "2026.11.1"}
        return ask("POST", "/v1/versions", version | more)

    assert publish(OLD, DIGESTS[1], set_latest=True) == 201
    assert publish(NEW, DIGESTS[2]) == 201
    undo_publish(KV(record.connect(), stores.table))
    assert ask("POST", f"/v1/versions/{NEW}/promote", {}) == 200
    assert ask("PUT", "/v1/variants/default/rollout", {"image_tag": OLD, "percent": 5}) == 200
    start_rollout(stores, OLD, failed=1)
    assert ask("POST", "/v1/sync") == 200
    assert ask("POST", "/v1/variants/default/rollout/resume") == 200
    assert ask("GET", "/v1/variants/default") == 200
    assert ask("DELETE", "/v1/variants/default/rollout") == 204
    assert ask("DELETE", f"/v1/versions/{OLD}") == 204
    assert ask("POST", "/v1/sync") == 200
    stores.put("INSTANCE#u1", "IMAGE", user_id="u1", running_tag=NEW)
    assert ask("GET", "/v1/instances") == 200
    assert ask("GET", "/v1/users/u1/resolution") == 200
    assert ask("POST", "/v1/users/u1/erase") == 204
    assert record.rights == granted("adminapirole")
