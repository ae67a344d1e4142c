"""The local DynamoDB is as fast as its callers need."""

import pytest

from infra.local.aws.dynamodb import CREDENTIAL, DynamoDB, create_table
from shared.kv import KV
from shared.kv.table import connect
from tests.support.concurrent_actors import digest

MANY, BATCH = 1_200, 25


def test_the_local_table_answers_in_time_with_many_entries(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A page of a thousand entries is read within the second that a call has."""
    server = DynamoDB.start()
    try:
        create_table(server.client(), server.table)
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
    finally:
        server.stop()


def _entry_put(number: int) -> dict[str, object]:
    texts = {"pk": "IMAGE", "sk": f"v{number}", "image_digest": digest(number)}
    return {"PutRequest": {"Item": {name: {"S": text} for name, text in texts.items()}}}
