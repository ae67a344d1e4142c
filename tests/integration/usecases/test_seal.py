"""Seals of the audit log: what they cover, and which forgery is found where."""

from collections.abc import Iterator
from contextlib import closing
from typing import Any, LiteralString

import psycopg
import pytest
from psycopg import sql

from infra.local import verify_audit as terminal
from infra.local.postgres import Postgres
from shared.catalog.seals import Seals
from shared.catalog.transaction import Catalog
from shared.domain.model import Initiator
from shared.domain.seals import NO_SEAL, Horizons, hash_events, make_seal
from shared.usecases import seal as sealing
from shared.usecases import verify_audit as verification
from shared.usecases.seal import seal_events
from shared.usecases.verify_audit import Verification, verify_audit
from tests.support.stores import CatalogStore, make_catalog

ADA = Initiator("ada@example.com", "request-1", "because")
TABLES = ("kiloclaw_audit_log", "kiloclaw_audit_seals", "kiloclaw_audit_sealed_events")
SEALS = "SELECT id, first_event_id, last_event_id, events FROM kiloclaw_audit_seals ORDER BY id"
INSERT: LiteralString = (
    "INSERT INTO kiloclaw_audit_log (actor, action, subject_kind, subject_id)"
    " VALUES ('eve', 'pin.set', 'version', 'tag')"
)
FORGE: LiteralString = (
    "INSERT INTO kiloclaw_audit_log"
    " (id, transaction_id, actor, action, subject_kind, subject_id)"
    " OVERRIDING SYSTEM VALUE VALUES"
    " (%(id)s, %(transaction)s::xid8, 'eve', 'pin.set', 'version', 'tag')"
)


@pytest.fixture
def catalog(store: CatalogStore) -> Iterator[Catalog]:
    """The catalog of `sync`."""
    catalog = store.catalog("sync")
    yield catalog
    catalog.database.close()


