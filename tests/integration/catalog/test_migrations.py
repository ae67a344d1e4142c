"""Migrations: each file is applied once, in order, and completely or not at all."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from time import monotonic

import psycopg
import pytest

from infra.local.postgres import Postgres
from shared.catalog.connection import Database
from shared.catalog.migrate import PAUSE_SECONDS, MigrationEdited, migrate, migrations
from shared.deadline import Deadline
from shared.domain.errors import CatalogUnavailable
from tests.support.catalog_fixture import until_somebody_waits
from tests.support.stores import CatalogStore, make_catalog

TABLES = {
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
}
RUNNERS = 4
PURPOSES = ("Invariant: ", "Query: ")


@pytest.fixture
def empty(each_server: Postgres) -> CatalogStore:
    """A database to which no migration was applied."""
    return make_catalog(each_server, "template1")


@pytest.fixture
def database(empty: CatalogStore) -> Iterator[Database]:
    """The connection of the function `migrate`."""
    database = empty.database("migrate")
    yield database
    database.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two files, of which the second needs the first."""
    (tmp_path / "0001_shelf.sql").write_text("CREATE TABLE shelf (label text);")
    (tmp_path / "0002_label.sql").write_text("INSERT INTO shelf VALUES ('50 % full');")
    return tmp_path


