"""All that both stores hold, to see what a call has written."""

from typing import Any

from psycopg import sql

from tests.support.stores import Stores

TABLES = (
    "kiloclaw_available_versions",
    "kiloclaw_variants",
    "kiloclaw_version_pins",
    "kiloclaw_user_aliases",
    "kiloclaw_promotions",
    "kiloclaw_audit_log",
    "kiloclaw_sync_runs",
    "kiloclaw_sync_findings",
    "kiloclaw_instances",
    "kiloclaw_idempotency_keys",
)
Dump = dict[str, list[Any]]


def dump(stores: Stores) -> Dump:
    """Every row with the transaction that wrote it, and every item: equal if nothing wrote."""
    with stores.server_connection() as connection:
        rows: Dump = {
            table: connection.execute(
                sql.SQL("SELECT t.xmin::text, t::text FROM {} t ORDER BY t::text").format(
                    sql.Identifier(table)
                )
            ).fetchall()
            for table in TABLES
        }
    items = sorted(stores.items(), key=lambda item: (item["pk"]["S"], item["sk"]["S"]))
    return rows | {"kv": items}


def changed(before: Dump, after: Dump) -> set[str]:
    """The tables in which anything was written, `kv` for the KV."""
    return {table for table in after if before[table] != after[table]}