@pytest.fixture
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Seals of at most three events."""
    monkeypatch.setattr(sealing, "BATCH", 3)


def record(catalog: Catalog, events: int) -> None:
    """Write events, each in a transaction of its own."""
    for number in range(events):
        with catalog.transaction() as tx:
            tx.audit.record(ADA, "version.published", "version", f"é-{number}", after={"n": 7})


def seal(catalog: Catalog) -> int:
    return seal_events(catalog, 60).sealed


def forge(
    store: CatalogStore, statement: LiteralString | sql.Composed, **parameters: object
) -> None:
    """Run a statement as a superuser who has switched every trigger off."""
    with store.server_connection() as connection:
        connection.execute("SET session_replication_role = replica")
        connection.execute(statement, parameters or None)


def verify(catalog: Catalog) -> Verification:
    return verify_audit(catalog)


def session(store: CatalogStore) -> psycopg.Connection[Any]:
    return psycopg.connect(store.conninfo("admin_api"))


def test_events_are_sealed_once(store: CatalogStore, catalog: Catalog) -> None:
    """Each run seals what is new; a run that finds nothing adds no seal."""
    assert verify(catalog) == Verification(None, 0, 0, 0, None, complete=True)
    assert seal(catalog) == 0
    record(catalog, 3)
    assert verify(catalog) == Verification(None, 0, 0, 3, None, complete=True)
    assert [seal(catalog), seal(catalog)] == [3, 0]
    record(catalog, 1)
    assert verify(catalog) == Verification(3, 3, 1, 1, None, complete=True)
    assert seal(catalog) == 1
    assert store.sql(SEALS) == [(1, 1, 3, 3), (2, 4, 4, 1)]
    assert verify(catalog) == Verification(4, 4, 2, 0, None, complete=True)


def test_a_seal_is_the_hash_that_the_document_says(
    store: CatalogStore, catalog: Catalog
) -> None:
    """Whoever knows the formula can recompute a seal from the rows alone."""
    record(catalog, 1)
    [(at, transaction)] = store.sql(
        "SELECT to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"'),"
        "       transaction_id::text FROM kiloclaw_audit_log"
    )
    newest = seal_events(catalog, 60).newest
    assert newest is not None
    event = (
        '{"action":"version.published","actor":"ada@example.com","after":{"n":7},'
        f'"at":"{at}","before":null,"id":"1","reason":"because","request_id":"request-1",'
        f'"subject_id":"é-0","subject_kind":"version","transaction_id":"{transaction}"}}'
    )
    assert newest.hash == hash_events(NO_SEAL, [event.encode()])


def test_a_long_transaction_holds_back_what_began_after_it(
    store: CatalogStore, catalog: Catalog
) -> None:
    """Nothing is sealed that an event could still precede; what waits is counted."""
    with session(store) as slow:
        slow.execute(INSERT)
        record(catalog, 2)
        assert seal(catalog) == 0
        assert verify(catalog) == Verification(None, 0, 0, 2, None, complete=True)
        slow.commit()
    assert seal(catalog) == 3


def test_an_event_that_commits_late_comes_into_a_later_seal(
    store: CatalogStore, catalog: Catalog
) -> None:
    """Its id is below that of a sealed event, but its transaction is as old: no forgery."""
    with session(store) as early, session(store) as late:
        early.execute("SELECT pg_current_xact_id()")
        late.execute(INSERT)
        early.execute(INSERT)
        early.commit()
        assert seal(catalog) == 1
        assert verify(catalog).unsealed == 0
        late.commit()
    assert verify(catalog) == Verification(2, 1, 1, 1, None, complete=True)
    assert seal(catalog) == 1
    assert store.sql(SEALS) == [(1, 2, 2, 1), (2, 1, 1, 1)]
    assert verify(catalog) == Verification(2, 2, 2, 0, None, complete=True)


@pytest.mark.usefixtures("small_batches")
def test_many_events_are_sealed_in_batches(store: CatalogStore, catalog: Catalog) -> None:
    """A batch may end within a transaction; out of time, the rest is left to the next run."""
    record(catalog, 2)
    store.sql(INSERT + ", ('eve', 'pin.set', 'version', 'tag')" * 5)
    assert seal_events(catalog, -1).sealed == 3
    assert verify(catalog).unsealed == 5
    assert seal(catalog) == 5
    assert store.sql(SEALS) == [(1, 1, 3, 3), (2, 4, 6, 3), (3, 7, 8, 2)]
    assert verify(catalog).ok


def test_one_of_two_concurrent_runs_seals(store: CatalogStore, catalog: Catalog) -> None:
    """The other one leaves it to the first and says what the newest seal is."""
    record(catalog, 1)
    with session(store) as other:
        other.execute("SELECT pg_advisory_xact_lock(hashtext('kiloclaw_audit_seals'))")
        assert seal(catalog) == 0
    assert seal(catalog) == 1


@pytest.mark.usefixtures("small_batches")
def test_a_run_that_dies_leaves_whole_seals(
    store: CatalogStore, catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The batch at work is rolled back, and the next run goes on where the last seal ends."""
    record(catalog, 5)
    monkeypatch.setattr(sealing, "make_seal", None)
    with pytest.raises(TypeError):
        seal(catalog)
    monkeypatch.undo()
    monkeypatch.setattr(sealing, "BATCH", 3)
    assert store.sql(SEALS) == []
    assert seal(catalog) == 5
    assert verify(catalog).ok


def test_overdue_events_are_counted(store: CatalogStore, catalog: Catalog) -> None:
    """What has waited for its seal for a quarter of an hour is told at each run."""
    with session(store) as slow:
        slow.execute(INSERT)
        store.sql(
            "INSERT INTO kiloclaw_audit_log (at, actor, action, subject_kind, subject_id)"
            " VALUES (now() - interval '16 minutes', 'eve', 'pin.set', 'version', 'tag'),"
            "        (now() - interval '14 minutes', 'eve', 'pin.set', 'version', 'tag')"
        )
        assert seal_events(catalog, 60).overdue == 1


