"""Calls of the table: partial answers, what an error means, and the deadline."""

import socket
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from time import monotonic
from typing import Any

import pytest
from botocore.exceptions import ClientError

from shared.deadline import Deadline
from shared.domain.errors import KVUnavailable
from shared.domain.pointer import Pointer
from shared.kv import KV
from shared.kv.table import CALL_SECONDS, ConditionFailed, Table, as_read, connect, key, texts
from tests.support.failing_clients import Refusing, refusal, unreachable
from tests.support.stores import Stores

LARGE = "x" * 390_000


def _put(table: Table, tag: str) -> dict[str, Any]:
    return table.call("put_item", Item=key("IMAGE", tag))


def test_an_answer_too_large_comes_in_parts(stores: Stores) -> None:
    """DynamoDB answers 16 MB at a time; items that it left out are asked for again."""
    keys = [key("IMAGE", f"tag-{number:02}") for number in range(45)]
    for item in keys:
        stores.client.put_item(TableName=stores.table, Item=item | texts(other=LARGE))
    client = Refusing(stores.client)
    items = Table(client, stores.table).get_all(*keys)
    assert [item and item["sk"] for item in items] == [item["sk"] for item in keys]
    assert client.calls == 2


def test_more_keys_than_a_call_takes(stores: Stores) -> None:
    """A call takes a hundred keys; items come in the order of the keys, None if absent."""
    stores.put_entry("tag-120")
    keys = [key("IMAGE", f"tag-{number}") for number in range(150)]
    client = Refusing(stores.client)
    items = Table(client, stores.table).get_all(*keys, keys[120])
    assert [number for number, item in enumerate(items) if item] == [120, 150]
    assert client.calls == 2


def test_every_read_is_consistent(stores: Stores) -> None:
    """A pointer, entry or record that was written before is never missed by a read."""
    asked: list[tuple[str, dict[str, Any]]] = []

    def note(params: dict[str, Any], model: Any, **_: Any) -> None:
        asked.append((model.name, params))

    client = connect()
    client.meta.events.register("provide-client-params.dynamodb", note)
    kv = KV(client, stores.table)
    kv.pointers.read("default", Pointer())
    kv.pointers.variants()
    kv.entries.find_all(["one"], datetime.now(UTC))
    list(kv.entries.read_all())
    kv.instances.read_with_pointer("ana", "default", Pointer())
    client.close()
    batches = [params["RequestItems"] for name, params in asked if name == "BatchGetItem"]
    reads = [params for name, params in asked if name == "Query"]
    reads += [wanted for batch in batches for wanted in batch.values()]
    assert len(reads) == 5
    assert all(read["ConsistentRead"] for read in reads)


def test_an_answer_with_nothing_in_it_is_not_asked_for_again(stores: Stores) -> None:
    """A table that is short of capacity is unavailable, which is counted."""

    class Short:
        def batch_get_item(self, RequestItems: Any) -> Any:  # noqa: N803
            return {"Responses": {}, "UnprocessedKeys": RequestItems}

    table = Table(Short(), stores.table)
    with pytest.raises(KVUnavailable, match="capacity"):
        table.get_all(key("IMAGE", "tag"))
    assert table.errors == ["UnprocessedKeys"]


@pytest.mark.parametrize(
    "error",
    [
        refusal("ConditionalCheckFailedException"),
        refusal(
            "TransactionCanceledException", "ConditionalCheckFailed", "TransactionConflict"
        ),
        refusal("TransactionCanceledException", "ThrottlingError", "ConditionalCheckFailed"),
    ],
    ids=str,
)
def test_a_failed_condition_is_told_apart(stores: Stores, error: ClientError) -> None:
    """The item is not as expected, so the KV is up and nothing is counted."""
    table = Table(Refusing(stores.client, error), stores.table)
    with pytest.raises(ConditionFailed):
        _put(table, "tag")
    assert table.errors == []


