"""What the sync function is invoked with."""

import pytest

from functions.sync.handler import ClaimRelease, _parse
from shared.domain.errors import InvalidRequest
from shared.domain.fleet_position import FleetPosition

NEXT = FleetPosition({2: ("INSTANCE#ana", "IMAGE")}, "")


@pytest.mark.parametrize(
    ("event", "meaning"),
    [
        ({}, "direct"),
        ({"source": "aws.scheduler", "detail-type": "Scheduled Event"}, "schedule"),
        ({"rebuild": "kv"}, "rebuild_kv"),
        ({"rebuild": "catalog"}, "rebuild_catalog"),
        ({"rebuild": "fleet"}, FleetPosition.start()),
        ({"rebuild": "fleet", "next": None}, FleetPosition.start()),
        ({"rebuild": "fleet", "next": NEXT.to_text()}, NEXT),
        ({"verify": "audit"}, "verify_audit"),
        ({"release_claim": f"SHA256:{'A' * 64}"}, ClaimRelease(f"sha256:{'a' * 64}")),
    ],
)
def test_events(event: object, meaning: object) -> None:
    """A run is asked for by the schedule, by hand or as a rebuild."""
    assert _parse(event) == meaning


@pytest.mark.parametrize(
    "event",
    [None, [], "", 0, "{}", {"source": "aws.events"}, {"rebuild": "all"}, {"rebuild": ["kv"]},
     {"rebuild": "kv", "cap": 1}, {"rebuild": "kv", "next": None}, {"rebuild": "fleet", "x": 1},
     {"x": 1}, {"verify": "all"}, {"verify": "audit", "x": 1},
     {"release_claim": f"sha256:{'a' * 64}", "x": 1}],
)  # fmt: skip
def test_other_events(event: object) -> None:
    """An event that is none of these is refused."""
    with pytest.raises(InvalidRequest, match="payload"):
        _parse(event)


@pytest.mark.parametrize("digest", [None, 1, "", "sha256:", f"md5:{'a' * 64}"])
def test_a_release_needs_a_digest(digest: object) -> None:
    """The refusal names the field."""
    with pytest.raises(InvalidRequest, match="release_claim: must be"):
        _parse({"release_claim": digest})


@pytest.mark.parametrize("position", ["", "x", 1, {}, [NEXT.to_text()]])
def test_a_rebuild_goes_on_from_a_position(position: object) -> None:
    """The refusal names the field."""
    with pytest.raises(InvalidRequest, match="next: must be"):
        _parse({"rebuild": "fleet", "next": position})
