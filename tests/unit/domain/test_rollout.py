"""Who is in a rollout."""

import pytest

from shared.domain.rollout import bucket, is_in


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
def test_places(salt: str, user_id: str, place: int) -> None:
    r"""As `printf 'salt\0ana' | sha256sum` says: its first 16 digits, mod 10,000."""
    assert bucket(salt, user_id) == place
    assert is_in(salt, user_id, place // 100 + 1)
    assert not is_in(salt, user_id, place // 100)


@pytest.mark.parametrize("percent", [0, 1, 10, 50, 99, 100])
def test_a_percentage_is_one_of_the_users(percent: int) -> None:
    """Within four standard deviations of what chance gives."""
    users = 5000
    inside = sum(is_in("salt", f"user-{number}", percent) for number in range(users))
    share = percent / 100
    assert abs(inside - users * share) <= 4 * (users * share * (1 - share)) ** 0.5


def test_a_fresh_salt_deals_anew() -> None:
    """Who came first in one rollout does not in the next: a tenth of a tenth is in both."""
    users = [f"user-{number}" for number in range(5000)]
    both = sum(is_in("one", user, 10) and is_in("two", user, 10) for user in users)
    assert 20 <= both <= 90
