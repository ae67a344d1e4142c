"""Whatever happens at once, both stores agree afterwards and nobody meets a raw error."""

from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest

from shared.domain.errors import (
    DigestInUse,
    InvalidReplacement,
    Refused,
    VersionDisabled,
    VersionInUse,
    VersionNotActive,
    VersionPinned,
)
from shared.kv.table import connect
from tests.integration.racing import SANDBOXES, Crowd, crowd_of, digest, faults, pointers
from tests.stores import Stores


@pytest.fixture(scope="module")
def clients(dynamodb: Any) -> Iterator[list[Any]]:
    """A client for each sandbox; they take longer to make than a round takes."""
    clients = [connect() for _ in range(SANDBOXES)]
    yield clients
    for client in clients:
        client.close()


@pytest.fixture
def crowd(stores: Stores, clients: list[Any]) -> Iterator[Crowd]:
    """Six administrators, two syncs and three starts, each in a sandbox of its own."""
    with crowd_of(stores, clients) as crowd:
        yield crowd


def _latest(crowd: Crowd) -> str:
    [(latest,)] = crowd.stores.sql("SELECT latest_tag FROM kiloclaw_variants")
    return str(latest)


def _status(crowd: Crowd, tag: str) -> str:
    [(status,)] = crowd.stores.sql(
        "SELECT status FROM kiloclaw_available_versions WHERE image_tag = %(tag)s", tag=tag
    )
    return str(status)


def _published(crowd: Crowd, *tags: str) -> None:
    for tag in tags:
        crowd.admins[0].publish(tag, digest(tag))


def test_of_publishes_that_claim_one_digest_exactly_one_wins(crowd: Crowd) -> None:
    """The others learn the owner's tag and leave neither an entry nor a claim behind."""
    for number in range(20):
        tags = [f"claim-{number}-{index}" for index in range(len(crowd.admins))]
        ended = crowd.race(
            *(
                partial(admin.publish, tag, digest(number))
                for admin, tag in zip(crowd.admins, tags, strict=True)
            )
        )
        [winner] = [
            tag for tag, end in zip(tags, ended, strict=True) if not isinstance(end, Refused)
        ]
        losers = [end for end in ended if isinstance(end, Refused)]
        assert {(type(loser), loser.facts.get("owner")) for loser in losers} == {
            (DigestInUse, winner)
        }
    crowd.settle()
    assert len(crowd.stores.items("IMAGE")) == 20
    assert not faults(crowd.stores)


def test_publishes_of_one_tag_end_as_one_version(crowd: Crowd) -> None:
    """A pipeline that runs twice at once, with and without `set_latest`, publishes once."""
    for number in range(15):
        tag = f"twice-{number}"
        ended = crowd.race(
            *(
                partial(admin.publish, tag, digest(tag), set_latest=index % 2 == 0)
                for index, admin in enumerate(crowd.admins)
            )
        )
        assert [end.is_new for end in ended].count(True) == 1
        assert _latest(crowd) == tag
    crowd.settle()
    assert not faults(crowd.stores)


def test_syncs_at_once_take_every_entry_in_once(crowd: Crowd) -> None:
    """One of them works, or they work one after the other; none fails."""
    one, two = crowd.syncs
    for number in range(20):
        for index in range(3):
            tag = f"found-{number}-{index}"
            crowd.stores.put_entry(tag, image_digest=digest(tag))
        reports = crowd.race(one.synchronise, two.synchronise)
        assert {report.outcome for report in reports} <= {"ok", "skipped_locked"}
        assert sum(report.inserted for report in reports) == 3
    crowd.settle()
    assert not faults(crowd.stores)


def test_a_sync_meets_publishes(crowd: Crowd) -> None:
    """Sync finds a half-published version, or a pipeline's entry with the same digest."""
    for number in range(25):
        tag, rival = f"api-{number}", f"pipeline-{number}"
        crowd.stores.put_entry(rival, image_digest=digest(number))
        api, again, sync, report, _ = crowd.race(
            partial(crowd.admins[0].publish, tag, digest(number), set_latest=True),
            partial(crowd.admins[1].publish, f"{tag}-too", digest(f"{tag}-too")),
            crowd.syncs[0].synchronise,
            crowd.syncs[1].synchronise,
            partial(crowd.admins[2].publish, rival, set_latest=True),
        )
        assert not isinstance(again, Refused)
        assert not isinstance(sync, Refused)
        assert not isinstance(report, Refused)
        assert not isinstance(api, Refused) or api.facts == {"owner": rival}
    crowd.settle()
    assert not faults(crowd.stores)


