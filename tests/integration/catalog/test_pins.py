"""Pins: the list with its states, and the rows that people decide about."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, LiteralString, get_args

import pytest

from infra.local.postgres import Postgres
from shared.catalog.pin_pages import PinFilter
from shared.catalog.statistics import read_statistics
from shared.catalog.transaction import Catalog, Transaction
from shared.domain.model import Initiator, Pin
from shared.domain.values import rfc3339
from tests.support.catalog_fixture import LIMITS, sort_by_hand, walk
from tests.support.stores import CatalogStore, make_catalog

EPOCH = datetime(2026, 11, 1, tzinfo=UTC)
SOON = datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)
ALL = PinFilter()
BY = Initiator("ada@example.com", "request-1")
VERSIONS: LiteralString = """
INSERT INTO kiloclaw_available_versions (image_tag, openclaw_version, status, published_at)
VALUES ('stable', '2026.11.1', 'active', now()), ('old', '2026.10.1', 'deprecated', now()),
       ('bad', '2026.9.1', 'disabled', now())
"""
ADD: LiteralString = """
INSERT INTO kiloclaw_version_pins
       (user_id, image_tag, reason, pinned_by, expires_at, created_at)
VALUES (%(user)s, %(tag)s, %(reason)s, 'eve', %(expires)s, %(created)s)
"""
TAGS = ("stable", "bad", "old", "stable", "bad")
EXPIRIES = (None, EPOCH, SOON, None)


def _row(number: int) -> dict[str, object]:
    """Every state of version beside every kind of expiry, many created at the same time."""
    return {
        "user": f"user|{'aA'[number % 2]}{number:02}@example.com",
        "tag": TAGS[number % len(TAGS)],
        "reason": f"Needs build {number}: 100%_sure" if number % 3 == 0 else None,
        "expires": EXPIRIES[number % len(EXPIRIES)],
        "created": EPOCH + timedelta(microseconds=number // 5),
    }


@pytest.fixture(scope="module")
def listed(each_server: Postgres) -> Iterator[Transaction]:
    """A transaction over forty pins."""
    store = make_catalog(each_server)
    store.sql(VERSIONS)
    for number in range(40):
        store.sql(ADD, **_row(number))
    catalog = store.catalog()
    with catalog.transaction() as transaction:
        sort_by_hand(transaction.connection)
        yield transaction
    catalog.database.close()


@pytest.fixture(scope="module")
def aged(each_server: Postgres) -> Iterator[Transaction]:
    """A transaction over forty pins, from new to 200 days old."""
    store = make_catalog(each_server)
    store.sql(VERSIONS)
    for number in range(40):
        created = datetime.now(UTC) - timedelta(days=number * 5, hours=1)
        store.sql(ADD, **_row(number) | {"created": created})
    catalog = store.catalog()
    with catalog.transaction() as transaction:
        sort_by_hand(transaction.connection)
        yield transaction
    catalog.database.close()


@pytest.fixture
def catalog(store: CatalogStore) -> Iterator[Catalog]:
    """Three versions, no pins."""
    store.sql(VERSIONS)
    catalog = store.catalog()
    yield catalog
    catalog.database.close()


def _state(pin: Pin) -> str:
    """What the design says of a pin: expired comes before suspended."""
    if pin.expires_at == EPOCH:
        return "expired"
    return "suspended" if pin.image_tag == "bad" else "applied"


@pytest.mark.parametrize("state", [None, *get_args(Pin.__annotations__["state"])])
@pytest.mark.parametrize("tag", [None, "stable", "bad"])
def test_pages_of_any_size_give_every_pin_once_in_order(
    listed: Transaction, tag: str | None, state: Any
) -> None:
    """The newest pin comes first, equal times sort by user, and filters combine."""
    everything = listed.pins.page(ALL, None, 100)
    assert len(everything) == 40
    expected = [
        pin
        for pin in sorted(everything, key=lambda pin: (pin.created_at, pin.user_id))[::-1]
        if tag in {None, pin.image_tag} and state in {None, _state(pin)}
    ]
    assert expected or (tag, state) in {("bad", "applied"), ("stable", "suspended")}
    for limit in LIMITS:
        page = partial(listed.pins.page, PinFilter(tag, state))
        assert walk(page, lambda pin: (rfc3339(pin.created_at), pin.user_id), limit) == expected


def _is_stale(pin: Pin) -> bool:
    """Return whether a pin is to a deprecated version, or old and without an end."""
    old = pin.created_at < datetime.now(UTC) - timedelta(days=90)
    return pin.image_tag == "old" or (pin.expires_at is None and old)


@pytest.mark.parametrize("state", [None, "applied", "suspended", "expired"])
@pytest.mark.parametrize("tag", [None, "stable", "bad", "old"])
@pytest.mark.parametrize("q", [None, "BUILD", "user|a"])
def test_stale_pins_are_old_without_an_end_or_to_a_deprecated_version(
    aged: Transaction, tag: str | None, state: Any, q: str | None
) -> None:
    """Pages have pins without an end older than 90 days and pins to deprecated versions."""
    others = aged.pins.page(PinFilter(tag, state, q), None, 100)
    expected = [pin for pin in others if _is_stale(pin)]
    for limit in LIMITS:
        page = partial(aged.pins.page, PinFilter(tag, state, q, stale=True))
        assert walk(page, lambda pin: (rfc3339(pin.created_at), pin.user_id), limit) == expected
    if (tag, state, q) == (None, None, None):
        assert 5 < len(expected) < len(others)
        assert read_statistics(aged.connection).pins_stale == len(expected)


@pytest.mark.parametrize("state", [None, "applied", "suspended", "expired"])
@pytest.mark.parametrize("stale", [False, True])
def test_pins_that_end_within_seven_days(catalog: Catalog, state: Any, *, stale: bool) -> None:
    """The filter leaves out what has ended, ends later or never, and combines with others."""
    ends = {"past": -1, "soon": 1, "sooner": 6, "later": 8, "never": None}
    with catalog.transaction() as tx:
        for tag in ("stable", "bad", "old"):
            for name, days in ends.items():
                end = datetime.now(UTC) + timedelta(days=days) if days else None
                tx.pins.put(f"{tag}-{name}", tag, BY, end)
        everything = tx.pins.page(PinFilter(None, state), None, 100)
        expected = [
            pin
            for pin in everything
            if pin.user_id.endswith(("soon", "sooner"))
            and (pin.image_tag == "old" or not stale)
        ]
        assert bool(expected) == (
            state in {None, "applied"} or (state == "suspended" and not stale)
        )
        for limit in LIMITS:
            page = partial(tx.pins.page, PinFilter(None, state, stale=stale, ending=True))
            walked = walk(page, lambda pin: (rfc3339(pin.created_at), pin.user_id), limit)
            assert walked == expected


def test_a_pin_says_its_state(listed: Transaction) -> None:
    """The state is what a start at this moment would see."""
    pins = listed.pins.page(ALL, None, 100)
    assert [pin.state for pin in pins] == [_state(pin) for pin in pins]


@pytest.mark.parametrize(
    ("q", "numbers"),
    [
        ("a04@", [4]),
        ("A04@", [4]),
        ("a05@", [5]),
        ("BUILD 12:", [12]),
        ("user|", list(range(40))),
        ("%_S", [number for number in range(40) if number % 3 == 0]),
        ("_", [number for number in range(40) if number % 3 == 0]),
        ("no such text", []),
    ],
)
def test_a_search_finds_part_of_a_user_or_a_reason(
    listed: Transaction, q: str, numbers: list[int]
) -> None:
    """A search ignores case, and `%` and `_` have no meaning in it."""
    found = {pin.user_id for pin in listed.pins.page(PinFilter(q=q), None, 100)}
    assert found == {_row(number)["user"] for number in numbers}


def test_expired_pins_do_not_count(listed: Transaction) -> None:
    """The count of a version's pins, which keeps it from being disabled, omits expired pins."""
    counts = {tag: listed.pins.count(tag) for tag in ("stable", "bad", "old", "nothing")}
    assert counts == {"stable": 12, "bad": 12, "old": 6, "nothing": 0}


