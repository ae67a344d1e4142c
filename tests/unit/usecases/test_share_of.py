"""The estimate of a new rollout: from what it would do to everybody, a share."""

from hypothesis import given
from hypothesis import strategies as st

from shared.usecases.preview import MoveCount, MovedUser, Preview
from shared.usecases.preview_rollout import share_of

COUNTS = st.lists(st.integers(1, 10_000), max_size=6)


def impact(*counts: int) -> Preview:
    """What a rollout to everybody does: so many move from each of as many tags."""
    ordered = sorted(counts, reverse=True)
    moves = [MoveCount(f"v{number}", "new", users) for number, users in enumerate(ordered)]
    users = sum(counts)
    sample = [MovedUser(f"user-{number}", "v0", "new") for number in range(min(20, users))]
    return Preview(users, moves, 7, sample, None)


@given(COUNTS, st.integers(0, 100))
def test_a_share_adds_up(counts: list[int], percent: int) -> None:
    """Share times users, rounded; moves are each rounded to a neighbour and add up to it."""
    whole = impact(*counts)
    share = share_of(whole, percent)
    assert share.estimate
    assert abs(share.users - whole.users * percent / 100) <= 0.5
    assert sum(one.users for one in share.moves) == share.users
    assert all(one.users > 0 for one in share.moves)
    before = {one.from_tag: one.users for one in whole.moves}
    for one in share.moves:
        assert abs(one.users - before[one.from_tag] * percent / 100) < 1
    shown = [one.users for one in share.moves]
    assert shown == sorted(shown, reverse=True)
    assert len(share.sample) == min(len(whole.sample), share.users)
    assert (share.pinned, share.as_of) == (7, None)


def test_the_largest_remainders_are_rounded_up() -> None:
    """Of 10 % of 19 and of 16 users the second half user goes to the first move."""
    share = share_of(impact(19, 16), 10)
    assert [(one.from_tag, one.users) for one in share.moves] == [("v0", 2), ("v1", 2)]
    assert [one.users for one in share_of(impact(19, 11), 10).moves] == [2, 1]
