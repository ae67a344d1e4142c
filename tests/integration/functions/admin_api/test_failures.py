"""When something behind the API fails: 503 while a store is down, else a bare 500."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from time import sleep
from typing import Any

import pytest

from functions.admin_api.routes import operations
from infra.local.postgres import Postgres
from infra.local.processes import free_port
from shared.kv.table import CALL_SECONDS
from tests.support.admin_api import Api, api_on
from tests.support.operations import OPERATIONS, Operation
from tests.support.stores import Stores, make_stores

BEHIND_A_TOKEN = [one for one in OPERATIONS if one.roles]
TAG = "2026.11.1-r1"
BODY = {
    "image_tag": TAG, "openclaw_version": "2026.11.1", "percent": 5,
    "mode": "atomic", "items": [{"op": "unpin", "user_id": "ana@example.com"}],
}  # fmt: skip
BAD, UNPINNED = "2026.11.1-r2", "2026.11.1-r3"
NEEDS_THE_KV = {
    ("POST", "/v1/versions"),
    ("DELETE", "/v1/versions/{image_tag}"), ("POST", "/v1/versions/{image_tag}/promote"),
    ("PUT", "/v1/variants/{variant}/rollout"), ("DELETE", "/v1/variants/{variant}/rollout"),
    ("POST", "/v1/variants/{variant}/rollout/resume"),
    ("POST", "/v1/variants/{variant}/rollback"), ("GET", "/v1/instances/{user_id}"),
    ("POST", "/v1/users/{user_id}/erase"), ("POST", "/v1/sync"),
}  # fmt: skip


def request(api: Api, endpoint: Operation) -> Any:
    return api.call(endpoint.method, endpoint.path, endpoint.body_of(BODY))


@pytest.fixture(scope="module")
def stores(postgres_server: Postgres, dynamodb: Any) -> Stores:
    """The version that all requests are about is there, and no latest."""
    made = make_stores(postgres_server, dynamodb)
    with api_on(made) as api:
        api.publish(TAG)
        api.publish(BAD)
        api.publish(UNPINNED)
        api.pin("ana@example.com", TAG)
        api.call("DELETE", "/v1/users/ana@example.com/pin")
    return made


@pytest.fixture(scope="module")
def without_catalog(stores: Stores) -> Iterator[Api]:
    conninfo = f"host=127.0.0.1 port={free_port()} user=x dbname=x"
    with api_on(stores, DATABASE_CONNINFO=conninfo) as api:
        yield api


@pytest.fixture(scope="module")
def without_kv(stores: Stores) -> Iterator[Api]:
    endpoint = f"http://127.0.0.1:{free_port()}"
    with api_on(stores, AWS_ENDPOINT_URL_DYNAMODB=endpoint) as api:
        yield api


@pytest.mark.parametrize("endpoint", BEHIND_A_TOKEN, ids=str)
def test_without_the_catalog(without_catalog: Api, endpoint: Operation) -> None:
    """503 with `Retry-After` from all that needs it; an instance may not be on record first."""
    answer = request(without_catalog, endpoint)
    if endpoint.template == "/v1/instances/{user_id}":
        assert answer.refusal == (404, "instance_not_found")
        return
    assert answer.refusal == (503, "catalog_unavailable")
    assert int(answer.headers["retry-after"]) > 0


@pytest.mark.parametrize("endpoint", BEHIND_A_TOKEN, ids=str)
def test_without_the_kv(without_kv: Api, endpoint: Operation) -> None:
    """503 from what needs it and no 5xx from anything else, which goes on."""
    answer = request(without_kv, endpoint)
    if (endpoint.method, endpoint.template) in NEEDS_THE_KV:
        assert answer.refusal == (503, "kv_unavailable")
        assert int(answer.headers["retry-after"]) > 0
    else:
        assert answer.status < 500, answer.body


def test_a_version_without_the_kv(without_kv: Api) -> None:
    """All that is only read from Postgres is answered, the number of its instances too."""
    shown = without_kv.get(f"/v1/versions/{UNPINNED}")
    assert (shown["pin_count"], shown["instance_count"], shown["as_of"]) == (0, 0, None)


def test_the_kill_switch_needs_no_kv(without_kv: Api) -> None:
    """Disabling and deprecating go on without it; enabling waits, for it must look."""
    without_kv.patch(BAD, status="deprecated")
    disabled = without_kv.patch(BAD, status="disabled")
    assert (disabled.status, disabled.json["status"]) == (200, "disabled")
    enabled = without_kv.patch(BAD, status="active")
    assert enabled.refusal == (503, "kv_unavailable")


def test_what_nobody_expected(
    postgres_server: Postgres, dynamodb: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    """A bare 500; where it happened is in the log, without the message of the error."""
    stores = make_stores(postgres_server, dynamodb)
    stores.sql("ALTER TABLE kiloclaw_version_pins RENAME TO elsewhere")
    # A logger of its own name: one that was made before writes to another test's output.
    with api_on(stores, POWERTOOLS_SERVICE_NAME="unexpected") as api:
        answer = api.call("GET", "/v1/pins?q=do-not-repeat-me")
        assert answer.refusal == (500, "internal_error")
        assert "elsewhere" not in answer.body.decode()
        assert api.call("GET", "/v1/audit").status == 200
    metrics, line = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
    assert metrics["Unexpected"] == [1.0]
    assert metrics["correlation_id"] == line["correlation_id"]
    assert (line["level"], line["error"]) == ("ERROR", "UndefinedTable")
    assert any(frame.startswith("list_pins:") for frame in line["frames"])
    assert "do-not-repeat-me" not in str(line)


def test_a_move_that_waits_for_the_kv_holds_up_no_kill_switch(
    postgres_server: Postgres, dynamodb: Any
) -> None:
    """Whoever holds the variant's lock waits for a hanging KV no longer than others for it."""
    stores = make_stores(postgres_server, dynamodb)
    with api_on(stores) as api, ThreadPoolExecutor(1) as other:
        api.publish("bad")
        with stores.server_connection() as move, move.transaction():
            move.execute("SELECT FROM kiloclaw_variants WHERE variant = 'default' FOR UPDATE")
            disabling = other.submit(api.patch, "bad", status="disabled")
            sleep(CALL_SECONDS + 0.1)
        assert disabling.result().status == 200


def test_a_run_waits_for_the_catalog_no_longer_than_it_may_take(
    postgres_server: Postgres, dynamodb: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A catalog that hangs in the middle of a run is told of before the gateway gives up."""
    monkeypatch.setattr(operations, "RUN_SECONDS", 1.0)
    stores = make_stores(postgres_server, dynamodb)
    stores.put_entry("one")
    stores.sql(
        "CREATE FUNCTION hang() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN PERFORM pg_sleep(20); RETURN NEW; END $$"
    )
    stores.sql(
        "CREATE TRIGGER hang BEFORE INSERT ON kiloclaw_available_versions"
        " FOR EACH ROW EXECUTE FUNCTION hang()"
    )
    with api_on(stores) as api:
        assert api.call("POST", "/v1/sync").refusal == (503, "catalog_unavailable")
        assert api.get("/v1/versions")["items"] == []
