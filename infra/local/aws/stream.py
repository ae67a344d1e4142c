"""The table's stream, and Lambda's event source mapping that hands it to a function.

https://docs.aws.amazon.com/lambda/latest/dg/services-dynamodb-eventsourcemapping.html
"""

import json
import sys
from collections.abc import Iterator
from contextlib import suppress
from threading import Event, Thread
from typing import TYPE_CHECKING, Any, Self
from uuid import uuid4

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from infra.functions import STREAM_BATCH, STREAM_PARTITION
from infra.local.aws.environments import LocalFunction, Throttled

if TYPE_CHECKING:
    from mypy_boto3_dynamodbstreams import DynamoDBStreamsClient

POLL_SECONDS = 0.25
RETRY_SECONDS = 1.0
RETRYABLE = "CatalogUnavailable"


class StreamReader:
    """Reads a stream from its oldest record on, each record once and in order.

    Every call asks for new iterators: when a transaction is cancelled, moto puts a copy of the
    table in its place, and iterators from before get no record any more.
    """

    def __init__(self, client: "DynamoDBStreamsClient", table: str) -> None:
        self._client = client
        self._table = table
        self._read_through: dict[str, str] = {}

    @classmethod
    def connect(cls, endpoint: str, table: str, region: str, credential: str) -> Self:
        client = boto3.client(
            "dynamodbstreams",
            endpoint_url=endpoint,
            region_name=region,
            aws_access_key_id=credential,
            aws_secret_access_key=credential,
        )
        return cls(client, table)

    def read(self) -> list[dict[str, Any]]:
        """Return the records since the last call, shaped as in a Lambda event.

        If it fails half-way, the next call reads the same again.
        """
        read_through = dict(self._read_through)
        try:
            streams = self._client.list_streams(TableName=self._table)["Streams"]
            arns = [stream["StreamArn"] for stream in streams]
            return [record for arn in arns for record in self._read_stream(arn)]
        except (BotoCoreError, ClientError):
            self._read_through = read_through
            raise

    def _read_stream(self, arn: str) -> Iterator[dict[str, Any]]:
        description = self._client.describe_stream(StreamArn=arn)["StreamDescription"]
        for shard in description["Shards"]:
            yield from self._read_shard(arn, shard["ShardId"])

    def _read_shard(self, arn: str, shard: str) -> Iterator[dict[str, Any]]:
        iterator: str | None = self._iterator_after_last(arn, shard)
        while iterator is not None:
            page = self._client.get_records(ShardIterator=iterator, Limit=1000)
            if not page["Records"]:
                return
            yield from (_as_event(dict(record)) for record in page["Records"])
            self._read_through[shard] = page["Records"][-1]["dynamodb"]["SequenceNumber"]
            iterator = page.get("NextShardIterator")

    def _iterator_after_last(self, arn: str, shard: str) -> str:
        """Return an iterator that starts after the last record read, else at the oldest."""
        if shard not in self._read_through:
            return self._client.get_shard_iterator(
                StreamArn=arn, ShardId=shard, ShardIteratorType="TRIM_HORIZON"
            )["ShardIterator"]
        return self._client.get_shard_iterator(
            StreamArn=arn,
            ShardId=shard,
            ShardIteratorType="AFTER_SEQUENCE_NUMBER",
            SequenceNumber=self._read_through[shard],
        )["ShardIterator"]


class EventSourceMapping:
    """Hands a table's stream to a function until stopped, in batches and in order."""

    def __init__(self, reader: StreamReader, function: LocalFunction) -> None:
        self._reader = reader
        self._function = function
        self._stopped = Event()

    @classmethod
    def start(cls, reader: StreamReader, function: LocalFunction) -> Self:
        mapping = cls(reader, function)
        Thread(target=mapping._run, daemon=True).start()
        return mapping

    def stop(self) -> None:
        self._stopped.set()

    def _run(self) -> None:
        while not self._stopped.wait(POLL_SECONDS):
            # A store that is down is told about elsewhere, and read again when it is back.
            with suppress(BotoCoreError, ClientError):
                records = [one for one in self._reader.read() if is_wanted(one)]
                for start in range(0, len(records), STREAM_BATCH):
                    self._deliver(records[start : start + STREAM_BATCH])

    def _deliver(self, records: list[dict[str, Any]]) -> None:
        """Invoke until it succeeds; split a batch that fails for another reason."""
        while not self._stopped.is_set():
            error = self._invoke(records)
            if error is None:
                return
            if RETRYABLE not in error and len(records) > 1:
                half = len(records) // 2
                self._deliver(records[:half])
                self._deliver(records[half:])
                return
            if RETRYABLE not in error:
                print(f"a stream record was given up: {error}", file=sys.stderr, flush=True)
                return
            self._stopped.wait(RETRY_SECONDS)

    def _invoke(self, records: list[dict[str, Any]]) -> str | None:
        payload = json.dumps({"Records": records}).encode()
        try:
            invocation = self._function.invoke(payload, str(uuid4()))
        except (Throttled, OSError) as error:
            return f"{RETRYABLE}: {error}"
        return invocation.payload.decode() if invocation.error else None


def is_wanted(record: dict[str, Any]) -> bool:
    """The mapping's filter: records of instances alone."""
    return str(record["dynamodb"]["Keys"]["pk"]["S"]).startswith(STREAM_PARTITION)


def _as_event(record: dict[str, Any]) -> dict[str, Any]:
    """Return the record with its time as a number, as Lambda sends it."""
    change = record["dynamodb"]
    seconds = change["ApproximateCreationDateTime"].timestamp()
    return {**record, "dynamodb": {**change, "ApproximateCreationDateTime": seconds}}
