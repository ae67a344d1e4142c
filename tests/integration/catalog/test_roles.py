"""Rights: each function may do what it needs, and a test proves each refusal."""

from concurrent.futures import ThreadPoolExecutor
from typing import LiteralString

import psycopg
import pytest
from psycopg import errors, sql

from shared.catalog.connection import Database
from shared.catalog.migrate import create_roles
from tests.support.catalog_fixture import PATIENCE
from tests.support.stores import PASSWORD, CatalogStore

READ = {"SELECT"}
ADD = {"SELECT", "INSERT"}
CHANGE = {"SELECT", "INSERT", "UPDATE"}
ALL = {"SELECT", "INSERT", "UPDATE", "DELETE"}
GRANTS = {
    ("kiloclaw_admin_api", "kiloclaw_audit_log"): READ,
    ("kiloclaw_admin_api", "kiloclaw_audit_sealed_events"): ADD,
    ("kiloclaw_admin_api", "kiloclaw_audit_seals"): ADD,
    ("kiloclaw_admin_api", "kiloclaw_available_versions"): CHANGE,
    ("kiloclaw_admin_api", "kiloclaw_idempotency_keys"): ALL,
    ("kiloclaw_admin_api", "kiloclaw_instances"): {"SELECT", "DELETE"},
    ("kiloclaw_admin_api", "kiloclaw_promotions"): ADD,
    ("kiloclaw_admin_api", "kiloclaw_sync_findings"): CHANGE,
    ("kiloclaw_admin_api", "kiloclaw_sync_runs"): CHANGE,
    ("kiloclaw_admin_api", "kiloclaw_user_aliases"): ALL,
    ("kiloclaw_admin_api", "kiloclaw_variants"): CHANGE,
    ("kiloclaw_admin_api", "kiloclaw_version_pins"): ALL,
    ("kiloclaw_fleet", "kiloclaw_instances"): ALL,
    ("kiloclaw_provisioning", "kiloclaw_available_versions"): READ,
    ("kiloclaw_provisioning", "kiloclaw_variants"): READ,
    ("kiloclaw_provisioning", "kiloclaw_version_pins"): READ,
    ("kiloclaw_sync", "kiloclaw_audit_log"): READ,
    ("kiloclaw_sync", "kiloclaw_audit_sealed_events"): ADD,
    ("kiloclaw_sync", "kiloclaw_audit_seals"): ADD,
    ("kiloclaw_sync", "kiloclaw_available_versions"): READ,
    ("kiloclaw_sync", "kiloclaw_idempotency_keys"): {"DELETE"},
    ("kiloclaw_sync", "kiloclaw_instances"): ALL,
    ("kiloclaw_sync", "kiloclaw_promotions"): ADD,
    ("kiloclaw_sync", "kiloclaw_sync_findings"): ALL,
    ("kiloclaw_sync", "kiloclaw_sync_runs"): ALL,
    ("kiloclaw_sync", "kiloclaw_variants"): CHANGE,
}
"""Every grant on a whole table, the owner's own aside."""
EVENT = {
    "actor", "action", "subject_kind", "subject_id", "before", "after", "reason", "request_id",
}  # fmt: skip
COLUMN_GRANTS = {
    ("kiloclaw_admin_api", "kiloclaw_audit_log", "INSERT"): EVENT,
    ("kiloclaw_sync", "kiloclaw_audit_log", "INSERT"): EVENT,
    ("kiloclaw_sync", "kiloclaw_available_versions", "INSERT"): {
        "image_tag", "image_digest", "openclaw_version", "variant", "published_at",
    },
    ("kiloclaw_sync", "kiloclaw_available_versions", "UPDATE"): {
        "image_digest", "openclaw_version", "missing_since", "revision", "updated_at",
    },
    ("kiloclaw_sync", "kiloclaw_idempotency_keys", "SELECT"): {"call_hash", "expires_at"},
    ("kiloclaw_sync", "kiloclaw_version_pins", "SELECT"): {"image_tag"},
}  # fmt: skip
TABLES = (
    "kiloclaw_audit_log",
    "kiloclaw_audit_sealed_events",
    "kiloclaw_audit_seals",
    "kiloclaw_available_versions",
    "kiloclaw_idempotency_keys",
    "kiloclaw_instances",
    "kiloclaw_migrations",
    "kiloclaw_promotions",
    "kiloclaw_sync_findings",
    "kiloclaw_sync_runs",
    "kiloclaw_user_aliases",
    "kiloclaw_variants",
    "kiloclaw_version_pins",
)
FUNCTIONS = ("admin_api", "console", "fleet", "provisioning", "sync")
INHERITED = {"console": "admin_api"}
"""The console has no grants of its own: it is a member of the other role."""
INSUFFICIENT_PRIVILEGE = errors.InsufficientPrivilege.sqlstate