def fill(catalog: Catalog) -> None:
    """Seal the events 1 to 3, 4 to 6 and 8 to 10, and leave 11 unsealed; 7 there is none."""
    for number in range(3):
        record(catalog, 3)
        seal(catalog)
        if number == 1:
            with catalog.transaction() as tx:
                tx.audit.record(ADA, "pin.set", "version", "tag")
                raise_rollback = tx.roll_back
                raise_rollback()
    record(catalog, 1)
    assert verify(catalog) == Verification(10, 9, 3, 1, None, complete=True)


def rewrite(store: CatalogStore, catalog: Catalog) -> None:
    """Change an event, and its seal with all that is stored of it, as far as that goes."""
    forge(store, "UPDATE kiloclaw_audit_log SET actor = 'x' WHERE id = 5")
    with catalog.transaction() as tx:
        previous, forged = tx.seals.page(2, 6)
        events = [one.event for one in tx.seals.covered(1, 2)[2] if one.event]
        remade, hashes = make_seal(previous, events, 0)
    assert remade.hash != forged.hash
    forge(
        store, "UPDATE kiloclaw_audit_seals SET hash = %(hash)s WHERE id = 2", hash=remade.hash
    )
    for event, content in zip(events, hashes, strict=True):
        forge(
            store,
            "UPDATE kiloclaw_audit_sealed_events SET hash = %(hash)s WHERE event_id = %(id)s",
            hash=content,
            id=event.id,
        )