def test_a_promotion_meets_the_kill_switch(crowd: Crowd) -> None:
    """Whoever comes first, no copy of the pointer names a disabled version."""
    _published(crowd, "first")
    crowd.admins[0].promote("first")
    for number in range(40):
        tag = f"next-{number}"
        _published(crowd, tag)
        promoted, disabled = crowd.race(
            partial(crowd.admins[0].promote, tag), partial(crowd.admins[1].disable, tag)
        )
        if isinstance(disabled, Refused):
            assert isinstance(disabled, VersionInUse)
            assert promoted == "default"
        else:
            assert isinstance(promoted, VersionNotActive)
        assert not faults(crowd.stores)
    crowd.settle()
    assert not faults(crowd.stores)


def test_a_promotion_meets_the_kill_switch_with_a_replacement(crowd: Crowd) -> None:
    """The switch always works, and afterwards something active is latest."""
    _published(crowd, "first", "spare")
    crowd.admins[0].promote("first")
    for number in range(25):
        tag = f"next-{number}"
        _published(crowd, tag)
        promoted, _, disabled = crowd.race(
            partial(crowd.admins[0].promote, tag),
            partial(crowd.admins[2].promote, "first"),
            partial(crowd.admins[1].disable, tag, "spare"),
        )
        assert not isinstance(disabled, Refused)
        assert promoted == "default" or isinstance(promoted, VersionNotActive)
        assert _latest(crowd) in {"first", "spare"}
    crowd.settle()
    assert not faults(crowd.stores)


def test_a_pin_meets_the_kill_switch(crowd: Crowd) -> None:
    """A version disabled without force has no pin; one with a pin is not disabled."""
    for number in range(40):
        tag = f"pinned-{number}"
        _published(crowd, tag)
        *pinned, disabled = crowd.race(
            partial(crowd.admins[0].pin, f"user-{number}-a", tag),
            partial(crowd.admins[1].pin, f"user-{number}-b", tag),
            partial(crowd.admins[2].disable, tag),
        )
        refused = [end for end in pinned if isinstance(end, Refused)]
        if isinstance(disabled, Refused):
            assert isinstance(disabled, VersionPinned)
            assert not refused
        else:
            assert [type(refusal) for refusal in refused] == [VersionDisabled] * 2
    suspended = crowd.stores.sql(
        "SELECT p.user_id FROM kiloclaw_version_pins p"
        "  JOIN kiloclaw_available_versions v USING (image_tag) WHERE v.status = 'disabled'"
    )
    assert suspended == []


def test_pins_meet_a_kill_switch_that_moves_them(crowd: Crowd) -> None:
    """A user who is pinned while the pins move ends on the replacement or is refused."""
    _published(crowd, "spare")
    for number in range(25):
        tag = f"moved-{number}"
        _published(crowd, tag)
        crowd.admins[0].pin(f"user-{number}-0", tag)
        first, again, disabled = crowd.race(
            partial(crowd.admins[0].pin, f"user-{number}-1", tag),
            partial(crowd.admins[1].pin, f"user-{number}-0", "spare"),
            partial(crowd.admins[2].disable, tag, "spare"),
        )
        assert not isinstance(disabled, Refused)
        assert not isinstance(again, Refused)
        assert not isinstance(first, Refused) or isinstance(first, VersionDisabled)
    tags = crowd.stores.sql("SELECT DISTINCT image_tag FROM kiloclaw_version_pins")
    assert tags == [("spare",)]
    _check_pins_are_told(crowd)


