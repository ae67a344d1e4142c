"""What the database itself refuses of versions: each rule is broken on purpose."""

from typing import Any, LiteralString

import psycopg
import pytest
from psycopg.sql import SQL

from tests.support.catalog_fixture import commit, refusal

A = f"sha256:{'a' * 64}"
ADD: LiteralString = (
    "INSERT INTO kiloclaw_available_versions"
    " (image_tag, openclaw_version, published_at, image_digest, variant, status, notes)"
    " VALUES (%(tag)s, %(version)s, %(published_at)s, %(digest)s, %(variant)s, %(status)s,"
    "         %(notes)s)"
)
PLAUSIBLE = {
    "tag": "new",
    "version": "2026.11.9",
    "published_at": "2000-01-01T00:00:00Z",
    "digest": None,
    "variant": "default",
    "status": "active",
    "notes": None,
}


def test_a_plausible_version_is_taken(sql: psycopg.Connection[Any]) -> None:
    """The refusals here are for what they break, not for how they are written."""
    commit(sql, ADD, **PLAUSIBLE)


@pytest.mark.parametrize(
    ("column", "value", "rule"),
    [
        ("tag", "one", "versions_image_tag_key"),
        ("tag", "gone", "versions_image_tag_key"),
        ("tag", "latest", "versions_image_tag_check"),
        ("tag", None, "NotNullViolation"),
        ("digest", A, "versions_image_digest_key"),
        ("digest", A.upper(), "versions_image_digest_check"),
        ("version", "2026.11", "versions_openclaw_version_check"),
        ("version", "2026.11.x", "InvalidTextRepresentation"),
        ("published_at", "1999-12-31T23:59:59.999999Z", "versions_published_at_check"),
        ("variant", "GPU", "versions_variant_check"),
        ("status", "retired", "versions_status_check"),
        ("notes", "n" * 2001, "versions_notes_check"),
    ],
)
def test_a_version_keeps_to_its_grammar(
    sql: psycopg.Connection[Any], column: str, value: str | None, rule: str
) -> None:
    """Tag and digest are unique, and every column has a rule that the database checks."""
    assert refusal(sql, ADD, **(PLAUSIBLE | {column: value})) == rule


@pytest.mark.parametrize(
    "change",
    [
        "image_tag = 'renamed' WHERE image_tag = 'other'",
        "variant = 'gpu' WHERE image_tag = 'off'",
        "published_at = published_at + interval '1 second' WHERE image_tag = 'two'",
        "image_digest = 'sha256:' || repeat('b', 64) WHERE image_tag = 'one'",
        "image_digest = NULL WHERE image_tag = 'one'",
        "retired_at = NULL WHERE image_tag = 'gone'",
        "retired_at = retired_at + interval '1 second' WHERE image_tag = 'gone'",
    ],
)
def test_what_is_written_once_stays(
    sql: psycopg.Connection[Any], change: LiteralString
) -> None:
    """Tag, variant, publish time, a known digest and a retirement never change."""
    update = SQL("UPDATE kiloclaw_available_versions SET {}").format(SQL(change))
    assert refusal(sql, update) == "versions_write_once"


@pytest.mark.parametrize(
    "change",
    [
        "image_digest = 'sha256:' || repeat('b', 64) WHERE image_tag = 'two'",
        "image_digest = 'sha256:' || repeat('a', 64) WHERE image_tag = 'one'",
        "openclaw_version = '2026.12.1' WHERE image_tag = 'one'",
        "status = 'deprecated', notes = 'old' WHERE image_tag = 'one'",
        "status = 'disabled', retired_at = now() WHERE image_tag = 'two'",
        "missing_since = now() WHERE image_tag = 'one'",
    ],
)
def test_what_may_change_does(sql: psycopg.Connection[Any], change: LiteralString) -> None:
    """An unknown digest becomes known, and the same value again is no change."""
    commit(sql, SQL("UPDATE kiloclaw_available_versions SET {}").format(SQL(change)))


def test_a_retired_version_is_disabled(sql: psycopg.Connection[Any]) -> None:
    """A version is neither retired while active nor active again afterwards."""
    retire: LiteralString = "UPDATE kiloclaw_available_versions SET retired_at = now()"
    enable: LiteralString = "UPDATE kiloclaw_available_versions SET status = 'active'"
    one: LiteralString = " WHERE image_tag = 'two'"
    gone: LiteralString = " WHERE image_tag = 'gone'"
    assert refusal(sql, retire + one) == "versions_retired_check"
    sql.rollback()
    assert refusal(sql, enable + gone) == "versions_retired_check"
