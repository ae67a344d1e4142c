"""Laws of the rollout: who is in, and who stays in."""

import hashlib
from types import ModuleType

from hypothesis import strategies as st

from shared.domain import rollout
from tests.unit.domain.properties import Laws


def place(salt: str, user: str) -> int:
    """As defined: eight bytes of the hash, the first the most significant."""
    number = 0
    for byte in hashlib.sha256(f"{salt}\0{user}".encode()).digest()[:8]:
        number = number * 256 + byte
    return number % 10_000


def check(module: ModuleType, user: str) -> None:
    for salt, one in ((SALT, user), ("", user), (SALT, ON_THE_EDGE)):
        the_bucket_is_as_defined(module, salt, one)
        whoever_was_in_stays_in(module, salt, one)


def the_bucket_is_as_defined(module: ModuleType, salt: str, user: str) -> None:
    """A place in 0..9,999."""
    assert module.bucket(salt, user) == place(salt, user)


def whoever_was_in_stays_in(module: ModuleType, salt: str, user: str) -> None:
    """In from one percentage on: nobody at 0, everybody at 100."""
    inside = [module.is_in(salt, user, percent) for percent in range(101)]
    first = place(salt, user) // 100 + 1
    assert inside == [False] * first + [True] * (101 - first)


SALT = "2026-11-24"
ON_THE_EDGE = next(user for user in map(str, range(10_000)) if place(SALT, user) % 100 == 0)
USERS = st.integers(0, 10**9).map("user-{}".format)
LAWS = Laws("rollout", rollout, USERS, check, examples=20)
