"""Records of the table's stream, as Lambda hands them over.

https://docs.aws.amazon.com/lambda/latest/dg/with-ddb.html
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from shared.domain.errors import InvalidValue
from shared.domain.fleet import Change, Changes, Removal
from shared.domain.model import Instance
from shared.domain.values import USER_ID, UserId, parse_moment
from shared.kv.instances import PARTITION, SORT_KEY, parse_instance
from shared.kv.table import Attributes


def read_changes(records: Iterable[Mapping[str, Any]]) -> Changes:
    """Read what the records change about instances; other items' records are passed over."""
    changes = Changes()
    for record in records:
        change = record["dynamodb"]
        partition, sort = (change["Keys"][name]["S"] for name in ("pk", "sk"))
        if partition.startswith(PARTITION) and sort == SORT_KEY:
            written_at = _written_at(change)
            changes.add(_read(record["eventName"], partition, change, written_at), written_at)
    return changes


def _read(
    event: str, partition: str, change: Mapping[str, Any], written_at: datetime
) -> Change | None:
    """Return the change; None if the item is malformed or under another user's key."""
    try:
        user_id = USER_ID.parse(partition.removeprefix(PARTITION))
    except InvalidValue:
        return None
    if event == "REMOVE":
        return Removal(user_id, _decided_at(user_id, change, written_at))
    return _instance(user_id, change.get("NewImage"))


def _decided_at(user_id: UserId, change: Mapping[str, Any], written_at: datetime) -> datetime:
    """When the removed record was decided; for a malformed one, an upper bound."""
    removed = _instance(user_id, change.get("OldImage"))
    return parse_moment(removed.decided_at) if removed else written_at + timedelta(seconds=1)


def _instance(user_id: UserId, item: Attributes | None) -> Instance | None:
    """The record in an item; None if it is malformed or names another user than its key."""
    instance = parse_instance(item)
    return instance if instance and instance.user_id == user_id else None


def _written_at(change: Mapping[str, Any]) -> datetime:
    """When the record was written, rounded down to the second."""
    return datetime.fromtimestamp(float(change["ApproximateCreationDateTime"]), UTC)
