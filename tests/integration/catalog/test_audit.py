"""The log: what was recorded is read again, by whom and about what, and users by alias."""

from collections.abc import Iterator
from functools import partial
from uuid import UUID

import pytest

from infra.local.postgres import Postgres
from shared.catalog.audit import Event, EventFilter
from shared.catalog.transaction import Catalog, Transaction
from shared.domain.model import Initiator
from tests.support.catalog_fixture import LIMITS, walk
from tests.support.stores import CatalogStore, make_catalog

ADA, CI = Initiator("ada@example.com", "request-1"), Initiator("ci@example.com")
ALL = EventFilter()


@pytest.fixture(scope="module")
def listed(each_server: Postgres) -> Iterator[Transaction]:
    """Thirty events by two actors about versions, a variant, a user and one who was erased."""
    catalog = make_catalog(each_server).catalog()
    with catalog.transaction() as tx:
        known, gone = tx.users.lock("bob"), tx.users.lock("carol")
        for number in range(6):
            tag = f"tag-{number % 2}"
            tx.audit.record(CI, "version.published", "version", tag, after={"n": number})
            tx.audit.record(ADA, "latest.promoted", "variant", "default")
            tx.audit.record(ADA, "pin.set", "user", known, before=None, after={"n": number})
            tx.audit.record(CI, "pin.set", "user", gone)
            tx.audit.record(CI, "sync.finished", "sync", UUID(int=number))
        tx.users.forget("carol")
        yield tx
    catalog.database.close()


@pytest.mark.parametrize("actor", [None, "ci@example.com", "nobody"])
@pytest.mark.parametrize("action", [None, "pin.set", "sync.finished"])
@pytest.mark.parametrize("subject", [None, "bob", "tag-1", "default", "carol"])
def test_pages_of_any_size_give_every_event_once_the_newest_first(
    listed: Transaction,
    actor: str | None,
    action: str | None,
    subject: str | None,
) -> None:
    """Filters combine, and nothing is found under the name of an erased user."""
    wanted = EventFilter(actor, action, subject)
    everything = listed.audit.page(ALL, None, 100)
    assert len(everything) == 30
    assert [event.id for event in everything] == sorted(
        (event.id for event in everything), reverse=True
    )
    expected = [
        event
        for event in everything
        if actor in {None, event.actor}
        and action in {None, event.action}
        and subject in {None, event.subject_id}
    ]
    for limit in LIMITS:
        assert (
            walk(partial(listed.audit.page, wanted), lambda event: event.id, limit) == expected
        )


def test_a_user_is_named_while_the_alias_exists(listed: Transaction) -> None:
    """The events of an erased user share a pseudonym."""
    users = [
        event.subject_id
        for event in listed.audit.page(EventFilter(action="pin.set"), None, 100)
    ]
    pseudonyms = set(users) - {"bob"}
    [pseudonym] = pseudonyms
    assert str(UUID(pseudonym)) == pseudonym
    assert users.count("bob") == users.count(pseudonym) == 6
    theirs = listed.audit.page(EventFilter(subject=pseudonym), None, 100)
    assert len(theirs) == 6


def test_one_who_returns_gets_a_new_pseudonym(store: CatalogStore) -> None:
    """The events from before an erasure are not found under the user's name."""
    catalog = store.catalog()
    with catalog.transaction() as tx:
        tx.audit.record(ADA, "pin.set", "user", tx.users.lock("bob"))
        tx.users.forget("bob")
        tx.audit.record(ADA, "pin.removed", "user", tx.users.lock("bob"))
        named = tx.audit.page(EventFilter(subject="bob"), None, 5)
        assert [event.action for event in named] == ["pin.removed"]
        assert len(tx.audit.page(ALL, None, 5)) == 2
    catalog.database.close()


def test_an_event_is_kept_whole(store: CatalogStore) -> None:
    """An event keeps before, after, reason and request as they were given."""
    catalog = store.catalog()
    before = {"status": "active", "pins": 2, "list": [1, None, {"ü": "\U0001f600"}]}
    with catalog.transaction() as tx:
        tx.audit.record(
            Initiator("ada@example.com", "request-1", "wh'y"),
            "version.updated",
            "version",
            "one",
            before=before,
            after={},
        )
        tx.audit.record(CI, "version.published", "version", "two")
        [(now,)] = tx.connection.execute("SELECT now()").fetchall()
        bare, full = tx.audit.page(ALL, None, 5)
    assert full == Event(
        full.id,
        now,
        "ada@example.com",
        "version.updated",
        "version",
        "one",
        before,
        {},
        "wh'y",
        "request-1",
        is_erased=False,
    )
    assert (bare.before, bare.after, bare.reason, bare.request_id) == (None, None, None, None)
    catalog.database.close()


def test_an_event_goes_with_its_change(store: CatalogStore) -> None:
    """An event is rolled back with its transaction."""
    catalog = store.catalog()
    with pytest.raises(ZeroDivisionError):
        _record_and_fail(catalog)
    with catalog.transaction() as tx:
        assert tx.audit.page(ALL, None, 5) == []
    catalog.database.close()


def _record_and_fail(catalog: Catalog) -> None:
    with catalog.transaction() as tx:
        tx.audit.record(ADA, "latest.promoted", "variant", "default")
        raise ZeroDivisionError


def test_events_of_a_time_are_found_though_ids_are_not_in_its_order(
    store: CatalogStore,
) -> None:
    """An event's time is that of its transaction's start, up to a quarter of an hour before."""
    store.sql(
        "INSERT INTO kiloclaw_audit_log (at, actor, action, subject_kind, subject_id)"
        " SELECT timestamptz '2026-11-01Z' + n * interval '1 minute'"
        "          - n * 7 % 16 * interval '59 seconds', 'eve', 'pin.set', 'version', 'one'"
        "   FROM generate_series(1, 200) AS n"
    )
    catalog = store.catalog()
    with catalog.transaction() as tx:
        everything = tx.audit.page(ALL, None, 300)
        times = sorted(event.at for event in everything)
        for since, until in zip(times[::7], times[20::7], strict=False):
            wanted = EventFilter(since=since, until=until)
            expected = [event for event in everything if since <= event.at < until]
            assert tx.audit.page(wanted, None, 300) == expected
    catalog.database.close()
