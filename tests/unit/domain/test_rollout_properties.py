"""Properties of the rollout: who is in, and who stays in."""

import hashlib

from hypothesis import given, settings
from hypothesis import strategies as st

from shared.domain import rollout


def place(salt: str, user: str) -> int:
    """As defined: eight bytes of the hash, the first the most significant."""
    number = 0
    for byte in hashlib.sha256(f"{salt}\0{user}".encode()).digest()[:8]:
        number = number * 256 + byte
    return number % 10_000


def check(user: str) -> None:
    for salt, one in ((SALT, user), ("", user), (SALT, ON_THE_EDGE)):
        the_bucket_is_as_defined(salt, one)
        whoever_was_in_stays_in(salt, one)


def the_bucket_is_as_defined(salt: str, user: str) -> None:
    """A place in 0..9,999."""
    assert rollout.bucket(salt, user) == place(salt, user)


def whoever_was_in_stays_in(salt: str, user: str) -> None:
    """In from one percentage on: nobody at 0, everybody at 100."""
    inside = [rollout.is_in(salt, user, percent) for percent in range(101)]
    first = place(salt, user) // 100 + 1
    assert inside == [False] * first + [True] * (101 - first)


SALT = "2026-11-24"
ON_THE_EDGE = next(user for user in map(str, range(10_000)) if place(SALT, user) % 100 == 0)
USERS = st.integers(0, 10**9).map("user-{}".format)


@settings(max_examples=20)
@given(USERS)
def test_rollout_properties(user: str) -> None:
    """The bucket is as defined, and raising the percent only adds users."""
    check(user)
