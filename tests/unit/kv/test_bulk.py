"""Many calls at once: each is tried again, and none is tried when it is too late."""

from collections import Counter
from collections.abc import Callable
from threading import Lock
from time import monotonic

import pytest

from shared.domain.errors import KVUnavailable
from shared.kv import bulk
from shared.kv.bulk import AT_ONCE, GIVE_UP_AFTER, LONGEST_PAUSE_SECONDS, PASSES, call_all


@pytest.fixture(autouse=True)
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses that were made, none of which takes time; each is as long as it may be."""
    made: list[float] = []
    monkeypatch.setattr(bulk, "sleep", made.append)
    monkeypatch.setattr(bulk._random, "random", lambda: 1.0)
    return made


def _failing(
    *, times: int, only: Callable[[int], bool] = lambda _: True
) -> Callable[[int], int]:
    """A call that doubles a number, after it has failed so many times for that number."""
    failed: Counter[int] = Counter()
    lock = Lock()

    def call(number: int) -> int:
        with lock:
            failed[number] += 1
            fails = only(number) and failed[number] <= times
        if fails:
            raise KVUnavailable("planted")
        return 2 * number

    return call


def test_results_come_in_the_order_of_the_items() -> None:
    """Results are in the items' order, however the threads ran."""
    assert call_all(_failing(times=0), range(100)) == [2 * number for number in range(100)]
    assert call_all(_failing(times=0), []) == []


def test_a_call_that_failed_is_repeated(pauses: list[float]) -> None:
    """A failed call is repeated after all the others and after a pause."""
    call = _failing(times=PASSES - 1, only=lambda number: number % 10 == 0)
    assert call_all(call, range(100)) == [2 * number for number in range(100)]
    assert len(pauses) == 10 * (PASSES - 1)


def test_one_call_that_always_fails_does_not_stop_the_others() -> None:
    """The result of a call that always fails is None."""
    results = call_all(_failing(times=99, only=lambda number: number == 5), range(50))
    assert results == [None if number == 5 else 2 * number for number in range(50)]


def test_pauses_grow_while_nothing_succeeds(pauses: list[float]) -> None:
    """Pauses double up to a second, and a KV that answers nothing is given up."""
    assert call_all(_failing(times=99), range(1_000)) == [None] * 1_000
    assert GIVE_UP_AFTER <= len(pauses) < GIVE_UP_AFTER + AT_ONCE
    assert pauses[0] == pytest.approx(0.1, abs=0.5)
    assert max(pauses) == LONGEST_PAUSE_SECONDS


def test_no_call_begins_after_the_end() -> None:
    """An item that was not called has no result."""
    assert call_all(_failing(times=0), range(9), ends=monotonic() - 1) == [None] * 9
    assert call_all(_failing(times=0), range(9), ends=monotonic() + 60)[8] == 16


def test_a_mistake_is_not_a_busy_kv() -> None:
    """An error that is not the KV's is raised."""
    with pytest.raises(ZeroDivisionError):
        call_all(lambda number: 1 // number, [1, 0])
