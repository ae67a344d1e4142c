"""Sessions: how they begin, go on and end."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from infra.local.processes import free_port
from shared.domain.errors import KVUnavailable
from shared.kv.sessions import Sessions
from shared.kv.table import Table, connect
from tests.support.stores import make_session_table

NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
SECOND = timedelta(seconds=1)


@pytest.fixture
def sessions(client: Any) -> Sessions:
    """The sessions of an empty table."""
    return Sessions(Table(client, make_session_table(client)))


@pytest.fixture
def calls(client: Any) -> Iterator[list[str]]:
    """The operations that are called from now on."""
    made: list[str] = []

    def record(model: Any, **_: object) -> None:
        made.append(model.name)

    client.meta.events.register("before-call.dynamodb", record)
    yield made
    client.meta.events.unregister("before-call.dynamodb", record)


def stored(sessions: Sessions) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = sessions.table.call("scan")["Items"]
    return found


def test_a_session_names_a_person_and_their_roles(sessions: Sessions) -> None:
    """It is found by its id alone, with the roles of when it began."""
    opened = sessions.open("ana@example.com", ["viewer", "admin"], NOW)
    found = sessions.find(opened.id, NOW)
    assert found == opened
    assert found.actor == "ana@example.com"
    assert found.roles == {"viewer", "admin"}
    without = sessions.open("eve", [], NOW)
    assert sessions.find(without.id, NOW) == without
    assert without.id != opened.id


def test_the_table_opens_no_session(sessions: Sessions) -> None:
    """Whoever reads the table finds neither an id nor the token of a form."""
    opened = sessions.open("ana", ["admin"], NOW)
    [item] = stored(sessions)
    assert opened.id not in str(item)
    assert opened.form_token not in str(item)
    assert sessions.find(item["id"]["S"].removeprefix("SESSION#")[:43], NOW) is None
    assert opened.id not in repr(opened)


@pytest.mark.parametrize(
    "session_id", [None, "", "x" * 42, "x" * 44, "é" * 43, "x" * 42 + "\n"]
)
def test_what_is_no_id_is_not_looked_for(
    sessions: Sessions, session_id: str | None, calls: list[str]
) -> None:
    """A cut-off cookie costs no call; one that nobody has does."""
    assert sessions.find(session_id, NOW) is None
    assert calls == []
    assert sessions.find("x" * 43, NOW) is None
    assert calls == ["GetItem"]


def test_an_idle_session_ends_after_an_hour(sessions: Sessions) -> None:
    """The table may still hold it: time to live deletes items later."""
    opened = sessions.open("ana", [], NOW)
    assert sessions.find(opened.id, NOW + HOUR) is None
    assert len(stored(sessions)) == 1
    assert sessions.find(opened.id, NOW + HOUR - SECOND)
    assert sessions.find(opened.id, NOW + 2 * HOUR - 2 * SECOND)


def test_a_session_ends_after_eight_hours(sessions: Sessions) -> None:
    """Work does not make it longer."""
    opened = sessions.open("ana", [], NOW)
    for half_hours in range(1, 16):
        assert sessions.find(opened.id, NOW + half_hours * HOUR / 2)
    assert sessions.find(opened.id, NOW + 8 * HOUR - SECOND)
    assert sessions.find(opened.id, NOW + 8 * HOUR) is None


def test_use_is_noted_once_a_minute(sessions: Sessions, calls: list[str]) -> None:
    """Most pages cost one read."""
    opened = sessions.open("ana", [], NOW)
    for seconds in (1, 59, 60, 61, 119, 120):
        sessions.find(opened.id, NOW + timedelta(seconds=seconds))
    assert calls.count("UpdateItem") == 2


def test_what_a_page_reads_by_itself_is_no_use(sessions: Sessions) -> None:
    """An open page that refreshes itself keeps no session alive."""
    opened = sessions.open("ana", [], NOW)
    assert sessions.find(opened.id, NOW + 59 * MINUTE, is_used=False) == opened
    assert sessions.find(opened.id, NOW + HOUR, is_used=False) is None


def test_an_ended_session_is_gone(sessions: Sessions) -> None:
    """Others stay, and to end it twice is no error."""
    opened, other = (sessions.open(name, [], NOW) for name in ("ana", "bob"))
    sessions.end(opened.id)
    sessions.end(opened.id)
    assert sessions.find(opened.id, NOW) is None
    assert sessions.find(other.id, NOW) == other
    assert len(stored(sessions)) == 1


def test_a_session_that_ends_while_it_is_looked_for(
    sessions: Sessions, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Noting its use does not bring it back, and nobody gets in with it."""
    opened, call = sessions.open("ana", [], NOW), Table.call

    def end_first(table: Table, operation: str, **parameters: Any) -> Any:
        if operation == "update_item":
            sessions.end(opened.id)
        return call(table, operation, **parameters)

    monkeypatch.setattr(Table, "call", end_first)
    assert sessions.find(opened.id, NOW + 30 * MINUTE) is None
    assert stored(sessions) == []


def test_a_table_that_is_down_is_no_sign_out(
    sessions: Sessions, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The caller can tell a missing session from one that could not be read."""
    opened = sessions.open("ana", [], NOW)
    monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", f"http://127.0.0.1:{free_port()}")
    client = connect()
    with pytest.raises(KVUnavailable):
        Sessions(Table(client, sessions.table.name)).find(opened.id, NOW)
    client.close()