def _check_pins_are_told(crowd: Crowd) -> None:
    """As many events as a pin has revisions."""
    untold = crowd.stores.sql(
        """
        SELECT p.user_id, p.revision, count(l.id)
          FROM kiloclaw_version_pins p
          JOIN kiloclaw_user_aliases a USING (user_id)
          LEFT JOIN kiloclaw_audit_log l
            ON l.subject_id = a.alias::text AND l.action = 'pin.set'
         GROUP BY p.user_id, p.revision HAVING count(l.id) <> p.revision
        """
    )
    assert untold == []


def test_pins_of_one_user_follow_each_other(crowd: Crowd) -> None:
    """One pin remains, and the log has an event for each of its revisions."""
    tags = [f"choice-{index}" for index in range(len(crowd.admins))]
    _published(crowd, *tags)
    for number in range(20):
        user = f"user-{number}"
        ended = crowd.race(
            *(
                partial(admin.pin, user, tag)
                for admin, tag in zip(crowd.admins, tags, strict=True)
            )
        )
        assert [end.is_new for end in ended].count(True) == 1
        [(tag, revision)] = crowd.stores.sql(
            "SELECT image_tag, revision FROM kiloclaw_version_pins WHERE user_id = %(user)s",
            user=user,
        )
        [last] = [end for end in ended if end.pin.revision == revision]
        assert (revision, last.pin.image_tag) == (len(ended), tag)
    _check_pins_are_told(crowd)


def test_a_retirement_meets_syncs(crowd: Crowd) -> None:
    """A retired version stays retired, and its entry becomes a tombstone."""
    for number in range(25):
        tag = f"gone-{number}"
        _published(crowd, tag)
        ended = crowd.race(
            partial(crowd.admins[0].retire, tag),
            crowd.syncs[0].synchronise,
            crowd.syncs[1].synchronise,
        )
        assert not [end for end in ended if isinstance(end, Refused)]
    crowd.settle()
    assert not faults(crowd.stores)
    retired = crowd.stores.sql(
        "SELECT count(*) FROM kiloclaw_available_versions WHERE retired_at IS NOT NULL"
    )
    assert retired == [(25,)]


def test_a_retirement_meets_a_promotion_and_a_pin(crowd: Crowd) -> None:
    """Nobody is left on a version that is gone."""
    _published(crowd, "first")
    crowd.admins[0].promote("first")
    for number in range(25):
        tag = f"gone-{number}"
        _published(crowd, tag)
        retired, promoted, pinned = crowd.race(
            partial(crowd.admins[0].retire, tag),
            partial(crowd.admins[1].promote, tag),
            partial(crowd.admins[2].pin, f"user-{number}", tag),
        )
        assert isinstance(retired, Refused) != (
            isinstance(promoted, Refused) and isinstance(pinned, Refused)
        )
    crowd.settle()
    assert not faults(crowd.stores)


def test_two_kill_switches_name_each_other_as_replacement(crowd: Crowd) -> None:
    """One of them works; the other is told that its replacement is no longer active."""
    for number in range(25):
        one, two = f"one-{number}", f"two-{number}"
        _published(crowd, one, two)
        crowd.admins[0].promote(one)
        crowd.admins[0].pin(f"user-{number}", one)
        ended = crowd.race(
            partial(crowd.admins[0].disable, one, two),
            partial(crowd.admins[1].disable, two, one),
        )
        [refused] = [end for end in ended if isinstance(end, Refused)]
        assert isinstance(refused, InvalidReplacement)
        left = two if ended[1] is refused else one
        assert _latest(crowd) == left
        assert _status(crowd, left) == "active"
    crowd.settle()
    assert not faults(crowd.stores)


def test_an_enabled_version_is_promoted_at_once(crowd: Crowd) -> None:
    """Enabling moves nobody: the version is latest only if the promotion came second."""
    _published(crowd, "first", "back")
    for _ in range(25):
        crowd.admins[0].promote("first")
        crowd.admins[0].disable("back")
        enabled, promoted = crowd.race(
            partial(crowd.admins[0].enable, "back"), partial(crowd.admins[1].promote, "back")
        )
        assert not isinstance(enabled, Refused)
        refused = isinstance(promoted, VersionNotActive)
        assert _latest(crowd) == ("first" if refused else "back")
        assert not faults(crowd.stores)
    assert len(pointers(crowd.stores)) == 1
