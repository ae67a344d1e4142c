"""Read whole partitions, and make many calls at once, backing off while the KV throttles."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from random import SystemRandom
from time import monotonic, sleep
from typing import Any, Generic, TypeVar

from shared.domain.errors import KVUnavailable
from shared.kv.table import Attributes, Table, texts

AT_ONCE = 8
PASSES = 3
FIRST_PAUSE_SECONDS = 0.05
LONGEST_PAUSE_SECONDS = 1.0
GIVE_UP_AFTER = 3 * AT_ONCE
"""This many failures in a row mean that the KV is down, not that it is busy."""

_random = SystemRandom()

Item = TypeVar("Item")
Result = TypeVar("Result")


def read_partition(table: Table, pk: str, **options: Any) -> Iterator[Attributes]:
    """Read every item of a partition, page by page, consistently. Raises KVUnavailable."""
    start: dict[str, Any] = {}
    while True:
        page = table.call(
            "query",
            KeyConditionExpression="pk = :pk",
            ExpressionAttributeValues=texts(**{":pk": pk}),
            ConsistentRead=True,
            **options,
            **start,
        )
        yield from page["Items"]
        if "LastEvaluatedKey" not in page:
            return
        start = {"ExclusiveStartKey": page["LastEvaluatedKey"]}


def call_all(
    call: Callable[[Item], Result], items: Sequence[Item], ends: float | None = None
) -> list[Result | None]:
    """Call once for every item; the results, in the same order.

    A call that raises KVUnavailable is repeated after all others; None where every try failed.
    No call begins after `ends`, on the monotonic clock, nor once the KV shows to be down.
    """
    caller = _Caller(call, items, ends)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for _ in range(PASSES):
            left = [index for index in range(len(items)) if index not in caller.results]
            for _ in pool.map(caller.attempt, left):
                pass
    return [caller.results.get(index) for index in range(len(items))]


class _Caller(Generic[Item, Result]):
    """What the threads of one `call_all` share."""

    def __init__(
        self, call: Callable[[Item], Result], items: Sequence[Item], ends: float | None
    ) -> None:
        self.results: dict[int, Result] = {}
        self._call = call
        self._items = items
        self._ends = ends
        self._failures_in_a_row = 0

    def attempt(self, index: int) -> None:
        if self._is_over():
            return
        try:
            self.results[index] = self._call(self._items[index])
        except KVUnavailable:
            self._failures_in_a_row += 1
            sleep(_random.random() * self._pause())
        else:
            self._failures_in_a_row = 0

    def _is_over(self) -> bool:
        late = self._ends is not None and monotonic() > self._ends
        return late or self._failures_in_a_row >= GIVE_UP_AFTER

    def _pause(self) -> float:
        longest: float = FIRST_PAUSE_SECONDS * 2**self._failures_in_a_row
        return min(longest, LONGEST_PAUSE_SECONDS)
