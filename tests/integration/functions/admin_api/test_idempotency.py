"""`Idempotency-Key`: a repeat gets the first success again, however the first attempt ended."""

import json
import os
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path
from time import sleep
from typing import Any

import pytest
from aws_lambda_powertools.event_handler import Response

from functions.admin_api import handler
from infra.local.aws.environments import ROOT, FunctionSettings, LocalFunction
from infra.local.postgres import Postgres
from shared.catalog.transaction import Catalog
from shared.domain.errors import IdempotencyInProgress, IdempotencyMismatch
from shared.http.idempotency import CallRecords, answer_once
from shared.runtime.dependencies import Dependencies
from tests.support.admin_api import (
    ADMIN,
    Api,
    Context,
    Reply,
    api_on,
    claims,
    event_of,
    invoke,
    reply,
)
from tests.support.catalog_fixture import until_somebody_waits
from tests.support.crash_points import Killed, Mortal, Steps
from tests.support.failing_clients import Refusing, closed_catalog, refusal
from tests.support.http_requests import http_request
from tests.support.stores import make_stores

KEY = "once-6f1e9f5c"
ROLLBACK = "/v1/variants/default/rollback"


@pytest.fixture
def api(postgres_server: Postgres, dynamodb: Any) -> Iterator[Api]:
    """Five versions, each of which was latest in turn."""
    with api_on(make_stores(postgres_server, dynamodb)) as made:
        for number in range(5):
            made.publish(f"v{number}", set_latest=True)
        yield made


def post(api: Api, path: str, body: object = None, key: str = KEY) -> Reply:
    return api.call("POST", path, body, headers={"idempotency-key": key})


def latest(api: Api) -> str:
    return str(api.get("/v1/variants/default")["latest"]["image_tag"])


def records(api: Api) -> list[tuple[Any, ...]]:
    """Id, state and target of each, the oldest first."""
    return api.stores.sql(
        "SELECT id, state, target FROM kiloclaw_idempotency_keys ORDER BY expires_at"
    )


def test_a_repeat_gets_the_first_success_again(api: Api) -> None:
    """Status, body and ETag, byte by byte, whatever has become of the version since."""
    body = {"image_tag": "new", "openclaw_version": "2026.11.2", "notes": "é"}
    first = post(api, "/v1/versions", body)
    assert (first.status, "etag" in first.headers) == (201, True)
    api.patch("new", notes="changed")
    again = post(api, "/v1/versions", json.dumps(body, indent=2).encode())
    assert (again.status, again.body, again.headers["etag"]) == (
        201, first.body, first.headers["etag"],
    )  # fmt: skip
    assert again.headers["x-request-id"] != first.headers["x-request-id"]
    assert api.get("/v1/versions/new")["notes"] == "changed"
    assert post(api, "/v1/versions", body, key="other").status == 200


def test_a_call_without_content_is_repeated_too(api: Api) -> None:
    """204 again, and what changed in between stays."""
    api.pin("ana", "v1")
    assert post(api, "/v1/users/ana/erase").status == 204
    api.pin("ana", "v1")
    again = post(api, "/v1/users/ana/erase")
    assert (again.status, again.body) == (204, b"")
    assert api.get("/v1/users/ana/pin")["pin"]["image_tag"] == "v1"


def test_a_key_is_for_one_request_of_one_actor(api: Api) -> None:
    """Another body or query is refused; another actor or path has keys of its own."""
    path = "/v1/versions/v1/promote"
    assert post(api, path, {"reason": "why"}).status == 200
    for other in ({"reason": "else"}, None):
        assert post(api, path, other).refusal == (422, "idempotency_mismatch")
    same = post(api, f"{path}?dry_run=false", {"reason": "why"})
    assert same.refusal == (422, "idempotency_mismatch")
    assert post(api, "/v1/versions/v2/promote", {"reason": "why"}).status == 200
    assert latest(api) == "v2"
    assert post(api, path, {"reason": "why"}).status == 200
    assert latest(api) == "v2"
    event = event_of(
        http_request("POST", path, "", {"idempotency-key": KEY}, b'{"reason": "why"}'),
        {"sub": "bob", "cognito:groups": ["admin"]},
    )
    assert _send(api, event).status == 200
    assert latest(api) == "v1"