def _tables(store: CatalogStore) -> set[str]:
    rows = store.sql("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    return {name for (name,) in rows}


def _applied(store: CatalogStore) -> list[str]:
    rows = store.sql("SELECT name FROM kiloclaw_migrations ORDER BY applied_at, name")
    return [name for (name,) in rows]


def test_every_file_is_applied_in_order_and_once(
    empty: CatalogStore, database: Database
) -> None:
    """A second run applies nothing, and every applied file is recorded."""
    names = [migration.name for migration in migrations()]
    assert names == sorted(names)
    assert migrate(database) == names
    assert migrate(database) == []
    assert _tables(empty) == TABLES
    assert _applied(empty) == names


def test_a_later_release_applies_only_what_is_new(
    empty: CatalogStore, database: Database, folder: Path
) -> None:
    """Applied files are left alone, and a percent sign in a file has no meaning."""
    assert migrate(database, folder) == ["0001_shelf", "0002_label"]
    (folder / "0003_more.sql").write_text("INSERT INTO shelf VALUES ('empty');")
    assert migrate(database, folder) == ["0003_more"]
    assert empty.sql("SELECT label FROM shelf") == [("50 % full",), ("empty",)]


def test_an_earlier_release_applies_nothing(database: Database, folder: Path) -> None:
    """After the code is rolled back, a newer schema is no error."""
    migrate(database, folder)
    (folder / "0002_label.sql").unlink()
    assert migrate(database, folder) == []


def test_runs_at_once_apply_each_file_once(empty: CatalogStore) -> None:
    """Two deployments that overlap have the effect of one."""
    databases = [empty.database("migrate") for _ in range(RUNNERS)]
    together = Barrier(RUNNERS)

    def run(database: Database) -> list[str]:
        together.wait()
        return migrate(database)

    with ThreadPoolExecutor(RUNNERS) as threads:
        applied = [name for names in threads.map(run, databases) for name in names]
    for database in databases:
        database.close()
    assert sorted(applied) == [migration.name for migration in migrations()]
    assert _applied(empty) == sorted(applied)


def test_an_edited_file_is_an_error_before_anything_is_applied(
    empty: CatalogStore, database: Database, folder: Path
) -> None:
    """Files that come before the edited one are not applied either."""
    migrate(database, folder)
    (folder / "0000_first.sql").write_text("CREATE TABLE first ();")
    (folder / "0002_label.sql").write_text("INSERT INTO shelf VALUES ('edited');")
    (folder / "0003_more.sql").write_text("CREATE TABLE more ();")
    with pytest.raises(MigrationEdited, match="0002_label"):
        migrate(database, folder)
    assert _tables(empty) == {"kiloclaw_migrations", "shelf"}
    assert _applied(empty) == ["0001_shelf", "0002_label"]


def test_a_file_that_fails_leaves_nothing_of_itself(
    empty: CatalogStore, database: Database, folder: Path
) -> None:
    """Earlier files stay applied, and a later run goes on with the mended file."""
    broken = folder / "0003_broken.sql"
    broken.write_text("CREATE TABLE half (); INSERT INTO nowhere VALUES (1);")
    (folder / "0004_after.sql").write_text("CREATE TABLE after ();")
    with pytest.raises(psycopg.errors.UndefinedTable):
        migrate(database, folder)
    assert _tables(empty) == {"kiloclaw_migrations", "shelf"}
    assert _applied(empty) == ["0001_shelf", "0002_label"]
    broken.write_text("CREATE TABLE whole ();")
    assert migrate(database, folder) == ["0003_broken", "0004_after"]


@pytest.fixture
def locked_shelf(empty: CatalogStore, database: Database, folder: Path) -> Path:
    """The folder with a third file, which needs a lock on the first one's table."""
    migrate(database, folder)
    (folder / "0003_wider.sql").write_text("ALTER TABLE shelf ADD COLUMN width integer;")
    return folder


def test_a_file_that_waits_for_a_lock_lets_others_pass_and_is_tried_again(
    empty: CatalogStore, database: Database, locked_shelf: Path
) -> None:
    """A reader that queues behind it waits for a second, and the file is applied later."""
    with ThreadPoolExecutor(1) as other, empty.server_connection() as holder:
        with holder.transaction():
            holder.execute("SELECT FROM shelf")
            migrating = other.submit(migrate, database, locked_shelf)
            until_somebody_waits(empty)
            started = monotonic()
            assert len(empty.sql("SELECT label FROM shelf")) == 1
            assert monotonic() - started < PAUSE_SECONDS
            assert not migrating.done()
        assert migrating.result() == ["0003_wider"]


def test_a_file_that_gets_no_lock_until_the_deadline_is_not_applied(
    empty: CatalogStore, database: Database, locked_shelf: Path
) -> None:
    """The run fails as CatalogUnavailable, which the deployment retries."""
    with empty.server_connection() as holder, holder.transaction():
        holder.execute("SELECT FROM shelf")
        database.deadline = Deadline(5, 5)
        with pytest.raises(CatalogUnavailable, match="55P03"):
            migrate(database, locked_shelf)
        assert database.deadline.left > 0
    assert _applied(empty) == ["0001_shelf", "0002_label"]


def test_a_schema_of_unknown_origin_is_left_as_it_is(
    empty: CatalogStore, database: Database
) -> None:
    """A table that no migration made is an error, and nothing is applied."""
    empty.sql("CREATE TABLE kiloclaw_available_versions (image_tag text)")
    with pytest.raises(psycopg.errors.DuplicateTable):
        migrate(database)
    assert _tables(empty) == {"kiloclaw_available_versions", "kiloclaw_migrations"}
    assert _applied(empty) == []


def test_the_owner_owns_all_that_migrations_make(store: CatalogStore) -> None:
    """`migrate` acts as the owner from its first statement on."""
    owners = store.sql(
        """
        SELECT DISTINCT pg_get_userbyid(owner)
          FROM (SELECT relowner FROM pg_class WHERE relnamespace = 'public'::regnamespace
                UNION ALL
                SELECT proowner FROM pg_proc WHERE pronamespace = 'public'::regnamespace)
               AS made (owner)
        """
    )
    assert owners == [("kiloclaw_owner",)]


def test_every_index_says_what_it_is_for(store: CatalogStore) -> None:
    """Its comment names the invariant or the query that it serves."""
    comments = store.sql(
        """
        SELECT i.indexrelid::regclass::text, obj_description(i.indexrelid, 'pg_class')
          FROM pg_index i
          JOIN pg_class c ON c.oid = i.indrelid
         WHERE c.relnamespace = 'public'::regnamespace AND NOT i.indisprimary
         ORDER BY 1
        """
    )
    silent = [
        name for name, comment in comments if not comment or not comment.startswith(PURPOSES)
    ]
    assert len(comments) > 10
    assert silent == []
