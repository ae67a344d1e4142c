"""Names in SQL and in Python: the same are allowed, and they sort and fold alike everywhere."""

from collections.abc import Iterator
from typing import Any, LiteralString

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from psycopg import sql

from infra.local.postgres import Postgres
from shared.catalog.migrate import migrate
from shared.catalog.pin_pages import PinFilter
from shared.catalog.transaction import Catalog
from shared.catalog.version_pages import VersionFilter
from shared.domain.errors import InvalidValue
from shared.domain.model import Initiator
from shared.domain.values import (
    IMAGE_DIGEST,
    IMAGE_TAG,
    OPENCLAW_VERSION,
    USER_ID,
    VARIANT,
    TextRule,
    openclaw_order,
    tag_order,
)
from tests.support.openclaw_feed import VERSIONS
from tests.support.stores import CatalogStore, make_catalog

USERS = (
    "oauth/google:114000741928328149731", "o'brien@example.com", "_svc-kilo", "a/b/c", "x/pin",
    "A/B/C", "a/B/c", "a-b-c", "ab-c", "a-bc", "_a", "Ba", "aB",
)  # fmt: skip
BODIES = (
    "", "latest", "gpu-1", ".", "..", "a/../b", "a/.../b", "./a", "a/.b/c", "a//b", "2026.7.1",
    "2026.07.1-2", "2026.7.1-beta.3", "2026.13.1", "2026.0.1", "2026.7.0", "2026.7.99",
    "2026.7",
    f"sha256:{'0a' * 32}", f"sha256:{'0g' * 32}",
    *("u" * length for length in (62, 63, 64, 126, 127, 128, 253, 254, 255, 256)),
)  # fmt: skip
ADD: LiteralString = """
INSERT INTO kiloclaw_available_versions (image_tag, openclaw_version, published_at, notes)
SELECT tag, version, '2026-11-01Z', note
  FROM unnest(%(tags)s::text[], %(versions)s::text[], %(notes)s::text[])
       AS added (tag, version, note)
"""
TAGS = st.from_regex(r"\A[A-Za-z0-9_][A-Za-z0-9._-]{0,127}\Z").filter(lambda t: t != "latest")
"""Tags of every kind; few have long numbers, so some are drawn that have."""
NUMBERED = st.lists(
    st.one_of(st.sampled_from(["r", "R", "-", ".", "_", "0"]), st.integers(0, 10**20).map(str)),
    min_size=1,
    max_size=6,
).map(lambda parts: "t" + "".join(parts))
KINDS = st.sampled_from(["", "-", "-beta."])
RELEASES = st.builds(
    lambda year, month, number, kind, last: (
        f"{year:04}.{month}.{number}{kind}{last if kind else ''}"
    ),
    st.integers(0, 9999),
    st.integers(1, 12),
    st.integers(1, 99),
    KINDS,
    st.integers(0, 999),
)


@pytest.fixture(scope="module")
def connection(each_server: Postgres) -> Iterator[psycopg.Connection[Any]]:
    """A connection to an empty migrated database; nothing that a test does here may last."""
    store = make_catalog(each_server)
    with psycopg.connect(each_server.superuser(store.dbname), autocommit=True) as connection:
        yield connection


@pytest.fixture(params=["local", "linguistic"])
def somewhere(
    request: pytest.FixtureRequest, each_server: Postgres, debian_server: Postgres
) -> Iterator[Catalog]:
    """The catalog here, and in a database that sorts as dictionaries do, as RDS makes them.

    Only Debian's PostgreSQL has such a collation.
    """
    if request.param == "local":
        store = make_catalog(each_server)
    elif each_server is debian_server:
        store = _linguistic(debian_server)
    else:
        pytest.skip("asked of Debian's server alone")
    catalog = store.catalog()
    yield catalog
    catalog.database.close()


