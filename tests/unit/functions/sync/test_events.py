"""What the sync function is invoked with."""

import pytest

from functions.sync.handler import _parse
from shared.domain.errors import InvalidRequest


@pytest.mark.parametrize(
    ("event", "meaning"),
    [
        ({}, "direct"),
        ({"source": "aws.scheduler", "detail-type": "Scheduled Event"}, "schedule"),
        ({"rebuild": "kv"}, "rebuild_kv"),
        ({"rebuild": "catalog"}, "rebuild_catalog"),
    ],
)
def test_events(event: object, meaning: str) -> None:
    """By the schedule, by hand, or after a loss."""
    assert _parse(event) == meaning


@pytest.mark.parametrize(
    "event",
    [None, [], "", 0, "{}", {"source": "aws.events"}, {"rebuild": "all"}, {"rebuild": ["kv"]},
     {"rebuild": "kv", "cap": 1}, {"x": 1}],
)  # fmt: skip
def test_other_events(event: object) -> None:
    """Nothing is guessed."""
    with pytest.raises(InvalidRequest, match="payload"):
        _parse(event)