def _send(api: Api, event: Any) -> Reply:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(handler, "dependencies", api.wired)
        return reply(invoke(event))


def test_refusals_are_not_remembered(api: Api) -> None:
    """The same key does what it was for as soon as that can be done."""
    assert post(api, "/v1/versions/new/promote").refusal == (404, "version_not_found")
    assert records(api) == []
    api.publish("new")
    assert post(api, "/v1/versions/new/promote").status == 200


def test_a_preview_uses_up_no_key(api: Api) -> None:
    """Neither does a malformed request."""
    assert post(api, f"{ROLLBACK}?dry_run=true").status == 200
    assert post(api, ROLLBACK, {"surprise": 1}).status == 422
    assert records(api) == []
    assert post(api, ROLLBACK).status == 200


def test_what_is_no_key(api: Api) -> None:
    """422 naming the header, for a preview as well."""
    for key in ("", "x" * 256, "é", "a\tb"):
        for query in ("", "dry_run=true"):
            event = event_of(http_request("POST", ROLLBACK), claims(ADMIN))
            event["rawQueryString"] = query
            event["headers"]["idempotency-key"] = key
            assert _send(api, event).fields == ["idempotency-key"]
    assert post(api, ROLLBACK, key="k" * 255).status == 200


def test_an_expired_key_names_a_new_call(api: Api) -> None:
    """It gets a new id, so that what the old call did does not count for it."""
    assert post(api, ROLLBACK).json["variant"]["latest"]["image_tag"] == "v3"
    [(first, _, target)] = records(api)
    assert post(api, ROLLBACK).json["variant"]["latest"]["image_tag"] == "v3"
    api.stores.sql("UPDATE kiloclaw_idempotency_keys SET expires_at = now()")
    assert post(api, ROLLBACK).json["variant"]["latest"]["image_tag"] == "v2"
    [(second, _, next_target)] = records(api)
    assert (target, next_target) == ("v3", "v2")
    assert first != second
    causes = api.stores.sql("SELECT cause FROM kiloclaw_promotions ORDER BY id DESC LIMIT 2")
    assert causes == [(str(second),), (str(first),)]


def test_expired_keys_are_pruned(api: Api) -> None:
    """By `sync`'s role, and no others."""
    for key in ("old", "new"):
        post(api, "/v1/versions/v1/promote", key=key)
    api.stores.sql(
        "UPDATE kiloclaw_idempotency_keys SET expires_at = now() - interval '1 s'"
        " WHERE id = %(id)s",
        id=records(api)[0][0],
    )
    catalog = api.stores.catalog("sync")
    with closing(catalog.database), catalog.transaction() as tx:
        assert (tx.idempotency_keys.prune(), tx.idempotency_keys.prune()) == (1, 0)
    assert len(records(api)) == 1


def test_an_erasure_deletes_answers_that_name_the_person(api: Api) -> None:
    """Also of users who were never pinned; the key itself is stored nowhere."""
    items = [
        {"op": "pin", "user_id": "ana", "image_tag": "v1"},
        {"op": "unpin", "user_id": "nobody"},
    ]
    for user in ("ana", "nobody"):
        body = {"mode": "best_effort", "items": items}
        assert post(api, "/v1/pins/bulk", body).json["applied"] == 2
        stored = str(api.stores.sql("SELECT k::text FROM kiloclaw_idempotency_keys k"))
        assert user in stored
        assert KEY not in stored
        assert api.call("POST", f"/v1/users/{user}/erase").status == 204
        assert records(api) == []