def test_a_pin_expires_at_its_very_time(catalog: Catalog) -> None:
    """A pin has expired from its time on, not only after it."""
    with catalog.transaction() as tx:
        [(now,)] = tx.connection.execute("SELECT now()").fetchall()
        for microseconds, state in ((0, "expired"), (1, "applied")):
            expires_at = now + timedelta(microseconds=microseconds)
            tx.pins.put("ada", "stable", Initiator("eve"), expires_at)
            pin = tx.pins.find("ada")
            assert pin is not None
            assert (pin.state, pin.expires_at) == (state, expires_at)
            assert tx.pins.page(PinFilter(state=pin.state), None, 5) == [pin]


def test_a_pin_is_replaced_in_place(catalog: Catalog) -> None:
    """Row and time of creation stay, and the same pin again is no change."""
    with catalog.transaction() as tx:
        tx.pins.put("ada", "stable", Initiator("eve", reason="why"), None)
        first = tx.pins.find("ada")
    assert first is not None
    assert (first.revision, first.pinned_by, first.reason) == (1, "eve", "why")
    with catalog.transaction() as tx:
        tx.pins.put("ada", "stable", Initiator("bob", reason="why"), None)
        assert tx.pins.find("ada") == first
        tx.pins.put("ada", "old", Initiator("bob"), SOON)
        second = tx.pins.find("ada")
    assert second is not None
    assert second.updated_at > first.updated_at
    assert second == replace(
        first,
        image_tag="old",
        pinned_by="bob",
        reason=None,
        expires_at=SOON,
        revision=2,
        updated_at=second.updated_at,
    )


