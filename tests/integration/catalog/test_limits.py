"""Settings of the roles: time limits behind the client's shorter ones, and the time zone."""

from datetime import timedelta
from time import monotonic, sleep

import pytest
from psycopg import sql

from shared.catalog.connection import Database
from shared.domain.errors import CatalogUnavailable
from tests.support.stores import CatalogStore

EVERYBODY = {"TimeZone": "UTC", "client_connection_check_interval": "1s", "jit": "off"}
LIMITS = {
    "kiloclaw_admin_api": EVERYBODY
    | {
        "statement_timeout": "25s",
        "lock_timeout": "5s",
        "idle_in_transaction_session_timeout": "25s",
        "work_mem": "16MB",
    },
    "kiloclaw_console": EVERYBODY
    | {
        "statement_timeout": "25s",
        "lock_timeout": "5s",
        "idle_in_transaction_session_timeout": "25s",
        "work_mem": "16MB",
    },
    "kiloclaw_fleet": EVERYBODY
    | {
        "statement_timeout": "20s",
        "lock_timeout": "5s",
        "idle_in_transaction_session_timeout": "30s",
    },
    "kiloclaw_migrate": EVERYBODY
    | {
        "role": "kiloclaw_owner",
        "lock_timeout": "1s",
        "idle_in_transaction_session_timeout": "60s",
    },
    "kiloclaw_owner": {},
    "kiloclaw_provisioning": EVERYBODY
    | {
        "statement_timeout": "3s",
        "lock_timeout": "1s",
        "idle_in_transaction_session_timeout": "5s",
    },
    "kiloclaw_sync": EVERYBODY
    | {
        "statement_timeout": "50s",
        "lock_timeout": "5s",
        "idle_in_transaction_session_timeout": "60s",
    },
}


def _set(store: CatalogStore, role: str, name: str, value: str) -> None:
    """Change a setting for new sessions of the role, in this database alone."""
    setting = sql.SQL("ALTER ROLE {} IN DATABASE {} SET {} = {}").format(
        sql.Identifier(role), sql.Identifier(store.dbname), sql.Identifier(name), value
    )
    with store.server_connection() as connection:
        connection.execute(setting)


def test_settings_are_the_roles_own(filled: CatalogStore) -> None:
    """Behind RDS Proxy a session sets nothing, so each role has its settings."""
    rows = filled.sql(
        "SELECT rolname, coalesce(rolconfig, '{}') FROM pg_roles WHERE rolname LIKE 'kiloclaw%'"
    )
    limits = {role: dict(entry.split("=", 1) for entry in config) for role, config in rows}
    assert limits == LIMITS


def test_a_statement_whose_client_has_left_is_cancelled(store: CatalogStore) -> None:
    """The server notices within a second that its client is gone."""
    database = store.database("admin_api", seconds=0.5)
    with pytest.raises(CatalogUnavailable):
        database.read("SELECT pg_sleep(60)", {})
    give_up = monotonic() + 10
    while store.sql("SELECT FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%'"):
        assert monotonic() < give_up
        sleep(0.1)


@pytest.mark.parametrize("role", ["migrate", "admin_api", "provisioning", "sync"])
def test_every_session_is_in_utc(store: CatalogStore, role: str) -> None:
    """The role's time zone wins over the database's."""
    store.sql("DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET timezone = %L',"
              " current_database(), 'Asia/Kathmandu'); END $$")  # fmt: skip
    database = store.database(role)
    [(moment,)] = database.read("SELECT now()", {})
    assert moment.utcoffset() == timedelta(0)
    database.close()


def test_a_wait_for_a_lock_ends_as_an_unavailable_catalog(store: CatalogStore) -> None:
    """The role's limit ends the wait, long before the client gives up."""
    _set(store, "kiloclaw_admin_api", "lock_timeout", "100ms")
    store.sql("INSERT INTO kiloclaw_variants (variant) VALUES ('default')")
    database = store.database("admin_api")
    with store.server_connection() as other, other.transaction():
        other.execute("SELECT FROM kiloclaw_variants FOR UPDATE")
        started = monotonic()
        with pytest.raises(CatalogUnavailable, match="55P03"), database.transaction() as tx:
            tx.execute("SELECT FROM kiloclaw_variants FOR SHARE")
        assert monotonic() - started < 20
    with database.transaction() as tx:
        tx.execute("SELECT FROM kiloclaw_variants FOR SHARE")
    database.close()


def test_a_statement_that_takes_too_long_ends_as_an_unavailable_catalog(
    store: CatalogStore,
) -> None:
    """The role's limit ends the statement, and it is not repeated."""
    store.sql("CREATE SEQUENCE tries")
    store.sql("GRANT USAGE ON SEQUENCE tries TO kiloclaw_provisioning")
    _set(store, "kiloclaw_provisioning", "statement_timeout", "100ms")
    database = store.database("provisioning")
    assert database.read("SELECT 42", {}) == [(42,)]
    with pytest.raises(CatalogUnavailable, match="57014"):
        database.read("SELECT pg_sleep(nextval('tries') + 60)", {})
    assert store.sql("SELECT last_value FROM tries") == [(1,)]
    assert database.read("SELECT 42", {}) == [(42,)]
    database.close()


def test_a_transaction_left_idle_ends_as_an_unavailable_catalog(store: CatalogStore) -> None:
    """The server ends a session that holds locks and does nothing; the next one works."""
    _set(store, "kiloclaw_sync", "idle_in_transaction_session_timeout", "100ms")
    database = store.database("sync")
    with pytest.raises(CatalogUnavailable, match="25P03"):
        _add_two_variants_slowly(database)
    with database.transaction() as tx:
        assert tx.execute("SELECT variant FROM kiloclaw_variants").fetchall() == []
    database.close()


def _add_two_variants_slowly(database: Database) -> None:
    with database.transaction() as tx:
        tx.execute("INSERT INTO kiloclaw_variants (variant) VALUES ('half')")
        sleep(0.4)
        tx.execute("INSERT INTO kiloclaw_variants (variant) VALUES ('done')")


def test_a_server_that_only_reads_is_left_for_one_that_writes(store: CatalogStore) -> None:
    """After a failover the connection to what is a stand-by now is closed."""
    _set(store, "kiloclaw_admin_api", "default_transaction_read_only", "on")
    database = store.database()
    with pytest.raises(CatalogUnavailable, match="25006"), database.transaction() as tx:
        tx.execute("INSERT INTO kiloclaw_variants (variant) VALUES ('new')")
    _set(store, "kiloclaw_admin_api", "default_transaction_read_only", "off")
    with database.transaction() as tx:
        tx.execute("INSERT INTO kiloclaw_variants (variant) VALUES ('new')")
    database.close()