def test_an_erasure_meets_a_call_that_will_name_the_person(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answer is given and not kept."""
    from shared.usecases import bulk_pins  # noqa: PLC0415

    change = bulk_pins.change_pins

    def erased_after(*args: Any, **options: Any) -> Any:
        results = change(*args, **options)
        api.stores.sql("DELETE FROM kiloclaw_idempotency_keys WHERE user_ids @> ARRAY['ana']")
        return results

    monkeypatch.setattr(bulk_pins, "change_pins", erased_after)
    body = {"mode": "atomic", "items": [{"op": "pin", "user_id": "ana", "image_tag": "v1"}]}
    assert post(api, "/v1/pins/bulk", body).json["applied"] == 1
    assert records(api) == []


def test_the_catalog_is_down(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """503, and nothing is done that could not be remembered."""
    deps = replace(api.wired(), database=closed_catalog().database)
    down = replace(api, wired=lambda: deps)
    assert post(down, ROLLBACK).refusal == (503, "catalog_unavailable")
    assert latest(api) == "v4"


def break_off(api: Api, send: Callable[[], Reply]) -> None:
    """Send a request that moves latest, so that the put arrives although no answer does."""
    late = Refusing(
        api.stores.client,
        refusal("InternalServerError", status=500),
        operation="put_item",
        late=True,
    )
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(api.wired().kv.table, "client", late)
        assert send().refusal == (503, "kv_unavailable")


def test_a_call_that_broke_off_is_repeated_under_its_id(api: Api) -> None:
    """The repeat may come at once, and goes no further back."""
    break_off(api, lambda: post(api, ROLLBACK))
    [first] = records(api)
    assert first[1:] == ("running", "v3")
    assert post(api, ROLLBACK, {"reason": "else"}).refusal == (422, "idempotency_mismatch")
    for _ in range(2):
        assert post(api, ROLLBACK).json["variant"]["latest"]["image_tag"] == "v3"
    assert records(api) == [(first[0], "done", "v3")]


def test_a_repeat_undoes_no_later_move(api: Api) -> None:
    """By its cause the repeat finds that it was done, although another move came after it."""
    break_off(api, lambda: post(api, ROLLBACK))
    api.promote("v0")
    assert post(api, ROLLBACK).json["variant"]["latest"]["image_tag"] == "v0"
    assert latest(api) == "v0"


@pytest.mark.parametrize("later", ["nothing", "promoted", "deprecated"])
def test_a_publish_that_broke_off_is_done(api: Api, later: str) -> None:
    """Its repeat asks neither `If-Match` nor the status, which have changed since."""
    etag = api.call("GET", "/v1/variants/default").headers["etag"]
    body = {"image_tag": "new", "openclaw_version": "2026.11.2", "set_latest": True}
    headers = {"idempotency-key": KEY, "if-match": etag}

    def send() -> Reply:
        return api.call("POST", "/v1/versions", body, headers=headers)

    break_off(api, send)
    if later != "nothing":
        api.promote("v0")
    if later == "deprecated":
        api.patch("new", status="deprecated")
    repeat = send()
    assert (repeat.status, repeat.json["image_tag"]) == (201, "new")
    assert latest(api) == ("new" if later == "nothing" else "v0")


def _die(api: Api, steps: Steps) -> int:
    """Roll back in a process that dies at a step; how many steps it took."""
    mortal = Mortal(
        api.stores.conninfo("admin_api"), api.stores.table, api.stores.client, steps
    )
    wired = api.wired()
    deps = Dependencies(
        settings=wired.settings, database=mortal.database, kv=mortal.kv,
        telemetry=wired.telemetry,
    )  # fmt: skip
    dying = replace(api, wired=lambda: deps, context=Context(0))
    with closing(mortal.database), suppress(Killed):
        assert post(dying, ROLLBACK).status in {200, 503}
    return len(steps.kinds)


@pytest.mark.parametrize("how", ["killed", "cut after"])
def test_a_rollback_that_dies_at_any_step_goes_one_step_back(api: Api, how: Any) -> None:
    """A repeat with the key completes it or finds it done, and never rolls back twice."""
    api.promote("v0")
    api.promote("v4")
    steps = _die(api, Steps())
    api.promote("v4")
    assert steps > 20
    for at in range(1, steps + 1):
        api.stores.sql("DELETE FROM kiloclaw_idempotency_keys")
        api.stores.sql(
            "UPDATE kiloclaw_available_versions SET notes = %(at)s WHERE image_tag = 'v4'",
            at=str(at),
        )
        _die(api, Steps(at, how))
        assert post(api, ROLLBACK).status == 200
        assert latest(api) == "v3", at
        assert post(api, ROLLBACK).status == 200
        assert latest(api) == "v3", at
        api.promote("v4")


def _answer(status: int) -> Callable[[], Response[Any]]:
    return lambda: Response(status, "application/json", '{"a": 1}')


def test_one_of_many_at_once_runs(api: Api) -> None:
    """The others are told that it runs, or get its answer."""
    ran: list[int] = []
    context: Any = Context()

    def slowly() -> Response[Any]:
        ran.append(1)
        sleep(0.2)
        return _answer(201)()

    def call(catalog: Catalog, content: object = 1) -> object:
        try:
            return answer_once(
                slowly,
                ("ada", "/v1/versions", KEY),
                content,
                records=CallRecords(catalog),
                context=context,
                serialize=json.dumps,
            ).status_code
        except (IdempotencyInProgress, IdempotencyMismatch) as refused:
            return refused.code

    catalogs = [api.stores.catalog() for _ in range(6)]
    with ThreadPoolExecutor(6) as threads:
        ended = list(threads.map(call, catalogs))
        assert ended.count(201) == len(ran) == 1
        assert set(ended) == {201, "idempotency_in_progress"}
        assert list(threads.map(call, catalogs)) == [201] * 6
    assert call(catalogs[0], 2) == "idempotency_mismatch"
    assert len(ran) == 1
    for catalog in catalogs:
        catalog.database.close()


@pytest.fixture
def functions(api: Api, tmp_path: Path) -> Iterator[list[LocalFunction]]:
    """The function twice, with one process each; an event may take 4 seconds."""
    environ = {
        "PATH": os.defpath, "PYTHONPATH": str(ROOT), "TABLE_NAME": api.stores.table,
        "DATABASE_CONNINFO": api.stores.conninfo("admin_api"),
        "POWERTOOLS_SERVICE_NAME": "admin_api", "POWERTOOLS_METRICS_NAMESPACE": "KiloClaw",
        "AWS_LAMBDA_FUNCTION_NAME": "admin_api", "AWS_LAMBDA_LOG_FORMAT": "JSON",
        **{key: value for key, value in os.environ.items() if key.startswith("AWS_")},
    }  # fmt: skip
    settings = FunctionSettings(
        "admin_api", "functions.admin_api.handler.handler", environ, 4, tmp_path / "log"
    )
    made = [LocalFunction(settings, 1) for _ in range(2)]
    yield made
    for function in made:
        function.stop()
    assert KEY not in (tmp_path / "log").read_text()


def test_processes_at_once_and_one_that_is_killed(
    api: Api, functions: list[LocalFunction]
) -> None:
    """While one waits for a lock the other is told so; killed, it is taken over in time."""
    event = event_of(
        http_request("POST", ROLLBACK, "", {"idempotency-key": KEY}), claims(ADMIN)
    )
    one, other = functions

    def send() -> Reply:
        return reply(other.invoke(json.dumps(event).encode(), "id").payload)

    with ThreadPoolExecutor(1) as threads, api.stores.server_connection() as blocker:
        with blocker.transaction():
            blocker.execute("SELECT FROM kiloclaw_variants FOR UPDATE")
            first = threads.submit(one.invoke, json.dumps(event).encode(), "id")
            until_somebody_waits(api.stores)
            [environment] = one._all
            os.kill(environment._process.pid, signal.SIGKILL)
            assert first.result(20).error
        answers = [send()]
        while answers[-1].status == 409:
            sleep(0.2)
            answers.append(send())
    assert answers[0].refusal == (409, "idempotency_in_progress")
    assert answers[-1].status == 200
    assert latest(api) == "v3"
    assert send().body == answers[-1].body
    assert latest(api) == "v3"
