"""What provisioning reads in its one statement, with its own rights; and the overview."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import LiteralString

import pytest

from infra.local.postgres import Postgres
from shared.catalog.connection import Database
from shared.catalog.facts import images_within, read_facts, read_images
from shared.catalog.statistics import Statistics, read_statistics
from shared.domain.model import Image
from shared.domain.pointer import Pointer, Rollout
from shared.domain.resolution import PinFact
from tests.support.concurrent_actors import digest
from tests.support.stores import CatalogStore, make_catalog

FLEET: LiteralString = """
INSERT INTO kiloclaw_available_versions
       (image_tag, image_digest, openclaw_version, variant, status, published_at, retired_at)
VALUES ('old', NULL, '2026.10.1', 'default', 'deprecated', now(), NULL),
       ('new', %(digest)s, '2026.11.1', 'default', 'active', now(), NULL),
       ('next', NULL, '2026.12.1', 'default', 'active', now(), NULL),
       ('bad', NULL, '2026.9.1', 'default', 'disabled', now(), NULL),
       ('gone', NULL, '2026.8.1', 'lite', 'disabled', now(), now()),
       ('big', NULL, '2026.11.1', 'gpu', 'active', now(), NULL)
"""
POINTERS: LiteralString = """
INSERT INTO kiloclaw_variants
       (variant, latest_tag, candidate_tag, rollout_percent, rollout_salt, revision)
VALUES ('default', 'new', 'next', 30, 'salt', 7), ('gpu', 'big', NULL, NULL, NULL, 2),
       ('lite', NULL, NULL, NULL, NULL, 0)
"""
PINS: LiteralString = """
INSERT INTO kiloclaw_version_pins (user_id, image_tag, pinned_by, expires_at)
VALUES ('ada', 'old', 'eve', NULL), ('bob', 'bad', 'eve', NULL),
       ('big|carol', 'big', 'eve', now() + interval '7 days'),
       ('dave', 'bad', 'eve', now() - interval '1 day'),
       ('erin', 'new', 'eve', now()), ('frank', 'bad', 'eve', now() + interval '6 days'),
       ('grace', 'new', 'eve', now() + interval '8 days')
"""
OLD = Image("old", None, "2026.10.1", "default", "deprecated")
NEW = Image("new", digest("new"), "2026.11.1", "default", "active")
NEXT = Image("next", None, "2026.12.1", "default", "active")
BAD = Image("bad", None, "2026.9.1", "default", "disabled")
GONE = Image("gone", None, "2026.8.1", "lite", "disabled")
BIG = Image("big", None, "2026.11.1", "gpu", "active")
DEFAULT = Pointer(7, "new", Rollout("next", 30, "salt"))
ROLLED = {"new": NEW, "next": NEXT}


@pytest.fixture(scope="module")
def fleet(each_server: Postgres) -> CatalogStore:
    """Six versions, three variants, seven pins."""
    store = make_catalog(each_server)
    store.sql(FLEET, digest=digest("new"))
    store.sql(POINTERS)
    store.sql(PINS)
    return store


@pytest.fixture
def provisioning(fleet: CatalogStore) -> Iterator[Database]:
    """As `provisioning` has it, with its rights."""
    database = fleet.database("provisioning")
    yield database
    database.close()


@pytest.mark.parametrize(
    ("user_id", "variant", "pinned", "mirror", "images"),
    [
        ("nobody", "default", None, DEFAULT, ROLLED),
        ("nobody", "gpu", None, Pointer(2, "big"), {"big": BIG}),
        ("nobody", "lite", None, Pointer(), {}),
        ("nobody", "unknown", None, Pointer(), {}),
        ("ada", "default", OLD, DEFAULT, ROLLED | {"old": OLD}),
        ("ada", "gpu", OLD, DEFAULT, ROLLED | {"old": OLD}),
        ("bob", "default", BAD, DEFAULT, ROLLED | {"bad": BAD}),
        ("big|carol", "default", BIG, Pointer(2, "big"), {"big": BIG}),
        ("ADA", "default", None, DEFAULT, ROLLED),
    ],
)
def test_one_statement_tells_all_of_a_user(
    provisioning: Database,
    user_id: str,
    variant: str,
    pinned: Image | None,
    mirror: Pointer,
    images: dict[str, Image],
) -> None:
    """It reads the pin with its version, and the mirror of the pin's or the asked variant."""
    facts = read_facts(provisioning, user_id, variant)

    assert (facts.pin and facts.pin.image_tag) == (pinned and pinned.image_tag)
    assert facts.mirror == mirror
    assert facts.images == images


def test_a_pin_comes_with_its_expiry_and_the_time_to_compare(
    provisioning: Database, fleet: CatalogStore
) -> None:
    """Both times are the database's, and `now` is the statement's."""
    [(expires_at,)] = fleet.sql(
        "SELECT expires_at FROM kiloclaw_version_pins WHERE user_id = 'dave'"
    )
    facts = read_facts(provisioning, "dave", "default")
    assert facts.pin == PinFact("bad", expires_at)
    assert abs(facts.now - datetime.now(UTC)) < timedelta(minutes=1)
    assert read_facts(provisioning, "dave", "default").now > facts.now


def test_images_are_told_of_known_tags_alone(
    provisioning: Database, fleet: CatalogStore
) -> None:
    """A retired version is disabled; the result is the same within a transaction."""
    tags = ["new", "gone", "unknown"]
    assert read_images(provisioning, tags) == {"new": NEW, "gone": GONE}
    assert read_images(provisioning, []) == {}
    with provisioning.transaction() as connection:
        assert images_within(connection, tags) == {"new": NEW, "gone": GONE}


def test_the_overview_counts_what_is_there(fleet: CatalogStore) -> None:
    """A retired version does not count, and a pin both expired and suspended is expired."""
    database = fleet.database("admin_api")
    with database.transaction() as connection:
        assert read_statistics(connection) == Statistics(
            versions_total=5,
            versions_active=3,
            versions_deprecated=1,
            versions_disabled=1,
            variants=2,
            pins_total=7,
            pins_suspended=2,
            pins_expired=2,
            pins_expiring_soon=2,
            pins_stale=1,
        )
    database.close()


def test_the_overview_of_nothing_is_all_noughts(store: CatalogStore) -> None:
    """An empty catalog has counts too, and all are zero."""
    database = store.database("admin_api")
    with database.transaction() as connection:
        assert read_statistics(connection) == Statistics(*[0] * 10)
    database.close()