def _linguistic(server: Postgres) -> CatalogStore:
    store = CatalogStore(server, "linguistic")
    with psycopg.connect(server.superuser(), autocommit=True) as connection:
        connection.execute("DROP DATABASE IF EXISTS linguistic WITH (FORCE)")
        connection.execute(
            "CREATE DATABASE linguistic TEMPLATE template0 OWNER kiloclaw_owner"
            " LOCALE_PROVIDER icu ICU_LOCALE 'en-US'"
        )
    database = store.database("migrate")
    migrate(database)
    database.close()
    return store


def _taken(connection: psycopg.Connection[Any], rule: str, texts: list[str]) -> list[str]:
    """Which of the texts a check constraint lets pass, whichever column it is about."""
    [(definition,)] = connection.execute(
        "SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = %(rule)s",
        {"rule": rule},
    ).fetchall()
    column = rule.partition("_")[2].removesuffix("_check")
    query = sql.SQL(
        "SELECT {name} FROM unnest(%(texts)s::text[]) AS given ({name}) WHERE {check}"
    )
    check = sql.SQL(definition.removeprefix("CHECK ").replace("%", "%%"))
    rows = connection.execute(
        query.format(name=sql.Identifier(column), check=check), {"texts": texts}
    )
    return [text for (text,) in rows]


def _is_legal(rule: TextRule, text: str) -> bool:
    try:
        return rule.parse(text) == text
    except InvalidValue:
        return False


@pytest.mark.parametrize(
    ("rule", "name"),
    [
        (USER_ID, "pins_user_id_check"),
        (OPENCLAW_VERSION, "versions_openclaw_version_check"),
        (IMAGE_TAG, "versions_image_tag_check"),
        (IMAGE_DIGEST, "versions_image_digest_check"),
        (VARIANT, "versions_variant_check"),
    ],
)
def test_sql_and_python_take_the_same_texts(
    connection: psycopg.Connection[Any], rule: TextRule, name: str
) -> None:
    """A text that the rule accepts passes the column's check, and no other does."""
    characters = [chr(code) for code in range(1, 128)] + ["é", "\u0661", "\u212a", "\U0001f600"]
    texts = [
        shape.replace("#", one) for one in characters for shape in ("#", "#a", "a#b", "a#")
    ]
    edges = ("-", ".", "/", "0", "x", "\n", "é")
    texts += BODIES
    texts += [text for edge in edges for body in BODIES for text in (edge + body, body + edge)]
    texts += VERSIONS
    taken = _taken(connection, name, texts)
    assert taken == [text for text in texts if _is_legal(rule, text)]
    assert 0 < len(taken) < len(texts)


def test_the_catalog_takes_every_released_version(connection: psycopg.Connection[Any]) -> None:
    """Corrections and betas are accepted too, and sort in SQL as in Python."""
    assert len(VERSIONS) == 132
    assert all(_is_legal(OPENCLAW_VERSION, version) for version in VERSIONS)
    with connection.transaction(force_rollback=True):
        connection.execute(
            ADD, {"tags": VERSIONS, "versions": VERSIONS, "notes": [None] * len(VERSIONS)}
        )
        rows = connection.execute(
            "SELECT openclaw_version, openclaw_order FROM kiloclaw_available_versions"
            " ORDER BY openclaw_order"
        ).fetchall()
    assert [version for version, _ in rows] == sorted(VERSIONS, key=openclaw_order)
    assert [order for _, order in rows] == [openclaw_order(version) for version, _ in rows]


@settings(max_examples=30)
@given(st.lists(st.one_of(TAGS, NUMBERED), min_size=1, max_size=60, unique=True), st.data())
def test_sql_and_python_compute_the_same_order(
    connection: psycopg.Connection[Any], tags: list[str], data: st.DataObject
) -> None:
    """The order of any legal version and of any legal tag is the same."""
    versions = [data.draw(RELEASES) for _ in tags]
    with connection.transaction(force_rollback=True):
        connection.execute(
            ADD, {"tags": tags, "versions": versions, "notes": [None] * len(tags)}
        )
        rows = connection.execute(
            "SELECT image_tag, openclaw_version, openclaw_order, tag_order"
            "  FROM kiloclaw_available_versions ORDER BY openclaw_order, tag_order, image_tag"
        ).fetchall()
    expected = [(*row[:2], openclaw_order(row[1]), tag_order(row[0])) for row in rows]
    assert rows == expected
    assert rows == sorted(rows, key=lambda row: (row[2], row[3], row[0]))


