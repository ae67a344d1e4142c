"""What was logged stays, whoever asks."""

from collections.abc import Iterator
from typing import Any, LiteralString

import psycopg
import pytest
from psycopg import errors, sql

from tests.support.stores import CatalogStore

LOGS: dict[str, LiteralString] = {
    "kiloclaw_audit_log": "reason = 'x'",
    "kiloclaw_promotions": "reason = 'x'",
    "kiloclaw_audit_seals": "sealed_at = now()",
    "kiloclaw_audit_sealed_events": "seal_id = 2",
}
"""Tables, and a change of any row of each."""


@pytest.fixture
def owner(filled: CatalogStore) -> Iterator[psycopg.Connection[Any]]:
    """A transaction of `migrate`, who acts as the owner."""
    with psycopg.connect(filled.conninfo("migrate")) as connection:
        yield connection
        connection.rollback()


@pytest.mark.parametrize("table", LOGS)
@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE {} SET {}",
        "DELETE FROM {}",
        "TRUNCATE {}",
        "DELETE FROM {} WHERE false",
    ],
)
def test_the_logs_are_append_only_for_the_owner_too(
    owner: psycopg.Connection[Any], table: str, statement: LiteralString
) -> None:
    """Even a statement that would touch no row is refused."""
    with pytest.raises(errors.InsufficientPrivilege, match="append-only"):
        owner.execute(_about(statement, table))


@pytest.mark.parametrize(
    ("table", "trigger"),
    [
        ("kiloclaw_audit_log", "audit_stays"),
        ("kiloclaw_promotions", "promotions_stay"),
        ("kiloclaw_audit_seals", "audit_seals_stay"),
        ("kiloclaw_audit_sealed_events", "audit_sealed_events_stay"),
    ],
)
@pytest.mark.parametrize("statement", ["UPDATE {} SET {}", "DELETE FROM {}"])
def test_each_row_of_the_logs_is_guarded_besides(
    owner: psycopg.Connection[Any], table: str, trigger: str, statement: LiteralString
) -> None:
    """Without the guard of the whole statement the guard of its rows refuses."""
    disable = sql.SQL("ALTER TABLE {} DISABLE TRIGGER {}")
    owner.execute(disable.format(sql.Identifier(table), sql.Identifier(trigger)))
    with pytest.raises(errors.InsufficientPrivilege, match="append-only"):
        owner.execute(_about(statement, table))


def _about(statement: LiteralString, table: str) -> sql.Composed:
    change: LiteralString = LOGS[table]
    return sql.SQL(statement).format(sql.Identifier(table), sql.SQL(change))


@pytest.mark.parametrize("table", ["kiloclaw_available_versions", "kiloclaw_variants"])
def test_emptying_what_the_history_refers_to_is_refused(
    owner: psycopg.Connection[Any], table: str
) -> None:
    """A truncation that cascades stops at the log."""
    with pytest.raises(errors.InsufficientPrivilege, match="append-only"):
        owner.execute(sql.SQL("TRUNCATE {} CASCADE").format(sql.Identifier(table)))
