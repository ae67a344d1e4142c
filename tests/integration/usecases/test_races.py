"""Whatever happens at once, both stores agree afterwards and nobody meets a raw error."""

from functools import partial

from shared.domain.errors import (
    DigestInUse,
    InvalidReplacement,
    Refused,
    VersionInUse,
    VersionNotActive,
)
from tests.support.concurrent_actors import Crowd, digest, latest, published, status
from tests.support.invariants import faults, pointers


def test_of_publishes_that_claim_one_digest_exactly_one_wins(crowd: Crowd) -> None:
    """The others learn the owner's tag and leave neither an entry nor a claim behind."""
    for number in range(12):
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
    assert len(crowd.stores.items("IMAGE")) == 12
    assert not faults(crowd.stores)


def test_publishes_of_one_tag_end_as_one_version(crowd: Crowd) -> None:
    """A pipeline that runs twice at once, with and without `set_latest`, publishes once."""
    for number in range(10):
        tag = f"twice-{number}"
        ended = crowd.race(
            *(
                partial(admin.publish, tag, digest(tag), set_latest=index % 2 == 0)
                for index, admin in enumerate(crowd.admins)
            )
        )
        assert [end.is_new for end in ended].count(True) == 1
        assert latest(crowd) == tag
    crowd.settle()
    assert not faults(crowd.stores)


def test_syncs_at_once_take_every_entry_in_once(crowd: Crowd) -> None:
    """Of two syncs at once each entry is inserted by one, and neither fails."""
    one, two = crowd.syncs
    for number in range(12):
        for index in range(3):
            tag = f"found-{number}-{index}"
            crowd.stores.put_entry(tag, image_digest=digest(tag))
        reports = crowd.race(one.sync, two.sync)
        assert {report.outcome for report in reports} <= {"ok", "skipped_locked"}
        assert sum(report.inserted for report in reports) == 3
    crowd.settle()
    assert not faults(crowd.stores)


def test_a_sync_that_updates_versions_meets_a_kill_switch(crowd: Crowd) -> None:
    """One locks the disabled version and its replacement, the other every row; none waits."""
    tags = [f"v-{number}" for number in range(8)]
    published(crowd, *tags)
    for number in range(12):
        for tag in tags:
            crowd.stores.put_entry(
                tag, image_digest=digest(tag), openclaw_version=f"2026.12.{number + 1}"
            )
        one, other = tags[number % 8], tags[-1 - number % 8]
        ended = crowd.race(
            partial(crowd.admins[0].disable, one, other),
            partial(crowd.admins[1].disable, other, one),
            partial(crowd.syncs[0].sync, 0),
        )
        report = ended[-1]
        assert not isinstance(report, Refused)
        assert report.outcome == "ok"
        for tag in {one, other}:
            crowd.admins[0].enable(tag)
    assert crowd.settle().updated == 0
    assert not faults(crowd.stores)


def test_a_sync_meets_publishes(crowd: Crowd) -> None:
    """No publish or sync fails, except that a digest's loser is told its owner."""
    for number in range(15):
        tag, rival = f"api-{number}", f"pipeline-{number}"
        crowd.stores.put_entry(rival, image_digest=digest(number))
        api, again, sync, report, _ = crowd.race(
            partial(crowd.admins[0].publish, tag, digest(number), set_latest=True),
            partial(crowd.admins[1].publish, f"{tag}-too", digest(f"{tag}-too")),
            crowd.syncs[0].sync,
            crowd.syncs[1].sync,
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
    published(crowd, "first")
    crowd.admins[0].promote("first")
    for number in range(15):
        tag = f"next-{number}"
        published(crowd, tag)
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
    published(crowd, "first", "spare")
    crowd.admins[0].promote("first")
    for number in range(15):
        tag = f"next-{number}"
        published(crowd, tag)
        promoted, _, disabled = crowd.race(
            partial(crowd.admins[0].promote, tag),
            partial(crowd.admins[2].promote, "first"),
            partial(crowd.admins[1].disable, tag, "spare"),
        )
        assert not isinstance(disabled, Refused)
        assert promoted == "default" or isinstance(promoted, VersionNotActive)
        assert latest(crowd) in {"first", "spare"}
    crowd.settle()
    assert not faults(crowd.stores)


def test_a_retirement_meets_syncs(crowd: Crowd) -> None:
    """A retired version stays retired, and its entry becomes a tombstone."""
    for number in range(15):
        tag = f"gone-{number}"
        published(crowd, tag)
        ended = crowd.race(
            partial(crowd.admins[0].retire, tag),
            crowd.syncs[0].sync,
            crowd.syncs[1].sync,
        )
        assert not [end for end in ended if isinstance(end, Refused)]
    crowd.settle()
    assert not faults(crowd.stores)
    retired = crowd.stores.sql(
        "SELECT count(*) FROM kiloclaw_available_versions WHERE retired_at IS NOT NULL"
    )
    assert retired == [(15,)]


def test_a_retirement_meets_a_promotion_and_a_pin(crowd: Crowd) -> None:
    """Either the retirement is refused, or both the promotion and the pin are."""
    published(crowd, "first")
    crowd.admins[0].promote("first")
    for number in range(15):
        tag = f"gone-{number}"
        published(crowd, tag)
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
    for number in range(15):
        one, two = f"one-{number}", f"two-{number}"
        published(crowd, one, two)
        crowd.admins[0].promote(one)
        crowd.admins[0].pin(f"user-{number}", one)
        ended = crowd.race(
            partial(crowd.admins[0].disable, one, two),
            partial(crowd.admins[1].disable, two, one),
        )
        [refused] = [end for end in ended if isinstance(end, Refused)]
        assert isinstance(refused, InvalidReplacement)
        left = two if ended[1] is refused else one
        assert latest(crowd) == left
        assert status(crowd, left) == "active"
    crowd.settle()
    assert not faults(crowd.stores)


def test_an_enabled_version_is_promoted_at_once(crowd: Crowd) -> None:
    """Enabling moves nobody: the version is latest only if the promotion came second."""
    published(crowd, "first", "back")
    for _ in range(15):
        crowd.admins[0].promote("first")
        crowd.admins[0].disable("back")
        enabled, promoted = crowd.race(
            partial(crowd.admins[0].enable, "back"), partial(crowd.admins[1].promote, "back")
        )
        assert not isinstance(enabled, Refused)
        refused = isinstance(promoted, VersionNotActive)
        assert latest(crowd) == ("first" if refused else "back")
        assert not faults(crowd.stores)
    assert len(pointers(crowd.stores)) == 1
