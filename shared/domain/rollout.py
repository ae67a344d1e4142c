"""Who is in a rollout. A hash decides, so the answer is the same each time it is asked."""

from hashlib import sha256
from itertools import count

from shared.domain.values import UserId

BUCKETS = 10_000


def bucket(salt: str, user_id: UserId) -> int:
    """Hash the user into 0..9,999; each rollout's salt shuffles the users anew."""
    digest = sha256(f"{salt}\0{user_id}".encode()).digest()
    return int.from_bytes(digest[:8], "big") % BUCKETS


def is_in(salt: str, user_id: UserId, percent: int) -> bool:
    """Whether the user is in a rollout to `percent`. Raising it keeps everyone who was in."""
    return bucket(salt, user_id) < percent * (BUCKETS // 100)


def find_example(salt: str, percent: int, *, inside: bool) -> UserId:
    """Make up a user who is in the rollout, or who is not; any user if there can be none."""
    names = (f"user-{number}" for number in count())
    if percent <= 0 or percent >= BUCKETS // 100:
        return next(names)
    return next(name for name in names if is_in(salt, name, percent) == inside)