@pytest.mark.parametrize(
    "error",
    [
        refusal("TransactionCanceledException", "None", "ThrottlingError"),
        refusal("TransactionInProgressException"),
        refusal("ProvisionedThroughputExceededException"),
        refusal("ThrottlingException"),
        refusal("InternalServerError", status=500),
        refusal("ValidationException"),
        refusal("AccessDeniedException"),
        refusal("ResourceNotFoundException"),
        refusal("UnrecognizedClientException"),
        refusal("AnythingElse"),
    ],
    ids=str,
)
def test_after_any_other_error_the_kv_is_down(stores: Stores, error: ClientError) -> None:
    """The error's code is kept to be counted, and its message is not repeated."""
    code = error.response["Error"]["Code"]
    table = Table(Refusing(stores.client, error), stores.table)
    with pytest.raises(KVUnavailable, match=code) as raised:
        _put(table, "tag")
    assert table.errors == [code]
    assert "planted" not in str(raised.value)


def test_a_table_that_was_deleted_is_a_kv_that_is_down(stores: Stores) -> None:
    """The real server's errors make reads, writes and transactions unavailable."""
    table = Table(stores.client, "kiloclaw-deleted")
    calls: list[Callable[[], object]] = [
        lambda: table.get_all(key("IMAGE", "tag")),
        lambda: _put(table, "tag"),
        lambda: table.transact({"Put": {"Item": key("IMAGE", "tag")}}),
    ]
    for call in calls:
        with pytest.raises(KVUnavailable):
            call()
    assert table.errors == ["ResourceNotFoundException"] * 3


CONFLICTS = [
    refusal("TransactionConflictException"),
    refusal("TransactionCanceledException", "None", "TransactionConflict"),
]


@pytest.mark.parametrize("error", CONFLICTS, ids=str)
def test_a_conflict_of_transactions_is_waited_out(stores: Stores, error: ClientError) -> None:
    """The call is repeated, because a conflict says nothing about the condition."""
    client = Refusing(stores.client, error, error)
    _put(Table(client, stores.table), "tag")
    assert client.calls == 3
    assert stores.item("IMAGE", "tag")


@pytest.mark.parametrize("error", CONFLICTS, ids=str)
def test_a_conflict_that_does_not_end(stores: Stores, error: ClientError) -> None:
    """After twenty tries the KV is unavailable."""
    with pytest.raises(KVUnavailable, match="by others"):
        _put(Table(Refusing(stores.client, *[error] * 20), stores.table), "tag")


def test_a_real_condition_that_fails_brings_the_item(stores: Stores) -> None:
    """A single write returns the stored item, a transaction does not."""
    stores.put("IMAGE", "tag", image_tag="tag")
    table = Table(stores.client, stores.table)
    absent = as_read(None, "pk").parameters()
    with pytest.raises(ConditionFailed) as failed:
        table.call(
            "put_item",
            Item=key("IMAGE", "tag"),
            ReturnValuesOnConditionCheckFailure="ALL_OLD",
            **absent,
        )
    assert failed.value.stored == key("IMAGE", "tag") | texts(image_tag="tag")
    with pytest.raises(ConditionFailed):
        table.transact({"Put": {"Item": key("IMAGE", "tag")} | absent})


def test_nobody_listens(dynamodb: Any) -> None:
    """A refused connection makes the KV unavailable."""
    with pytest.raises(KVUnavailable, match="EndpointConnectionError"):
        _put(Table(unreachable(), "kiloclaw"), "tag")


@pytest.fixture
def silent(dynamodb: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The product's client of a server that accepts connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", f"http://127.0.0.1:{port}")
        client = connect()
        yield client
        client.close()


def test_a_server_that_hangs(silent: Any) -> None:
    """A call makes two attempts of a second each, as CALL_SECONDS says."""
    began = monotonic()
    with pytest.raises(KVUnavailable, match="ReadTimeoutError"):
        _put(Table(silent, "kiloclaw"), "tag")
    assert 1.9 < monotonic() - began < CALL_SECONDS + 1


def test_no_call_begins_that_could_end_too_late(stores: Stores) -> None:
    """A call needs time for two attempts."""
    table = Table(stores.client, stores.table)
    table.deadline = Deadline(CALL_SECONDS - 0.1)
    with pytest.raises(KVUnavailable, match="no time"):
        _put(table, "tag")
    table.deadline = Deadline(CALL_SECONDS + 60)
    _put(table, "tag")
