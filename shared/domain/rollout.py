"""Who is in a rollout: decided by a hash, so that it can be asked again and never changes."""

from hashlib import sha256

from shared.domain.values import UserId

BUCKETS = 10_000


def bucket(salt: str, user_id: UserId) -> int:
    """The user's place in 0..9,999 under this rollout's salt."""
    digest = sha256(f"{salt}\0{user_id}".encode()).digest()
    return int.from_bytes(digest[:8], "big") % BUCKETS


def is_in(salt: str, user_id: UserId, percent: int) -> bool:
    """Raising `percent` keeps everyone who was in."""
    return bucket(salt, user_id) < percent * (BUCKETS // 100)
