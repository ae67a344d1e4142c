"""Whatever happens to one user at once, the pin, the record and the log tell one story."""

from functools import partial

from shared.domain.errors import Refused, VersionDisabled, VersionPinned
from tests.support.concurrent_actors import Crowd, published


def test_a_pin_meets_the_kill_switch(crowd: Crowd) -> None:
    """A version disabled without force has no pin; one with a pin is not disabled."""
    for number in range(25):
        tag = f"pinned-{number}"
        published(crowd, tag)
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
    published(crowd, "spare")
    for number in range(25):
        tag = f"moved-{number}"
        published(crowd, tag)
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
    published(crowd, *tags)
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


def test_an_erasure_meets_a_pin(crowd: Crowd) -> None:
    """Whoever comes second decides: the pin is there with its alias, or nothing is.

    Also for a user of whom nothing is known yet, so that there is no row to lock.
    """
    published(crowd, "choice", "other")
    for number in range(20):
        user = f"user-{number}"
        if number % 2:
            crowd.admins[0].pin(user, "other")
            crowd.starts[0].provision(user)
        ended = crowd.race(
            partial(crowd.admins[0].erase, user),
            partial(crowd.admins[1].pin, user, "choice"),
            partial(crowd.admins[2].erase, user),
        )
        assert not [end for end in ended if isinstance(end, Refused)]
    nameless = crowd.stores.sql(
        "SELECT p.user_id FROM kiloclaw_version_pins p"
        " WHERE NOT EXISTS (SELECT FROM kiloclaw_user_aliases a WHERE a.user_id = p.user_id)"
    )
    assert nameless == []
    aliases = crowd.stores.sql("SELECT user_id FROM kiloclaw_user_aliases ORDER BY 1")
    assert crowd.stores.sql("SELECT user_id FROM kiloclaw_version_pins ORDER BY 1") == aliases
    for (user,) in aliases:
        crowd.admins[0].unpin(user)
    assert crowd.stores.sql("SELECT count(*) FROM kiloclaw_version_pins") == [(0,)]
    _check_erasures_are_told(crowd)


def _check_erasures_are_told(crowd: Crowd) -> None:
    """Nobody is in the log under an alias that was forgotten without an event."""
    untold = crowd.stores.sql(
        """
        SELECT DISTINCT subject_id FROM kiloclaw_audit_log l
         WHERE subject_kind = 'user'
           AND NOT EXISTS (SELECT FROM kiloclaw_user_aliases a
                            WHERE a.alias::text = l.subject_id)
           AND NOT EXISTS (SELECT FROM kiloclaw_audit_log e
                            WHERE e.subject_id = l.subject_id AND e.action = 'user.erased')
        """
    )
    assert untold == []


def test_an_erasure_meets_starts(crowd: Crowd) -> None:
    """A user erased while starting is decided for anew, and a second erasure leaves nothing."""
    published(crowd, "first", "choice")
    crowd.admins[0].promote("first")
    for number in range(25):
        user = f"user-{number}"
        crowd.admins[0].pin(user, "choice")
        erased, *started = crowd.race(
            partial(crowd.admins[0].erase, user),
            partial(crowd.starts[0].provision, user),
            partial(crowd.starts[1].provision, user, "restart"),
        )
        assert erased is None
        assert {start.resolution.image.image_tag for start in started} <= {"first", "choice"}
        record = crowd.starts[2].instance(user)
        assert record is None or any(start.recorded for start in started)
        after = crowd.starts[2].provision(user, "restart").resolution
        assert after.pin_state == "none"
        assert after.image.image_tag == "first"
        crowd.admins[0].erase(user)
    assert crowd.stores.sql("SELECT count(*) FROM kiloclaw_user_aliases") == [(0,)]
    assert [item for item in crowd.stores.items() if "user-" in item["pk"]["S"]] == []
    _check_erasures_are_told(crowd)


def test_starts_around_a_pin_keep_the_newest_decision(crowd: Crowd) -> None:
    """The record holds the newest recorded decision, and the next start has the pin."""
    published(crowd, "first", "choice")
    crowd.admins[0].promote("first")
    for number in range(20):
        user = f"user-{number}"
        *started, pinned = crowd.race(
            *(partial(start.provision, user) for start in crowd.starts),
            partial(crowd.admins[0].pin, user, "choice"),
        )
        assert pinned.is_new
        recorded = [start for start in started if start.recorded]
        newest = max(recorded, key=lambda start: start.resolved_at)
        record = crowd.starts[0].instance(user)
        assert record is not None
        assert record.decided_at == newest.resolved_at
        assert record.image_tag == newest.resolution.image.image_tag
        for start in started:
            assert start.recorded or start.resolved_at < newest.resolved_at
        after = crowd.starts[0].provision(user)
        assert (after.resolution.source, after.recorded) == ("pin", True)


def test_starts_around_an_unpin_never_bring_the_pin_back(crowd: Crowd) -> None:
    """Once the user is unpinned, a restart does not keep what the pin had chosen."""
    published(crowd, "first", "choice")
    crowd.admins[0].promote("first")
    for number in range(25):
        user = f"user-{number}"
        crowd.admins[0].pin(user, "choice")
        crowd.starts[0].provision(user)
        crowd.race(
            *(partial(start.provision, user, "restart") for start in crowd.starts),
            partial(crowd.admins[0].unpin, user),
        )
        after = crowd.starts[0].provision(user, "restart").resolution
        assert (after.image.image_tag, after.pin_state) == ("first", "none")
