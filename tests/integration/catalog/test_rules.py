"""What the database itself refuses: each rule is broken on purpose."""

from typing import Any, LiteralString

import psycopg
import pytest
from psycopg import errors
from psycopg.sql import SQL

from tests.support.catalog_fixture import commit, refusal

FIND: LiteralString = (
    "INSERT INTO kiloclaw_sync_findings (image_tag, code, detail, first_seen, last_seen)"
    " VALUES ('one', 'missing', 'lost', now(), now())"
)
PIN: LiteralString = (
    "INSERT INTO kiloclaw_version_pins (user_id, image_tag, pinned_by, reason)"
    " VALUES (%(user)s, %(tag)s, 'eve', %(reason)s)"
)


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ("latest_tag = 'gone'", "variants_name_enabled_versions"),
        ("latest_tag = NULL", "variants_revision_check"),
        ("revision = 0", "variants_revision_check"),
        ("candidate_tag = 'two'", "variants_rollout_check"),
        ("candidate_tag = 'two', rollout_percent = 5", "variants_rollout_check"),
        ("rollout_percent = 5, rollout_salt = 's'", "variants_rollout_check"),
        (
            "candidate_tag = 'two', rollout_percent = 101, rollout_salt = 's'",
            "variants_rollout_check",
        ),
        (
            "candidate_tag = 'two', rollout_percent = -1, rollout_salt = 's'",
            "variants_rollout_check",
        ),
        (
            (
                "latest_tag = NULL, revision = 0,"
                " candidate_tag = 'two', rollout_percent = 5, rollout_salt = 's'"
            ),
            "variants_rollout_check",
        ),
        (
            "candidate_tag = 'off', rollout_percent = 5, rollout_salt = 's'",
            "variants_name_enabled_versions",
        ),
    ],
)
def test_a_pointer_names_enabled_versions_of_its_variant(
    sql: psycopg.Connection[Any], change: LiteralString, rule: str
) -> None:
    """A pointer names enabled versions of its variant, and a candidate only beside a latest."""
    update = SQL("UPDATE kiloclaw_variants SET {} WHERE variant = 'default'")
    assert refusal(sql, update.format(SQL(change))) == rule


@pytest.mark.parametrize("named", ["latest", "candidate"])
def test_a_version_that_a_pointer_names_is_not_disabled(
    sql: psycopg.Connection[Any], named: str
) -> None:
    """Neither a latest nor a candidate can be disabled."""
    commit(
        sql,
        "UPDATE kiloclaw_variants SET candidate_tag = 'two', rollout_percent = 5,"
        " rollout_salt = 's' WHERE variant = 'default'",
    )
    rule = refusal(
        sql,
        "UPDATE kiloclaw_available_versions SET status = 'disabled' WHERE image_tag = %(tag)s",
        tag={"latest": "one", "candidate": "two"}[named],
    )
    assert rule == "versions_disabled_are_not_named"


def test_pointer_and_status_may_change_in_either_order(sql: psycopg.Connection[Any]) -> None:
    """The rule holds at the commit, so either may change first."""
    sql.execute(
        "UPDATE kiloclaw_available_versions SET status = 'disabled' WHERE image_tag = 'one'"
    )
    commit(
        sql,
        "UPDATE kiloclaw_variants SET latest_tag = 'two', revision = 2"
        " WHERE variant = 'default'",
    )


def test_a_plausible_pin_is_taken(sql: psycopg.Connection[Any]) -> None:
    """The refusals here are for what they break, not for how they are written."""
    commit(sql, PIN, user="bob", tag="one", reason="r" * 500)


@pytest.mark.parametrize(
    ("user", "tag", "reason", "rule"),
    [
        ("ada", "one", None, "pins_user_id_key"),
        ("bob/..", "one", None, "pins_user_id_check"),
        ("bob", "one", "r" * 501, "pins_reason_check"),
    ],
)
def test_a_pin_is_one_of_a_user_to_a_version(
    sql: psycopg.Connection[Any], user: str, tag: str, reason: str | None, rule: str
) -> None:
    """A user has one pin, with a legal user id and a reason of bounded length."""
    assert refusal(sql, PIN, user=user, tag=tag, reason=reason) == rule


@pytest.mark.parametrize(
    ("statement", "rule"),
    [
        (
            "DELETE FROM kiloclaw_available_versions WHERE image_tag = 'one'",
            "variants_latest_fkey",
        ),
        (
            "DELETE FROM kiloclaw_available_versions WHERE image_tag = 'two'",
            "pins_image_tag_fkey",
        ),
        (
            "INSERT INTO kiloclaw_user_aliases (user_id) VALUES ('ada')",
            "user_aliases_user_id_key",
        ),
        ("INSERT INTO kiloclaw_variants (variant) VALUES ('GPU')", "variants_variant_check"),
        ("INSERT INTO kiloclaw_variants (variant) VALUES ('gpu')", "kiloclaw_variants_pkey"),
        (
            (
                "INSERT INTO kiloclaw_audit_log (actor, action, subject_kind, subject_id)"
                " VALUES ('eve', 'x', 'person', 'ada')"
            ),
            "audit_subject_kind_check",
        ),
        (
            (
                "INSERT INTO kiloclaw_sync_runs (started_at, outcome, counts, trigger)"
                " VALUES (now(), 'failed', '{}', 'api')"
            ),
            "sync_runs_outcome_check",
        ),
        (
            (
                "INSERT INTO kiloclaw_sync_runs (started_at, outcome, counts, trigger)"
                " VALUES (now(), 'ok', '{}', 'whim')"
            ),
            "sync_runs_trigger_check",
        ),
        (
            FIND,
            "sync_findings_open",
        ),
    ],
)
def test_every_other_rule_holds(
    sql: psycopg.Connection[Any], statement: LiteralString, rule: str
) -> None:
    """What is referred to cannot be deleted, and every other check holds."""
    assert refusal(sql, statement) == rule


def test_a_cause_may_be_found_again_once_it_was_resolved(sql: psycopg.Connection[Any]) -> None:
    """A cause has one open finding and any number of resolved ones."""
    for _ in range(3):
        sql.execute("UPDATE kiloclaw_sync_findings SET resolved_at = now()")
        sql.execute(FIND)
    with pytest.raises(errors.UniqueViolation):
        sql.execute(FIND)
