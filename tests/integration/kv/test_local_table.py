"""The local DynamoDB is as fast as its callers need, and stays as small as what it holds."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from infra.local.aws.dynamodb import CREDENTIAL, DynamoDB, create_table
from shared.kv import KV
from shared.kv.table import connect
from tests.support.concurrent_actors import digest

MANY, BATCH = 1_200, 25


@pytest.fixture
def server() -> Iterator[DynamoDB]:
    started = DynamoDB.start()
    try:
        create_table(started.client(), started.table)
        yield started
    finally:
        started.stop()


def test_the_local_table_answers_in_time_with_many_entries(
    server: DynamoDB, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page of a thousand entries is read within the second that a call has."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", server.endpoint)
    monkeypatch.setenv("AWS_DEFAULT_REGION", server.region)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", CREDENTIAL)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", CREDENTIAL)
    client = connect()
    for start in range(0, MANY, BATCH):
        puts = [_entry_put(number) for number in range(start, start + BATCH)]
        client.batch_write_item(RequestItems={server.table: puts})
    assert sum(1 for _ in KV(client, server.table).entries.read_all()) == MANY
    client.close()


def test_transactions_leave_no_memory_behind(server: DynamoDB) -> None:
    """The server does not keep a copy of the table for each of them."""
    client, table = server.client(), server.table
    for start in range(0, 300, BATCH):
        puts = [_entry_put(number) for number in range(start, start + BATCH)]
        client.batch_write_item(RequestItems={table: puts})
    before = _megabytes(server)
    for number in range(100):
        put: Any = {"Put": {"TableName": table, "Item": _item("COUNT", str(number))}}
        client.transact_write_items(TransactItems=[put, _count_up(table)])
    assert _megabytes(server) - before < 50


def test_a_cancelled_transaction_changes_nothing(server: DynamoDB) -> None:
    """What it had written is taken back, whether it made an item, changed or deleted one."""
    client, table = server.client(), server.table
    for item in (
        _item("COUNT", "all", n={"N": "1"}),
        _item("IMAGE", "v1"),
        _item("IMAGE", "v2"),
    ):
        client.put_item(TableName=table, Item=item)
    before = client.scan(TableName=table)["Items"]
    refused: Any = {
        "TableName": table,
        "Item": _item("IMAGE", "v2"),
        "ConditionExpression": "attribute_not_exists(pk)",
    }
    with pytest.raises(ClientError):
        client.transact_write_items(
            TransactItems=[
                {"Put": {"TableName": table, "Item": _item("IMAGE", "v3")}},
                _count_up(table),
                {"Delete": {"TableName": table, "Key": _item("IMAGE", "v1")}},
                {"Put": refused},
            ]
        )
    assert client.scan(TableName=table)["Items"] == before
    client.transact_write_items(TransactItems=[_count_up(table)])
    assert client.get_item(TableName=table, Key=_item("COUNT", "all"))["Item"]["n"] == {
        "N": "2"
    }


def _megabytes(server: DynamoDB) -> int:
    """The memory of its process, as Linux says."""
    [line] = [
        line
        for line in Path(f"/proc/{server.pid}/status").read_text().splitlines()
        if line.startswith("VmRSS")
    ]
    return int(line.split()[1]) // 1024


def _count_up(table: str) -> Any:
    return {
        "Update": {
            "TableName": table,
            "Key": _item("COUNT", "all"),
            "UpdateExpression": "ADD n :one",
            "ExpressionAttributeValues": {":one": {"N": "1"}},
        }
    }


def _item(pk: str, sk: str, **more: object) -> Any:
    return {"pk": {"S": pk}, "sk": {"S": sk}, **more}


def _entry_put(number: int) -> Any:
    texts = {"pk": "IMAGE", "sk": f"v{number}", "image_digest": digest(number)}
    return {"PutRequest": {"Item": {name: {"S": text} for name, text in texts.items()}}}
