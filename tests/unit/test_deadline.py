"""The time of one event."""

from collections.abc import Iterator
from contextlib import suppress
from math import inf
from unittest.mock import patch

import pytest

from shared.deadline import Deadline


class Clock:
    """A clock that a test sets."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(autouse=True)
def patched(clock: Clock) -> Iterator[None]:
    with patch("shared.deadline.monotonic", clock):
        yield


def test_only_waits_for_the_catalog_use_up_its_share(clock: Clock) -> None:
    """The event's own time passes all the same."""
    deadline = Deadline(6, 3)
    clock.now += 1
    with deadline.waiting_for_catalog():
        clock.now += 2
    assert (deadline.left, deadline.catalog_left) == (3, 1)


def test_a_wait_that_fails_counts_too(clock: Clock) -> None:
    """Whatever ends the wait, its time is used."""
    deadline = Deadline(6, 3)
    with suppress(LookupError), deadline.waiting_for_catalog():
        clock.now += 2
        raise LookupError
    assert deadline.catalog_left == 1


def test_the_end_of_the_event_ends_the_share_of_the_catalog(clock: Clock) -> None:
    """After the event's end both times are negative."""
    deadline = Deadline(6, 3)
    clock.now += 5
    assert deadline.catalog_left == 1
    clock.now += 2
    assert (deadline.left, deadline.catalog_left) == (-1, -1)


def test_an_extension_is_for_both_and_never_shortens(clock: Clock) -> None:
    """It counts from now."""
    deadline = Deadline(6, 3)
    clock.now += 5
    deadline.extend(10)
    deadline.extend(1)
    assert (deadline.left, deadline.catalog_left) == (10, 10)


def test_without_limits_there_is_always_time() -> None:
    """A deadline without limits never ends."""
    deadline = Deadline()
    assert (deadline.left, deadline.catalog_left) == (inf, inf)