def _refusal(store: CatalogStore, role: str, statement: LiteralString) -> str | None:
    """The SQLSTATE with which the role's statement is refused; None if it is not."""
    with psycopg.connect(store.conninfo(role)) as connection:
        try:
            connection.execute(statement)
        except psycopg.Error as error:
            return error.sqlstate
        finally:
            connection.rollback()
    return None


def test_tables_are_granted_exactly_so(filled: CatalogStore) -> None:
    """A grant added or lost changes this table too, whoever it is granted to."""
    rows = filled.sql(
        """
        SELECT coalesce(r.rolname, 'PUBLIC'), c.relname, array_agg(a.privilege_type)
          FROM pg_class c
         CROSS JOIN aclexplode(c.relacl) a
          LEFT JOIN pg_roles r ON r.oid = a.grantee
         WHERE c.relnamespace = 'public'::regnamespace AND a.grantee <> c.relowner
         GROUP BY 1, 2
        """
    )
    assert {(role, table): set(kinds) for role, table, kinds in rows} == GRANTS


def test_columns_are_granted_exactly_so(filled: CatalogStore) -> None:
    """`sync` writes what the KV owns, column by column."""
    rows = filled.sql(
        """
        SELECT r.rolname, c.relname, a.privilege_type, array_agg(t.attname::text)
          FROM pg_attribute t
          JOIN pg_class c ON c.oid = t.attrelid
         CROSS JOIN aclexplode(t.attacl) a
          LEFT JOIN pg_roles r ON r.oid = a.grantee
         WHERE c.relnamespace = 'public'::regnamespace
         GROUP BY 1, 2, 3
        """
    )
    granted = {(role, table, kind): set(names) for role, table, kind, names in rows}
    assert granted == COLUMN_GRANTS


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("role", FUNCTIONS)
def test_what_is_not_granted_is_refused(filled: CatalogStore, role: str, table: str) -> None:
    """Every kind of statement that the table of grants does not list is refused."""
    granted = GRANTS.get((f"kiloclaw_{INHERITED.get(role, role)}", table), set())
    attempts = {
        "SELECT": sql.SQL("SELECT * FROM {}"),
        "INSERT": sql.SQL("INSERT INTO {} ({}) VALUES (DEFAULT)"),
        "UPDATE": sql.SQL("UPDATE {} SET {} = DEFAULT"),
        "DELETE": sql.SQL("DELETE FROM {}"),
        "TRUNCATE": sql.SQL("TRUNCATE {} CASCADE"),
        "TRIGGER": sql.SQL("ALTER TABLE {} DISABLE TRIGGER ALL"),
        "LOCK": sql.SQL("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE"),
    }
    columns = filled.sql(
        "SELECT attname FROM pg_attribute"
        " WHERE attrelid = %(table)s::regclass AND attnum > 0 ORDER BY attnum",
        table=table,
    )
    with psycopg.connect(filled.conninfo(role)) as connection:
        for kind in attempts.keys() - granted:
            if kind == "LOCK" and granted & {"UPDATE", "DELETE"}:
                continue  # whoever may change every row may lock them all
            statement = attempts[kind].format(
                sql.Identifier(table), sql.Identifier(*columns[0])
            )
            with pytest.raises(errors.InsufficientPrivilege):
                connection.execute(statement)
            connection.rollback()


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE kiloclaw_available_versions SET status = 'disabled'",
        "UPDATE kiloclaw_available_versions SET notes = 'better not'",
        "UPDATE kiloclaw_available_versions SET retired_at = now()",
        "UPDATE kiloclaw_available_versions SET published_at = now()",
        "UPDATE kiloclaw_available_versions SET image_tag = 'two'",
        "INSERT INTO kiloclaw_available_versions (status) VALUES ('disabled')",
        "SELECT user_id FROM kiloclaw_version_pins",
        "SELECT FROM kiloclaw_version_pins FOR UPDATE",
        "SELECT user_id FROM kiloclaw_user_aliases",
    ],
)
def test_sync_decides_nothing_that_people_decide(
    filled: CatalogStore, statement: LiteralString
) -> None:
    """`sync` sets no status, note, retirement or pin, and cannot read who is pinned."""
    assert _refusal(filled, "sync", statement) == INSUFFICIENT_PRIVILEGE


