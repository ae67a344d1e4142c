"""Instance records: what each user was last told to run."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, get_args

from shared.domain.errors import InvalidValue
from shared.domain.model import Instance, Source
from shared.domain.pointer import Pointer, StoredPointer
from shared.domain.values import (
    IMAGE_DIGEST,
    IMAGE_TAG,
    OPENCLAW_VERSION,
    USER_ID,
    VARIANT,
    UserId,
    Variant,
    parse_moment,
    rfc3339,
)
from shared.kv.pointers import read_pointer
from shared.kv.table import (
    UNREAD,
    Attributes,
    ConditionFailed,
    Table,
    key,
    texts,
    was_repeated,
)

PARTITION, SORT_KEY = "INSTANCE#", "IMAGE"
ITEMS_A_PAGE = 1000
SOURCES: Mapping[str, Source] = {name: name for name in get_args(Source)}


class Recorded(NamedTuple):
    """Whether the record was written, and what the store held before.

    `previous_known` is false where a lost reply hid what that was.
    """

    recorded: bool
    previous: Instance | None
    previous_known: bool = True


class Readings(NamedTuple):
    """What the KV answered about a start.

    `instance` is None where there is no record, or no readable one, or `record_read` is false;
    `stored` is None where the pointer was not read.
    """

    instance: Instance | None
    record_read: bool
    stored: StoredPointer | None


class SegmentPage(NamedTuple):
    """Records of a segment of the table. `last` is the last key read, None at the end."""

    instances: list[Instance]
    last: tuple[str, str] | None


@dataclass(frozen=True, slots=True)
class Instances:
    """The instance records of a table."""

    table: Table

    def read_with_pointer(self, user_id: UserId, variant: Variant, mirror: Pointer) -> Readings:
        """Read the record and the variant's pointer in one call, consistently.

        Raises nothing: what the KV did not answer is missing in the readings.
        """
        record, pointer = self.table.get_available(_key(user_id), key("POINTER", variant))
        return Readings(
            None if record is UNREAD else parse_instance(record),
            record is not UNREAD,
            None if pointer is UNREAD else read_pointer(pointer, mirror),
        )

    def find(self, user_id: UserId) -> Instance | None:
        """Find a user's record. Raises KVUnavailable."""
        return parse_instance(self.table.get_all(_key(user_id))[0])

    def find_all(self, user_ids: Iterable[UserId]) -> dict[UserId, Instance]:
        """Find the records of at most 100 users. Raises KVUnavailable."""
        items = self.table.get_all(*(_key(user_id) for user_id in user_ids))
        found_ones = (parse_instance(item) for item in items)
        return {instance.user_id: instance for instance in found_ones if instance}

    def record(self, instance: Instance) -> Recorded:
        """Write the record unless the stored one was decided later. Raises KVUnavailable."""
        try:
            answer = self.table.call("put_item", **put_parameters(instance))
        except ConditionFailed as failed:
            return Recorded(recorded=False, previous=parse_instance(failed.stored))
        previous = parse_instance(answer.get("Attributes"))
        if previous == instance:
            # A reply was lost: the second attempt met what the first one had written.
            return Recorded(recorded=True, previous=None, previous_known=False)
        return Recorded(recorded=True, previous=previous)

    def forget(self, user_id: UserId) -> bool:
        """Delete the record, and return whether there was one. Raises KVUnavailable.

        It is read first, because after a lost reply the second attempt finds nothing.
        """
        if self.table.get_all(_key(user_id)) == [None]:
            return False
        answer = self.table.call("delete_item", Key=_key(user_id), ReturnValues="ALL_OLD")
        return "Attributes" in answer or was_repeated(answer)

    def read_segment(
        self, segment: int, segments: int, after: tuple[str, str] | None
    ) -> SegmentPage:
        """Read the next records of one of `segments` parts of the table, consistently.

        A malformed record is left out. Raises KVUnavailable.
        """
        start = {"ExclusiveStartKey": key(*after)} if after else {}
        page = self.table.call(
            "scan",
            Segment=segment,
            TotalSegments=segments,
            Limit=ITEMS_A_PAGE,
            ConsistentRead=True,
            FilterExpression="begins_with(pk, :instance) AND sk = :image",
            ExpressionAttributeValues=texts(**{":instance": PARTITION, ":image": SORT_KEY}),
            **start,
        )
        last = page.get("LastEvaluatedKey")
        parsed = ((item["pk"]["S"], parse_instance(item)) for item in page["Items"])
        return SegmentPage(
            [one for pk, one in parsed if one and pk == f"{PARTITION}{one.user_id}"],
            (last["pk"]["S"], last["sk"]["S"]) if last else None,
        )


def parse_instance(item: Attributes | None) -> Instance | None:
    """Read a record. An incomplete or malformed one counts as none."""
    try:
        return _parsed(item) if item else None
    except (KeyError, InvalidValue):
        return None


def _parsed(item: Attributes) -> Instance:
    digest = item.get("image_digest")
    return Instance(
        user_id=USER_ID.parse(item["user_id"]["S"]),
        image_tag=IMAGE_TAG.parse(item["running_tag"]["S"]),
        image_digest=IMAGE_DIGEST.parse(digest["S"]) if digest else None,
        openclaw_version=OPENCLAW_VERSION.parse(item["openclaw_version"]["S"]),
        variant=VARIANT.parse(item["variant"]["S"]),
        source=SOURCES[item["source"]["S"]],
        is_pinned=item["is_pinned"]["BOOL"],
        resolved_at=_moment(item["resolved_at"]["S"]),
        decided_at=_moment(item["decided_at"]["S"]),
    )


def put_parameters(instance: Instance) -> dict[str, Any]:
    """Return the parameters of the write that a later decision's record refuses."""
    return {
        "Item": _item(instance),
        "ConditionExpression": "attribute_not_exists(decided_at) OR decided_at <= :at",
        "ExpressionAttributeValues": texts(**{":at": instance.decided_at}),
        "ReturnValues": "ALL_OLD",
        "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
    }


def _moment(text: str) -> str:
    """Return a time as the system writes it; Postgres refuses some. Raises InvalidValue."""
    return rfc3339(parse_moment(text))


def _item(instance: Instance) -> dict[str, Any]:
    return {
        **_key(instance.user_id),
        **texts(
            user_id=instance.user_id,
            running_tag=instance.image_tag,
            image_digest=instance.image_digest,
            openclaw_version=instance.openclaw_version,
            variant=instance.variant,
            source=instance.source,
            resolved_at=instance.resolved_at,
            decided_at=instance.decided_at,
        ),
        "is_pinned": {"BOOL": instance.is_pinned},
    }


def _key(user_id: UserId) -> dict[str, Any]:
    return key(f"{PARTITION}{user_id}", SORT_KEY)