CHANGES: dict[str, tuple[int, LiteralString]] = {
    "actor": (5, "UPDATE kiloclaw_audit_log SET actor = 'x' WHERE id = 5"),
    "time": (5, "UPDATE kiloclaw_audit_log SET at = at + interval '1 us' WHERE id = 5"),
    "endless time": (5, "UPDATE kiloclaw_audit_log SET at = 'infinity' WHERE id = 5"),
    "action": (5, "UPDATE kiloclaw_audit_log SET action = 'x' WHERE id = 5"),
    "kind": (5, "UPDATE kiloclaw_audit_log SET subject_kind = 'sync' WHERE id = 5"),
    "subject": (5, "UPDATE kiloclaw_audit_log SET subject_id = 'x' WHERE id = 5"),
    "before": (5, "UPDATE kiloclaw_audit_log SET before = '{}' WHERE id = 5"),
    "after": (5, "UPDATE kiloclaw_audit_log SET after = '{\"n\": 8}' WHERE id = 5"),
    "huge number": (5, "UPDATE kiloclaw_audit_log SET after = '1e400' WHERE id = 5"),
    "reason": (5, "UPDATE kiloclaw_audit_log SET reason = NULL WHERE id = 5"),
    "request": (5, "UPDATE kiloclaw_audit_log SET request_id = 'x' WHERE id = 5"),
    "transaction": (5, "UPDATE kiloclaw_audit_log SET transaction_id = '7' WHERE id = 5"),
    "removed": (5, "DELETE FROM kiloclaw_audit_log WHERE id = 5"),
    "first removed": (1, "DELETE FROM kiloclaw_audit_log WHERE id = 1"),
    "last removed": (10, "DELETE FROM kiloclaw_audit_log WHERE id = 10"),
    "two": (2, "UPDATE kiloclaw_audit_log SET actor = 'x' WHERE id IN (2, 9)"),
    "a seal's hash": (4, "UPDATE kiloclaw_audit_seals SET hash = sha256('') WHERE id = 2"),
    "the newest seal's hash": (
        8, "UPDATE kiloclaw_audit_seals SET hash = sha256('') WHERE id = 3"
    ),
    "a link": (4, "UPDATE kiloclaw_audit_seals SET previous_hash = sha256('') WHERE id = 2"),
    "a number": (4, "UPDATE kiloclaw_audit_seals SET events = 4 WHERE id = 2"),
    "a range": (4, "UPDATE kiloclaw_audit_seals SET first_event_id = 3 WHERE id = 2"),
    "what is sealed": (4, "UPDATE kiloclaw_audit_seals SET sealed_through = 8 WHERE id = 2"),
    "an event's hash": (
        5, "UPDATE kiloclaw_audit_sealed_events SET hash = sha256('') WHERE event_id = 5"
    ),
    "an event left out": (5, "DELETE FROM kiloclaw_audit_sealed_events WHERE event_id = 5"),
    "all events left out": (
        4, "DELETE FROM kiloclaw_audit_sealed_events WHERE seal_id = 2"
    ),
    "a seal removed": (4, "DELETE FROM kiloclaw_audit_seals WHERE id = 2"),
    "the first seal removed": (1, "DELETE FROM kiloclaw_audit_seals WHERE id = 1"),
    "a seal removed with what it covers": (
        4,
        """
        WITH seal AS (DELETE FROM kiloclaw_audit_seals WHERE id = 2)
        DELETE FROM kiloclaw_audit_sealed_events WHERE seal_id = 2
        """,
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def sealed(postgres_server: Postgres) -> Iterator[tuple[CatalogStore, Catalog]]:
    """A database with three seals, and a copy of what forgers change."""
    store = make_catalog(postgres_server)
    with closing(store.database("sync")) as database:
        fill(Catalog(database))
        for table in TABLES:
            keep = sql.SQL("CREATE TABLE {} AS TABLE {}")
            forge(store, keep.format(sql.Identifier(f"kept_{table}"), sql.Identifier(table)))
        yield store, Catalog(database)


@pytest.fixture
def forger(sealed: tuple[CatalogStore, Catalog]) -> Iterator[tuple[CatalogStore, Catalog]]:
    """The same, put right again at the end."""
    yield sealed
    store, _ = sealed
    restore = sql.SQL("INSERT INTO {} OVERRIDING SYSTEM VALUE TABLE {}")
    for table in TABLES:
        forge(store, sql.SQL("DELETE FROM {}").format(sql.Identifier(table)))
        forge(store, restore.format(sql.Identifier(table), sql.Identifier(f"kept_{table}")))


@pytest.mark.parametrize(("bad", "statement"), CHANGES.values(), ids=CHANGES)
def test_a_change_is_found(
    forger: tuple[CatalogStore, Catalog], bad: int, statement: LiteralString
) -> None:
    """The first event that was changed is named, or the first of a seal that was changed."""
    store, catalog = forger
    forge(store, statement)
    assert verify(catalog).first_bad_event == bad
    assert not verify(catalog).ok


@pytest.mark.parametrize("transaction", ["now", "as old", "to come"])
@pytest.mark.parametrize("event_id", [-3, 7])
def test_an_event_that_is_inserted_with_an_old_id_is_found(
    forger: tuple[CatalogStore, Catalog], event_id: int, transaction: str
) -> None:
    """It is found whichever transaction it pretends to be of, before it is sealed and after."""
    store, catalog = forger
    [(old, now)] = store.sql(
        "SELECT min(transaction_id)::text, pg_current_xact_id()::text FROM kiloclaw_audit_log"
    )
    pretended = {"now": now, "as old": old, "to come": str(2**62)}[transaction]
    forge(store, FORGE, id=event_id, transaction=pretended)
    assert verify(catalog).first_bad_event == event_id
    seal(catalog)
    assert verify(catalog).first_bad_event == event_id


def test_a_seal_that_was_rewritten_with_its_events_breaks_the_chain(
    forger: tuple[CatalogStore, Catalog],
) -> None:
    """All of the seal is in order then, so its first event is named."""
    store, catalog = forger
    rewrite(store, catalog)
    assert verify(catalog).first_bad_event == 4


def test_only_an_anchor_outside_tells_that_the_last_seals_are_gone(
    forger: tuple[CatalogStore, Catalog],
) -> None:
    """Without the newest seal the log is as it was before: its hash must be known elsewhere."""
    store, catalog = forger
    forge(store, "DELETE FROM kiloclaw_audit_seals WHERE id = 3")
    forge(store, "DELETE FROM kiloclaw_audit_sealed_events WHERE seal_id = 3")
    forge(store, "UPDATE kiloclaw_audit_log SET actor = 'x' WHERE id = 9")
    assert verify(catalog) == Verification(6, 6, 2, 4, None, complete=True)


def test_what_is_verified_can_be_limited(
    forger: tuple[CatalogStore, Catalog], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The newest seals are recomputed; an event inserted now is found however old its id."""
    monkeypatch.setattr(verification, "BATCH", 3)
    store, catalog = forger
    forge(store, CHANGES["actor"][1])
    newest = verify_audit(catalog, events=3)
    assert newest == Verification(10, 3, 1, 1, None, complete=False)
    assert verify_audit(catalog, events=4).first_bad_event == 5
    assert verify_audit(catalog, seconds=0).seals == 0
    forge(store, FORGE, id=-3, transaction=store.sql("SELECT pg_current_xact_id()::text")[0][0])
    assert verify_audit(catalog, events=3).first_bad_event == -3


def test_verifying_from_a_terminal(
    forger: tuple[CatalogStore, Catalog], capsys: pytest.CaptureFixture[str]
) -> None:
    """It says what was recomputed, and ends with 0, 1 for a forgery or 2 if it cannot tell."""
    store, catalog = forger
    environ = {"CONNINFO": store.conninfo("admin_api")}
    with catalog.transaction() as tx:
        seals = {seal.id: seal.hash.hex() for seal in tx.seals.page(3, 9)}
    assert terminal.main(environ | {"ANCHOR": f"2 {seals[2]}"}) == 0
    assert capsys.readouterr().out == (
        f"sealed events: 9, seals: 3, events not sealed yet: 1\nnewest seal: 3 {seals[3]}\n"
    )
    for wrong in (f"2 {seals[1]}", f"4 {seals[3]}"):
        assert terminal.main(environ | {"ANCHOR": wrong}) == 1
        assert f"no such seal as the anchor: {wrong}" in capsys.readouterr().out
    forge(store, CHANGES["removed"][1])
    assert terminal.main(environ) == 1
    assert capsys.readouterr().out.endswith("FORGED: the first bad event is 5\n")
    for unclear in ({"CONNINFO": "host=127.0.0.1 port=1"}, environ | {"ANCHOR": "2"}):
        assert terminal.main(unclear) == 2
        assert capsys.readouterr().err.startswith("cannot verify: ")


@pytest.mark.usefixtures("small_batches")
def test_a_database_loaded_from_a_dump_is_sealed_further(
    store: CatalogStore, catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Transactions are counted anew there, and no event is sealed twice or never.

    A seal covers what the dump left unsealed, in one piece; ids of old transactions that are
    reached again mean nothing then.
    """
    [(now,)] = store.sql("SELECT pg_current_xact_id()::text::bigint")
    before = Horizons(now + 50, now + 70)
    with monkeypatch.context() as patched:
        patched.setattr(Seals, "horizons", lambda _: before)
        for event_id, transaction in enumerate((10, 20, 60, 65, 66, 67), start=1):
            forge(store, FORGE, id=event_id, transaction=str(now + transaction))
        assert seal(catalog) == 2
    forge(
        store,
        "UPDATE kiloclaw_audit_seals SET transaction_id = %(id)s::xid8",
        id=str(now + 80),
    )
    store.sql("SELECT setval(pg_get_serial_sequence('kiloclaw_audit_log', 'id'), 100)")
    assert verify(catalog) == Verification(2, 2, 1, 4, None, complete=True)
    with session(store) as slow:
        slow.execute(INSERT)
        record(catalog, 1)
        assert verify(catalog) == Verification(2, 2, 1, 5, None, complete=True)
        assert seal(catalog) == 4
        slow.commit()
    assert seal(catalog) == 2
    record(catalog, 80)
    assert seal(catalog) == 80
    assert verify(catalog) == Verification(182, 88, 30, 0, None, complete=True)
