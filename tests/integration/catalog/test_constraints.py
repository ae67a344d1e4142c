"""A broken constraint is told in the domain's words."""

from collections.abc import Iterator
from typing import LiteralString

import pytest
from psycopg import errors

from shared.catalog.constraints import REFUSALS
from shared.catalog.transaction import Catalog
from shared.domain.errors import Refused
from tests.support.stores import CatalogStore

BROKEN: dict[str, LiteralString] = {
    "versions_image_digest_key": (
        "UPDATE kiloclaw_available_versions SET image_digest = 'sha256:' || repeat('a', 64)"
        " WHERE image_tag = 'two'"
    ),
    "versions_disabled_are_not_named": (
        "UPDATE kiloclaw_available_versions SET status = 'disabled' WHERE image_tag = 'one'"
    ),
    "variants_name_enabled_versions": (
        "UPDATE kiloclaw_variants SET latest_tag = 'off' WHERE variant = 'default'"
    ),
    "variants_latest_fkey": (
        "UPDATE kiloclaw_variants SET latest_tag = 'other' WHERE variant = 'default'"
    ),
    "variants_candidate_fkey": (
        "UPDATE kiloclaw_variants"
        "   SET candidate_tag = 'other', rollout_percent = 5, rollout_salt = 's'"
        " WHERE variant = 'default'"
    ),
    "pins_image_tag_fkey": (
        "INSERT INTO kiloclaw_version_pins (user_id, image_tag, pinned_by)"
        " VALUES ('bob', 'nothing', 'eve')"
    ),
}


@pytest.fixture
def catalog(filled: CatalogStore) -> Iterator[Catalog]:
    """The catalog with rows in every table."""
    catalog = filled.catalog()
    yield catalog
    catalog.database.close()


def test_every_constraint_that_has_an_error_exists_and_is_broken_here(
    filled: CatalogStore,
) -> None:
    """A renamed constraint does not silently lose its error."""
    names = filled.sql(
        "SELECT conname FROM pg_constraint UNION SELECT tgname FROM pg_trigger"
        " UNION SELECT relname FROM pg_class WHERE relkind = 'i'"
    )
    assert set(REFUSALS) == set(BROKEN) <= {name for (name,) in names}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_constraint_is_a_refusal_of_the_domain(catalog: Catalog, name: str) -> None:
    """The refusal comes at the statement or at the commit, and nothing is written."""
    kind, detail = REFUSALS[name]
    with pytest.raises(Refused) as refused, catalog.transaction() as tx:
        tx.connection.execute(BROKEN[name])
    assert (type(refused.value), refused.value.detail) == (kind, detail)


def test_a_constraint_that_no_caller_can_break_is_a_fault(catalog: Catalog) -> None:
    """It surfaces as what it is, so that it is logged and alarms."""
    with pytest.raises(errors.CheckViolation), catalog.transaction() as tx:
        tx.connection.execute("UPDATE kiloclaw_variants SET revision = -1, latest_tag = NULL")
