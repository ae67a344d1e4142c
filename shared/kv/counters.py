"""How a rollout's starts went: a counter a rollout, and a marker for each report."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from shared.domain.pointer import Reports
from shared.kv.table import Attributes, ConditionFailed, Table, key, plain

StartOutcome = Literal["ok", "failed"]

KEPT = timedelta(days=90)
"""How long markers are kept, and counters that no report changes."""


@dataclass(frozen=True, slots=True)
class Counters:
    """The counters of a table, by the salts of their rollouts."""

    table: Table

    def count(self, salt: str, start_id: str, outcome: StartOutcome, at: datetime) -> bool:
        """Count a start; False if it was counted before. Raises KVUnavailable."""
        expires_at = {"N": str(int((at + KEPT).timestamp()))}
        marker = {
            "Item": {**key(f"REPORT#{salt}", start_id), "expires_at": expires_at},
            "ConditionExpression": "attribute_not_exists(pk)",
        }
        counter = {
            "Key": counter_key(salt),
            "UpdateExpression": "SET expires_at = :expires_at ADD #outcome :one",
            "ExpressionAttributeNames": {"#outcome": outcome},
            "ExpressionAttributeValues": {":one": {"N": "1"}, ":expires_at": expires_at},
        }
        try:
            self.table.transact({"Put": marker}, {"Update": counter})
        except ConditionFailed:
            return False
        return True

    def read(self, salt: str) -> Reports:
        """Read a rollout's counts, consistently. Raises KVUnavailable."""
        return _counts(self.table.get_all(counter_key(salt))[0])


def counter_key(salt: str) -> dict[str, Any]:
    return key("ROLLOUT", salt)


def _counts(item: Attributes | None) -> Reports:
    """Read a counter. What is no whole number was not written by us and counts as 0."""
    counts = plain(item or {})
    ok, failed = (
        count if type(count) is int else 0 for count in (counts.get("ok"), counts.get("failed"))
    )
    return Reports(ok, failed)
