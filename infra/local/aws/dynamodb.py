"""A DynamoDB in a process of its own: moto's, serving one request at a time."""

import argparse
import socket
import subprocess
import sys
from typing import TYPE_CHECKING, Any, Self

import boto3

from infra.local import processes
from infra.local.aws.stream import StreamReader
from infra.local.processes import HOST

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

REGION = "us-east-1"
TABLE = "kiloclaw"
SESSION_TABLE = "kiloclaw-sessions"
CREDENTIAL = "local"
"""The key and the secret; any text is accepted."""


class DynamoDB:
    """The running server and its address."""

    table = TABLE
    session_table = SESSION_TABLE
    region = REGION

    def __init__(self, process: processes.Process, port: int) -> None:
        self._process = process
        self.endpoint = f"http://{HOST}:{port}"

    @classmethod
    def start(cls) -> Self:
        """Serve an empty DynamoDB; calls made before it is ready wait for it."""
        with socket.create_server((HOST, 0)) as listener:
            process = processes.start(
                [sys.executable, "-m", "infra.local.aws.dynamodb", str(listener.fileno())],
                stdin=subprocess.DEVNULL,
                pass_fds=[listener.fileno()],
            )
            return cls(process, listener.getsockname()[1])

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def client(self) -> "DynamoDBClient":
        return connect(self.endpoint)

    def stream(self) -> StreamReader:
        return StreamReader.connect(self.endpoint, self.table, REGION, CREDENTIAL)

    def stop(self) -> None:
        processes.stop(self._process)


def connect(endpoint: str) -> "DynamoDBClient":
    return boto3.client(
        "dynamodb",
        endpoint_url=endpoint,
        region_name=REGION,
        aws_access_key_id=CREDENTIAL,
        aws_secret_access_key=CREDENTIAL,
    )


def create_table(client: "DynamoDBClient", name: str) -> None:
    """Make the system's table with the keys that it has on AWS."""
    client.create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[
            {"AttributeName": "pk", "KeyType": "HASH"},
            {"AttributeName": "sk", "KeyType": "RANGE"},
        ],
        AttributeDefinitions=[
            {"AttributeName": attribute, "AttributeType": "S"} for attribute in ("pk", "sk")
        ],
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
    )


def create_session_table(client: "DynamoDBClient", name: str) -> None:
    """Make the table of sessions with the key that it has on AWS."""
    client.create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
    )


def serve(listener: int) -> None:
    """Serve moto on a listening socket, given by its file descriptor."""
    from moto.moto_server import werkzeug_app  # noqa: PLC0415  half a second, here alone
    from werkzeug.serving import make_server  # noqa: PLC0415

    _answer_faster()
    _copy_less()

    class MotoHandler(werkzeug_app.MotoRequestHandler):
        disable_nagle_algorithm = True
        # One thread serves all connections: a silent one must not block the others.
        timeout = 1.0

        def log(self, type: str, message: str, *args: Any) -> None:  # noqa: A002
            """Print nothing."""

    app = werkzeug_app.DomainDispatcherApplication(werkzeug_app.create_backend_app)
    make_server(HOST, 0, app, request_handler=MotoHandler, fd=listener).serve_forever()


def _answer_faster() -> None:
    """Skip moto's search for other names of an attribute, which takes 1 ms for every item.

    With it, a page of a thousand entries would exceed a call's time limit.
    """
    from moto.core.serialize import ResponseSerializer  # noqa: PLC0415

    usual = ResponseSerializer.get_value

    def get_value(self: ResponseSerializer, value: Any, key: str, shape: Any) -> Any:
        parent = getattr(shape, "parent", None)
        if parent is not None and parent.name == "AttributeValue":
            return value.get(key)
        return usual(self, value, key, shape)

    ResponseSerializer.get_value = get_value  # type: ignore[method-assign]


def _copy_less() -> None:
    """Keep transactions fast, and their memory bounded.

    Before a transaction moto copies every table that it writes to, with all items and the
    stream's records; and it keeps every object that it ever made. So only items are copied that
    the transaction may change, and records, which never change, are not.
    """
    from moto.core.common_models import BaseModel  # noqa: PLC0415
    from moto.dynamodb.models import DynamoDBBackend  # noqa: PLC0415
    from moto.dynamodb.models.dynamo_type import Item  # noqa: PLC0415
    from moto.dynamodb.models.table import StreamRecord  # noqa: PLC0415

    usual, usual_copy = DynamoDBBackend.transact_write_items, Item.__deepcopy__
    written: list[set[object]] = []

    def transact(self: DynamoDBBackend, transact_items: list[dict[str, Any]]) -> None:
        operations = [operation for one in transact_items for operation in one.values()]
        written[:] = [_texts(one.get("Key") or one.get("Item") or {}) for one in operations]
        try:
            usual(self, transact_items)
        finally:
            written.clear()

    def copy_item(self: Item, memo: dict[int, Any]) -> Item:
        key = {part.value for part in (self.hash_key, self.range_key) if part is not None}
        is_shared = written and not any(key <= texts for texts in written)
        return self if is_shared else usual_copy(self, memo)

    def make(cls: type, *_: Any, **__: Any) -> Any:
        return object.__new__(cls)

    def share(self: StreamRecord, _memo: dict[int, Any]) -> StreamRecord:
        return self

    patches: dict[tuple[type, str], Any] = {
        (DynamoDBBackend, "transact_write_items"): transact,
        (Item, "__deepcopy__"): copy_item,
        (StreamRecord, "__deepcopy__"): share,
        (BaseModel, "__new__"): make,
    }
    for (owner, name), function in patches.items():
        setattr(owner, name, function)


def _texts(attributes: dict[str, dict[str, Any]]) -> set[object]:
    values = (value for typed in attributes.values() for value in typed.values())
    return {value for value in values if isinstance(value, str)}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("listener", type=int, help="file descriptor of a listening socket")
    serve(parser.parse_args().listener)