def test_a_user_is_compared_exactly(catalog: Catalog) -> None:
    """A user id in other capitals is another user."""
    with catalog.transaction() as tx:
        tx.pins.put("Ada", "stable", Initiator("eve"), None)
        assert tx.pins.find("ada") is None
        assert set(tx.pins.find_all(["ada", "Ada", "bob"])) == {"Ada"}


def test_a_pin_is_removed_once(catalog: Catalog) -> None:
    """A second removal finds nothing to remove."""
    with catalog.transaction() as tx:
        tx.pins.put("ada", "stable", Initiator("eve"), None)
        tx.pins.put("bob", "stable", Initiator("eve"), None)
        assert tx.pins.remove("ada")
        assert not tx.pins.remove("ada")
        assert [pin.user_id for pin in tx.pins.page(ALL, None, 5)] == ["bob"]


def test_pins_move_with_an_event_each(catalog: Catalog, store: CatalogStore) -> None:
    """Only the pins of the one version move, and the log knows users by alias."""
    with catalog.transaction() as tx:
        aliases = {user: tx.users.lock(user) for user in ("ada", "bob", "eve")}
        tx.pins.put("ada", "bad", Initiator("eve", reason="why"), None)
        tx.pins.put("bob", "bad", Initiator("eve"), SOON)
        tx.pins.put("eve", "old", Initiator("eve"), None)
        before = tx.pins.find_all(["ada", "bob", "eve"])
    with catalog.transaction() as tx:
        assert tx.pins.move("bad", "stable", BY) == 2
        after = tx.pins.find_all(["ada", "bob", "eve"])
        assert tx.pins.move("bad", "stable", BY) == 0
    for user in ("ada", "bob"):
        moved = replace(before[user], image_tag="stable", state="applied", revision=2)
        assert after[user] == replace(moved, updated_at=after[user].updated_at)
    assert after["eve"] == before["eve"]
    events = store.sql(
        "SELECT actor, action, subject_kind, subject_id, before, after, request_id"
        "  FROM kiloclaw_audit_log ORDER BY subject_id"
    )
    told = ({"image_tag": "bad"}, {"image_tag": "stable"}, "request-1")
    assert events == [
        ("ada@example.com", "pin.set", "user", alias, *told)
        for alias in sorted((str(aliases["ada"]), str(aliases["bob"])))
    ]


def test_a_user_has_one_alias_until_forgotten(catalog: Catalog) -> None:
    """A user who returns after being forgotten gets a new alias."""
    with catalog.transaction() as tx:
        assert tx.users.lock_known("ada") is None
        alias = tx.users.lock("ada")
        assert tx.users.lock("ada") == tx.users.lock_known("ada") == alias
        assert tx.users.lock("bob") != alias
        tx.users.forget("ada")
        tx.users.forget("ada")
        assert tx.users.lock_known("ada") is None
        assert tx.users.lock("ada") != alias
        assert tx.users.lock_known("bob") is not None
