"""Pointers. Every put is conditional on the revision that was read."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from shared.domain.pointer import BRAKE, Pointer, Rollout, StoredPointer, parse_pointer
from shared.domain.values import Actor, Variant, rfc3339
from shared.kv.bulk import read_partition
from shared.kv.counters import counter_key
from shared.kv.table import Attributes, ConditionFailed, Table, as_read, key, plain, texts


@dataclass(frozen=True, slots=True)
class Pointers:
    """The pointers of a table."""

    table: Table

    def read(self, variant: Variant, mirror: Pointer) -> StoredPointer:
        """Read the variant's pointer, consistently. Raises KVUnavailable."""
        return read_pointer(self.table.get_all(key("POINTER", variant))[0], mirror)

    def read_all(self, mirrors: Mapping[Variant, Pointer]) -> dict[Variant, StoredPointer]:
        """Read the pointers of these variants, consistently. Raises KVUnavailable."""
        items = self.table.get_all(*(key("POINTER", variant) for variant in mirrors))
        pairs = zip(mirrors.items(), items, strict=True)
        return {variant: read_pointer(item, mirror) for (variant, mirror), item in pairs}

    def variants(self) -> list[str]:
        """List the sort keys of all pointers, legal variants or not. Raises KVUnavailable."""
        items = read_partition(self.table, "POINTER", ProjectionExpression="sk")
        return [item["sk"]["S"] for item in items]

    def named_tags(self) -> set[str]:
        """Every tag that a pointer names, legal or not. Raises KVUnavailable."""
        items = read_partition(
            self.table, "POINTER", ProjectionExpression="latest_tag, candidate_tag"
        )
        return {str(tag) for item in items for tag in plain(item).values()}

    def put(
        self,
        variant: Variant,
        pointer: Pointer,
        *,
        over: StoredPointer,
        by: Actor,
        at: datetime,
        without_reports: str | None = None,
    ) -> bool:
        """Write `pointer` if the KV still holds what was read; False if it does not.

        The counter of the rollout with the salt `without_reports` is deleted in the same
        transaction. Raises KVUnavailable: then nobody knows whether it was written.
        """
        read = {"revision": over.token} if over.token is not None else None
        item = _item(variant, pointer, by, at)
        write = {
            "Item": item,
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
            **as_read(read, "revision").parameters(),
        }
        try:
            if without_reports is None:
                self.table.call("put_item", **write)
            else:
                counter = {"Key": counter_key(without_reports)}
                self.table.transact({"Put": write}, {"Delete": counter})
        except ConditionFailed as failed:
            # If a reply was lost, the second attempt met what the first had written.
            return failed.stored == item
        return True

    def hold(self, variant: Variant, over: StoredPointer, at: datetime) -> bool:
        """Hold the rollout if the KV still holds what was read; False if it does not.

        Nothing else of the pointer changes, not even its cause. Raises KVUnavailable.
        """
        condition = as_read({"revision": over.token}, "revision").parameters()
        values = {
            ":next": {"N": str(over.revision + 1)},
            ":held": {"BOOL": True},
            **texts(**{":by": BRAKE, ":at": rfc3339(at)}),
        }
        condition["ExpressionAttributeValues"] |= values
        try:
            self.table.call(
                "update_item",
                Key=key("POINTER", variant),
                UpdateExpression="SET revision = :next, held = :held, moved_by = :by,"
                " updated_at = :at",
                **condition,
            )
        except ConditionFailed:
            return False
        return True


def read_pointer(item: Attributes | None, mirror: Pointer) -> StoredPointer:
    """Read a pointer item as DynamoDB returned it; `mirror` bounds the revisions believed."""
    if item is None:
        return StoredPointer()
    return parse_pointer(plain(item), mirror, token=item.get("revision"))


def _item(variant: Variant, pointer: Pointer, by: Actor, at: datetime) -> dict[str, Any]:
    rollout = pointer.rollout
    return {
        **key("POINTER", variant),
        **texts(
            latest_tag=pointer.latest_tag,
            candidate_tag=pointer.candidate_tag,
            salt=rollout.salt if rollout else None,
            updated_at=rfc3339(at),
            moved_by=by,
            cause=pointer.cause,
        ),
        "revision": {"N": str(pointer.revision)},
        **(_rollout_attributes(rollout) if rollout else {}),
    }


def _rollout_attributes(rollout: Rollout) -> dict[str, Any]:
    attributes: dict[str, Any] = {
        "percent": {"N": str(rollout.percent)},
        "held": {"BOOL": rollout.held},
    }
    if rollout.brake is not None:
        attributes["brake_min_failures"] = {"N": str(rollout.brake.min_failures)}
        attributes["brake_percent"] = {"N": str(rollout.brake.percent)}
    return attributes
