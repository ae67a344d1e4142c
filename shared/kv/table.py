"""The one DynamoDB table: calls within a deadline, and conversion of attributes."""

import re
from collections.abc import Mapping
from contextlib import suppress
from enum import Enum
from random import SystemRandom
from time import sleep
from typing import Any, Final, NamedTuple, cast

import botocore.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from shared.deadline import Deadline
from shared.domain.errors import KVUnavailable

CALL_SECONDS = 2.1
"""How long one call takes if the table does not answer: two attempts of 1 s, and a pause."""

ITEMS_A_CALL = 100

TRIES = 20
PAUSE_SECONDS = 0.02

Attributes = Mapping[str, Any]
"""An item in DynamoDB's own form: `{"image_tag": {"S": "…"}}`."""

_random = SystemRandom()
"""A snapshot of a sandbox would copy the state of any other generator."""
_Name = tuple[str, str]


class Unread(Enum):
    """Stands for an item that the KV was asked for and did not answer."""

    UNREAD = "unread"


UNREAD: Final = Unread.UNREAD


class ConditionFailed(Exception):
    """The item is not what the write was conditional on. `stored` is the item as it is."""

    def __init__(self, stored: Attributes | None = None) -> None:
        super().__init__("the condition failed")
        self.stored = stored


class Condition(NamedTuple):
    """A condition with its names and values, as parameters of a write."""

    expression: str
    names: dict[str, str]
    values: dict[str, Any]

    def parameters(self) -> dict[str, Any]:
        parameters: dict[str, Any] = {
            "ConditionExpression": self.expression,
            "ExpressionAttributeNames": self.names,
        }
        if self.values:
            parameters["ExpressionAttributeValues"] = self.values
        return parameters


def as_read(stored: Attributes | None, *names: str) -> Condition:
    """Demand that these attributes are still as they were read, absent ones still absent."""
    item = stored or {}
    clauses = [
        f"#{index} = :{index}" if name in item else f"attribute_not_exists(#{index})"
        for index, name in enumerate(names)
    ]
    values = {f":{index}": item[name] for index, name in enumerate(names) if name in item}
    aliases = {f"#{index}": name for index, name in enumerate(names)}
    return Condition(" AND ".join(clauses), aliases, values)


def connect() -> Any:
    """Make a DynamoDB client for the region and endpoint that the environment names.

    It is boto3's client without the import of boto3.
    """
    config = Config(
        connect_timeout=1,
        read_timeout=1,
        # The legacy mode waits 50 ms before the second attempt; the others up to a second.
        retries={"total_max_attempts": 2, "mode": "legacy"},
        max_pool_connections=16,
        parameter_validation=False,
    )
    return botocore.session.get_session().create_client("dynamodb", config=config)


