"""Who is in a rollout."""

import pytest

from shared.domain.pointer import Brake, Reports
from shared.domain.rollout import bucket, find_example, is_in


@pytest.mark.parametrize(
    ("salt", "user_id", "place"),
    [
        ("salt", "ana", 616),
        ("salt", "bob", 8571),
        ("2026-11-24", "user-1", 5365),
        ("s", "a|b@c+d", 1603),
        ("x", "ana", 5108),
    ],
)
def test_raising_the_percent_keeps_whoever_was_in(salt: str, user_id: str, place: int) -> None:
    r"""The bucket is what `printf 'salt\0ana' | sha256sum` says: 16 digits, mod 10,000.

    The user is in from one percentage on: nobody is at 0, everybody at 100.
    """
    assert bucket(salt, user_id) == place
    first = place // 100 + 1
    inside = [is_in(salt, user_id, percent) for percent in range(101)]
    assert inside == [False] * first + [True] * (101 - first)


def test_a_bucket_is_in_when_it_is_below_the_percentage() -> None:
    """A user whose bucket is just the percentage's end is not in."""
    user = next(user for user in map(str, range(10_000)) if bucket("salt", user) % 100 == 0)
    percent = bucket("salt", user) // 100
    assert not is_in("salt", user, percent)
    assert is_in("salt", user, percent + 1)


@pytest.mark.parametrize("percent", [1, 50, 99])
@pytest.mark.parametrize("inside", [True, False])
def test_an_example_is_of_the_wanted_bucket(percent: int, inside: bool) -> None:
    """A user is made up who is in the rollout, or who is not."""
    assert is_in("salt", find_example("salt", percent, inside=inside), percent) == inside


@pytest.mark.parametrize(("percent", "is_inside"), [(0, False), (100, True)])
def test_where_all_are_alike_anybody_is_an_example(percent: int, is_inside: bool) -> None:
    """At 0 and at 100 percent one bucket is empty, and an example is asked for all the same."""
    for inside in (True, False):
        user = find_example("salt", percent, inside=inside)
        assert is_in("salt", user, percent) == is_inside


@pytest.mark.parametrize(
    ("ok", "failed", "is_reached"),
    [(0, 2, False), (0, 3, True), (7, 3, True), (8, 3, False), (70, 30, True), (71, 30, False)],
)
def test_a_brake_needs_both_thresholds(ok: int, failed: int, is_reached: bool) -> None:
    """It holds at so many failed starts and at such a share of all; each limit is included."""
    assert Brake(min_failures=3, percent=30).is_reached(Reports(ok, failed)) == is_reached