@pytest.mark.parametrize("role", ["admin_api", "sync"])
@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO kiloclaw_audit_log (id) OVERRIDING SYSTEM VALUE VALUES (7)",
        "INSERT INTO kiloclaw_audit_log (at) VALUES (now())",
        "INSERT INTO kiloclaw_audit_log (transaction_id) VALUES ('7')",
    ],
)
def test_who_adds_an_event_says_neither_when_nor_in_which_order(
    filled: CatalogStore, role: str, statement: LiteralString
) -> None:
    """A function's role can write no event of the past."""
    assert _refusal(filled, role, statement) == INSUFFICIENT_PRIVILEGE


@pytest.mark.parametrize("role", FUNCTIONS)
@pytest.mark.parametrize(
    "statement",
    [
        "SET ROLE kiloclaw_owner",
        "SET ROLE kiloclaw_migrate",
        "SET ROLE kiloclaw_admin_api",
        "SET SESSION AUTHORIZATION kiloclaw_owner",
        "SET session_replication_role = replica",
        "CREATE TABLE public.mine ()",
        "CREATE ROLE mine",
        "ALTER ROLE kiloclaw_owner LOGIN",
        "GRANT kiloclaw_owner TO kiloclaw_sync",
        "ALTER TABLE kiloclaw_audit_log OWNER TO kiloclaw_admin_api",
        "DROP TRIGGER audit_stays ON kiloclaw_audit_log",
        "DROP FUNCTION kiloclaw_refuse_change() CASCADE",
    ],
)
def test_no_function_becomes_more_than_it_is(
    filled: CatalogStore, role: str, statement: LiteralString
) -> None:
    """Only `migrate` may act as the owner; nobody may change rules or rights."""
    if statement == f"SET ROLE kiloclaw_{INHERITED.get(role, role)}":
        assert _refusal(filled, role, statement) is None
    else:
        assert _refusal(filled, role, statement) == INSUFFICIENT_PRIVILEGE


def test_migrate_alone_may_act_as_the_owner(filled: CatalogStore) -> None:
    """There is one other membership among the roles: the console has the admin API's rights."""
    members = filled.sql(
        """
        SELECT member::regrole::text, roleid::regrole::text
          FROM pg_auth_members WHERE member::regrole::text LIKE 'kiloclaw%' ORDER BY 1
        """
    )
    assert members == [
        ("kiloclaw_console", "kiloclaw_admin_api"),
        ("kiloclaw_migrate", "kiloclaw_owner"),
    ]


@pytest.mark.parametrize("table", TABLES)
def test_the_console_may_what_the_admin_api_may(filled: CatalogStore, table: str) -> None:
    """Every right on every table, whenever it was granted, is the console's too."""
    kinds = ("SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER")
    rights = [
        filled.sql(
            "SELECT kind, has_table_privilege(%(role)s, %(table)s, kind)"
            "  FROM unnest(%(kinds)s::text[]) AS kind ORDER BY kind",
            role=f"kiloclaw_{role}",
            table=table,
            kinds=list(kinds),
        )
        for role in ("admin_api", "console")
    ]
    assert rights[0] == rights[1]


def test_nobody_logs_in_as_the_owner(filled: CatalogStore) -> None:
    """The owner cannot log in, even with a password."""
    filled.sql("ALTER ROLE kiloclaw_owner PASSWORD 'test'")
    logins = filled.sql(
        "SELECT rolname FROM pg_roles WHERE rolname LIKE 'kiloclaw%' AND NOT rolcanlogin"
    )
    assert logins == [("kiloclaw_owner",)]
    with pytest.raises(psycopg.OperationalError, match="not permitted to log in"):
        psycopg.connect(filled.server.conninfo(filled.dbname, "kiloclaw_owner", PASSWORD))


def test_no_role_has_rights_over_the_server(filled: CatalogStore) -> None:
    """No role is a superuser, makes roles or databases, or bypasses row security."""
    mighty = filled.sql(
        """
        SELECT rolname FROM pg_roles
         WHERE rolname LIKE 'kiloclaw%'
           AND (rolsuper OR rolcreaterole OR rolcreatedb OR rolreplication OR rolbypassrls)
        """
    )
    assert mighty == []


def test_the_roles_may_be_made_again_and_at_once(filled: CatalogStore) -> None:
    """Two deployments may make the roles at the same time."""
    roles = "SELECT rolname, rolcanlogin, rolconfig FROM pg_roles ORDER BY rolname"
    before = filled.sql(roles)

    def make(_number: int) -> None:
        database = Database(lambda: filled.server.superuser(filled.dbname), PATIENCE)
        create_roles(database)
        database.close()

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(make, range(8)))
    assert filled.sql(roles) == before