class Table:
    """The table. A failed condition is told apart from every other failure.

    `deadline` is that of the current event: no call begins that could end after it. `errors`
    collects the codes of the answers that made the KV unavailable; a silent table adds none.
    """

    def __init__(self, client: Any, name: str) -> None:
        self.client = client
        self.name = name
        self.deadline = Deadline()
        self.errors: list[str] = []

    def call(self, operation: str, **parameters: Any) -> dict[str, Any]:
        """Call an operation on this table. Raises ConditionFailed, KVUnavailable."""
        return self._call(operation, TableName=self.name, **parameters)

    def transact(self, *writes: dict[str, dict[str, Any]]) -> None:
        """Write all or nothing. Raises ConditionFailed, KVUnavailable."""
        items = [
            {kind: {"TableName": self.name} | parameters}
            for write in writes
            for kind, parameters in write.items()
        ]
        self._call("transact_write_items", TransactItems=items)

    def get_all(self, *keys: dict[str, Any]) -> list[Attributes | None]:
        """Read items consistently, a hundred a call. Raises KVUnavailable.

        What an answer leaves out, being too large, is asked for again as long as that helps.
        """
        left = {_name(key): key for key in keys}
        found: dict[_Name, Attributes] = {}
        self._read(left, found)
        return [found.get(_name(key)) for key in keys]

    def get_available(self, *keys: dict[str, Any]) -> list[Attributes | Unread | None]:
        """Read items as `get_all` does; UNREAD stands for each that was not answered."""
        left = {_name(key): key for key in keys}
        found: dict[_Name, Attributes] = {}
        with suppress(KVUnavailable):
            self._read(left, found)
        return [UNREAD if _name(key) in left else found.get(_name(key)) for key in keys]

    def _read(self, left: dict[_Name, dict[str, Any]], found: dict[_Name, Attributes]) -> None:
        """Move items from `left` to `found` until none is left. Raises KVUnavailable."""
        while left:
            some = list(left.values())[:ITEMS_A_CALL]
            wanted = {self.name: {"Keys": some, "ConsistentRead": True}}
            answer = self._call("batch_get_item", RequestItems=wanted)
            found |= {_name(item): item for item in answer["Responses"].get(self.name, [])}
            again = answer["UnprocessedKeys"].get(self.name, {}).get("Keys", [])
            unread = {_name(key) for key in again}
            for key in some:
                if _name(key) not in unread:
                    del left[_name(key)]
            if len(unread) == len(some):
                self.errors.append("UnprocessedKeys")
                raise KVUnavailable("the KV is short of capacity")

    def _call(self, operation: str, **parameters: Any) -> dict[str, Any]:
        """Call; pause and repeat while another transaction is writing the item."""
        for _ in range(TRIES):
            if self.deadline.left < CALL_SECONDS:
                raise KVUnavailable("no time is left to ask the KV")
            try:
                return cast("dict[str, Any]", getattr(self.client, operation)(**parameters))
            except ClientError as error:
                if not _in_conflict(error):
                    raise self._translated(error) from None
            except BotoCoreError as error:
                name = type(error).__name__
                raise KVUnavailable(f"the KV did not answer ({name})") from None
            back_off()
        raise KVUnavailable("the item is being written by others")

    def _translated(self, error: ClientError) -> ConditionFailed | KVUnavailable:
        """Translate an error: either a condition failed, or the KV counts as down."""
        code = error.response["Error"]["Code"]
        reasons = _reasons(error)
        if code == "ConditionalCheckFailedException" or "ConditionalCheckFailed" in reasons:
            return ConditionFailed(_stored(error))
        self.errors.append(code)
        return KVUnavailable(f"the KV answered with an error ({code})")


def back_off() -> None:
    """Wait for a random moment, so that competing writers do not meet again."""
    sleep(_random.random() * PAUSE_SECONDS)


def _in_conflict(error: ClientError) -> bool:
    """Whether another transaction was in the way, rather than the item's content."""
    code = error.response["Error"]["Code"]
    return code == "TransactionConflictException" or _reasons(error) == {"TransactionConflict"}


def _reasons(error: ClientError) -> set[str | None]:
    """The reasons why a transaction was cancelled."""
    reasons = error.response.get("CancellationReasons", [])
    return {reason.get("Code") for reason in reasons} - {"None"}


def _stored(error: ClientError) -> Attributes | None:
    """Return the item that made the condition fail, if the write asked for it."""
    response = cast("dict[str, Any]", error.response)
    answers = [response, *response.get("CancellationReasons", [])]
    return next((answer["Item"] for answer in answers if "Item" in answer), None)


def was_repeated(answer: dict[str, Any]) -> bool:
    """Whether this answers a second attempt: the first may have been carried out too."""
    return bool(answer["ResponseMetadata"]["RetryAttempts"])


def key(pk: str, sk: str) -> dict[str, Any]:
    return {"pk": {"S": pk}, "sk": {"S": sk}}


def _name(item: Attributes) -> tuple[str, str]:
    return item["pk"]["S"], item["sk"]["S"]


def texts(**values: str | None) -> dict[str, Any]:
    """Make string attributes. None leaves one out."""
    return {name: {"S": value} for name, value in values.items() if value is not None}


def plain(item: Attributes) -> dict[str, object]:
    """Convert an item to plain values. Other types than S, N (integers), BOOL, NULL stay."""
    return {name: _plain(attribute) for name, attribute in item.items()}


def _plain(attribute: Mapping[str, Any]) -> object:
    [(kind, value)] = attribute.items()
    if kind in {"S", "BOOL"}:
        return value
    if kind == "N" and re.fullmatch(r"-?[0-9]{1,38}", value):
        return int(value)
    return None if kind == "NULL" else attribute