def test_equal_versions_follow_by_publish_time_then_by_tag(somewhere: Catalog) -> None:
    """The second build of a version comes before the tenth."""
    tags = ["v-r10", "v-r9", "v-r2", "V-r3", "v_r1"]
    with somewhere.transaction() as tx:
        tx.connection.execute(
            ADD, {"tags": tags, "versions": ["2026.7.1"] * 5, "notes": [None] * 5}
        )
        tx.connection.execute(
            ADD.replace("2026-11-01Z", "2026-10-01Z"),
            {"tags": ["z-early"], "versions": ["2026.07.1"], "notes": [None]},
        )
        page = tx.versions.page(VersionFilter(), "openclaw_version", "asc", None, 10)
    assert [v.image_tag for v in page] == ["z-early", "V-r3", "v-r2", "v-r9", "v-r10", "v_r1"]


def test_names_sort_by_their_characters_everywhere(somewhere: Catalog) -> None:
    """Names sort as Python sorts them, whatever the database's collation."""
    tags = ["v-1", "V-1", "v1", "V.1", "_v1", "v_1", "10", "9"]
    with somewhere.transaction() as tx:
        tx.connection.execute(
            ADD, {"tags": tags, "versions": ["2026.7.1"] * 8, "notes": [None] * 8}
        )
        page = tx.versions.page(VersionFilter(), "image_tag", "asc", None, 100)
        for user in USERS:
            tx.pins.put(user, "v1", Initiator("eve"), None)
        pins = tx.pins.page(PinFilter(), None, 100)
    assert [version.image_tag for version in page] == sorted(tags)
    assert [pin.user_id for pin in pins] == sorted(USERS, reverse=True)


@pytest.mark.parametrize("q", ["ärger", "ÄRGER", "ПРИВЕТ", "σοφία", "łódź", "ßtraße", "ǆ"])
def test_a_search_folds_every_alphabet_everywhere(somewhere: Catalog, q: str) -> None:
    """Notes and reasons are found in any case, in every alphabet."""
    text = "Ärger: Привет, ΣΟΦΊΑ, ŁÓDŹ, ßTRAßE, Ǆ"
    with somewhere.transaction() as tx:
        tx.connection.execute(
            ADD,
            {"tags": ["one", "two"], "versions": ["2026.7.1"] * 2, "notes": [text, "other"]},
        )
        tx.pins.put("ana", "one", Initiator("eve", reason=text), None)
        tx.pins.put("bob", "one", Initiator("eve", reason="other"), None)
        versions = tx.versions.page(VersionFilter(q=q), "image_tag", "asc", None, 10)
        pins = tx.pins.page(PinFilter(q=q), None, 10)
    assert [version.image_tag for version in versions] == ["one"]
    assert [pin.user_id for pin in pins] == ["ana"]


@pytest.mark.parametrize("user", USERS)
def test_a_user_is_found_exactly(somewhere: Catalog, user: str) -> None:
    """A pin is found, listed and removed under exactly its user id."""
    with somewhere.transaction() as tx:
        tx.connection.execute(ADD, {"tags": ["one"], "versions": ["2026.7.1"], "notes": [None]})
        for one in USERS:
            tx.pins.put(one, "one", Initiator("eve", reason=f"for {one}"), None)
        pin = tx.pins.find(user)
        assert pin is not None
        assert (pin.user_id, pin.reason) == (user, f"for {user}")
        assert tx.pins.remove(user)
        left = {pin.user_id for pin in tx.pins.page(PinFilter(), None, 100)}
    assert left == set(USERS) - {user}
