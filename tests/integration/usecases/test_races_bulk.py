"""Many pins at once meet everything else that changes pins: nobody waits for each other."""

from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest

from shared.domain.errors import Refused
from tests.support.catalog_fixture import until_so_many_wait
from tests.support.concurrent_actors import Crowd, published

USERS = [f"user-{number:02}" for number in range(40)]


def test_two_bulks_about_the_same_users(crowd: Crowd) -> None:
    """In whatever order they name the users, one follows the other, wholly."""
    published(crowd, "one", "two")
    for number in range(12):
        unpins = dict.fromkeys(USERS[::3]) if number % 2 else {}
        first = {**dict.fromkeys(USERS, "one"), **unpins}
        second = {**dict.fromkeys(reversed(USERS), "two"), **unpins}
        ended = crowd.race(
            partial(crowd.admins[0].bulk, first),
            partial(crowd.admins[1].bulk, second),
            partial(crowd.admins[2].pin, USERS[number], "one"),
            partial(crowd.admins[3].unpin, USERS[-number - 1]),
            partial(crowd.admins[4].erase, USERS[number + 5]),
        )
        assert not [end for end in ended if isinstance(end, Refused)]
        _check_pins_are_told(crowd)


def test_a_bulk_meets_the_kill_switch(crowd: Crowd) -> None:
    """Pins that move are taken in the order in which a bulk takes them."""
    published(crowd, "spare", "other")
    for number in range(12):
        tag = f"killed-{number}"
        published(crowd, tag)
        # Made in reverse, so that pins lie on the disk in another order than their users.
        for chunk in (USERS[20:], USERS[:20]):
            crowd.admins[0].bulk(dict.fromkeys(reversed(chunk), tag))
        away = {**dict.fromkeys(USERS[1::2], "other"), **dict.fromkeys(USERS[::5])}
        bulk, same, disabled = crowd.race(
            partial(crowd.admins[0].bulk, away, "best_effort"),
            partial(crowd.admins[1].bulk, dict.fromkeys(USERS[::2], tag), "best_effort"),
            partial(crowd.admins[2].disable, tag, "spare"),
        )
        assert not [end for end in (bulk, same, disabled) if isinstance(end, Refused)]
        assert {one.code for one in same} <= {None, "version_disabled"}
        tags = crowd.stores.sql(
            "SELECT DISTINCT image_tag FROM kiloclaw_version_pins ORDER BY 1"
        )
        assert tags == [("other",), ("spare",)]
        _check_pins_are_told(crowd)


@pytest.mark.parametrize("first", ["bulk", "kill switch"])
def test_both_take_pins_in_the_order_of_their_users(crowd: Crowd, first: str) -> None:
    """While one pin is locked, whoever comes second waits behind the first."""
    published(crowd, "bad", "spare", "other")
    crowd.admins[0].bulk(dict.fromkeys(reversed(USERS), "bad"))

    def bulk() -> object:
        return crowd.admins[0].bulk(dict.fromkeys(USERS, "other"))

    def kill() -> object:
        return crowd.admins[1].disable("bad", "spare")

    ordered = (bulk, kill) if first == "bulk" else (kill, bulk)
    with ThreadPoolExecutor(2) as threads, crowd.stores.server_connection() as blocker:
        with blocker.transaction():
            blocker.execute(
                "SELECT FROM kiloclaw_version_pins WHERE user_id = %(user)s FOR UPDATE",
                {"user": USERS[20]},
            )
            one = threads.submit(ordered[0])
            until_so_many_wait(crowd.stores, 1)
            other = threads.submit(ordered[1])
            until_so_many_wait(crowd.stores, 2)
        one.result(30)
        other.result(30)
    [(tag, pins)] = crowd.stores.sql(
        "SELECT image_tag, count(*) FROM kiloclaw_version_pins GROUP BY 1"
    )
    assert (tag, pins) == ("other", len(USERS))


def _check_pins_are_told(crowd: Crowd) -> None:
    """The newest event of each user says what the pin is now."""
    untold = crowd.stores.sql(
        """
        SELECT a.user_id, p.image_tag, l.after ->> 'image_tag'
          FROM kiloclaw_user_aliases a
          LEFT JOIN kiloclaw_version_pins p USING (user_id)
          LEFT JOIN LATERAL (SELECT after FROM kiloclaw_audit_log
                              WHERE subject_id = a.alias::text ORDER BY id DESC LIMIT 1) AS l
            ON true
         WHERE p.image_tag IS DISTINCT FROM l.after ->> 'image_tag'
        """
    )
    assert untold == []
