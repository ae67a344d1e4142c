"""The fleet's copy in the catalog: pages, shares and classes."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.catalog.fleet import InForce, InstanceFilter, InstanceSort, Share
from shared.catalog.transaction import Catalog
from shared.domain.model import Instance
from shared.domain.pointer import Rollout
from shared.domain.rollout import bucket
from tests.support.stores import CatalogStore

SALTS = st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=64)
USERS = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=255)


def instance(
    user: str, tag: str = "one", variant: str = "default", minute: int = 0
) -> Instance:
    moment = f"2026-11-01T00:{minute:02}:00.000000Z"
    return Instance(
        user, tag, None, "2026.11.1", variant, "latest", is_pinned=False,
        resolved_at=moment, decided_at=moment,
    )  # fmt: skip


@pytest.fixture
def catalog(store: CatalogStore) -> Catalog:
    return store.catalog("sync")


def test_the_bucket_is_the_same_in_sql_and_python(catalog: Catalog) -> None:
    """The bucket that a preview counts with is the one that a start is decided by."""
    with catalog.transaction() as tx:

        @settings(max_examples=300)
        @given(SALTS, USERS)
        def check(salt: str, user: str) -> None:
            query = "SELECT kiloclaw_bucket(%(salt)s, %(user)s)"
            row = tx.connection.execute(query, {"salt": salt, "user": user}).fetchone()
            assert row == (bucket(salt, user),)

        check()
    catalog.database.close()


@pytest.mark.parametrize("limit", [1, 2, 3, 100])
@pytest.mark.parametrize("sort", ["user_id", "resolved_at"])
@pytest.mark.parametrize(
    "wanted",
    [
        InstanceFilter(),
        InstanceFilter(image_tag="two"),
        InstanceFilter(variant="gpu"),
        InstanceFilter(source="pin"),
        InstanceFilter(q="USER-1"),
    ],
)
def test_pages_give_every_instance_once(
    catalog: Catalog, wanted: InstanceFilter, sort: InstanceSort, limit: int
) -> None:
    """Pages of any size, by either order, repeat and omit nobody."""
    everybody = [
        instance(f"user-{number}", "two" if number % 3 else "one", minute=number % 4)
        for number in range(12)
    ]
    everybody.append(instance("gpu-user", "big", "gpu", minute=2))
    with catalog.transaction() as tx:
        tx.fleet.upsert(everybody)
        expected = [
            one
            for one in everybody
            if wanted.image_tag in {None, one.image_tag}
            and wanted.variant in {None, one.variant}
            and wanted.source in {None, one.source}
            and (wanted.q or "").lower() in one.user_id
        ]
        if sort == "user_id":
            expected.sort(key=lambda one: one.user_id)
        else:
            expected.sort(key=lambda one: (one.resolved_at, one.user_id), reverse=True)
        walked: list[Instance] = []
        after = None
        while page := tx.fleet.page(wanted, sort, after, limit):
            walked += page
            last = page[-1]
            after = (last.resolved_at, last.user_id)
        assert walked == expected
    catalog.database.close()


def test_shares_of_some_tags(store: CatalogStore) -> None:
    """Each tag that is asked for has its instances and its pins that hold, perhaps none."""
    catalog = store.catalog("fleet")
    with catalog.transaction() as tx:
        tx.fleet.upsert(
            instance(f"user-{n}", tag) for n, tag in enumerate(["one", "one", "two"])
        )
    catalog.database.close()
    store.sql(
        "INSERT INTO kiloclaw_available_versions (image_tag, openclaw_version, published_at)"
        " SELECT unnest(ARRAY['two', 'three']), '2026.11.1', now()"
    )
    store.sql(
        "INSERT INTO kiloclaw_version_pins (user_id, image_tag, pinned_by, expires_at)"
        " VALUES ('ana', 'two', 'eve', NULL), ('bob', 'two', 'eve', now() - interval '1 day'),"
        "        ('cy', 'three', 'eve', NULL)"
    )
    catalog = store.catalog()
    with catalog.transaction() as tx:
        assert tx.fleet.shares(["one", "two", "four"]) == {
            "one": Share("one", 2, 0), "two": Share("two", 1, 1), "four": Share("four", 0, 0)
        }  # fmt: skip
        assert tx.fleet.shares([]) == {}
    catalog.database.close()


def test_classes_tell_users_apart_by_what_decides(store: CatalogStore) -> None:
    """Users of one class share variant, running tag, pin and rollout; counts add up.

    The bucket does not matter for a pin that applies.
    """
    catalog = store.catalog("admin_api")
    store.sql(
        "INSERT INTO kiloclaw_available_versions"
        " (image_tag, openclaw_version, variant, published_at)"
        " VALUES ('one', '2026.11.1', 'default', now()), ('big', '2026.11.1', 'gpu', now())"
    )
    sync = store.catalog("sync")
    with sync.transaction() as tx:
        tx.fleet.upsert([instance(f"user-{number}") for number in range(200)])
    store.sql(
        "INSERT INTO kiloclaw_version_pins (user_id, image_tag, pinned_by, expires_at)"
        " VALUES ('user-1', 'one', 'eve', NULL), ('user-2', 'big', 'eve', NULL),"
        "        ('user-3', 'big', 'eve', now() - interval '1 s')"
    )
    rollout = Rollout("two", 30, "salt")
    in_force = [InForce("default", None, rollout), InForce("gpu", None, None)]
    with catalog.transaction() as tx:
        classes = tx.fleet.classes(in_force)
        assert sum(one.users for one in classes) == 200
        below = {one.user_id for one in classes if one.after}
        assert all(bucket("salt", user) < 3000 for user in below)
        inside = [f"user-{number}" for number in range(200)]
        default = [user for user in inside if user not in {"user-1", "user-2"}]
        expected = sum(bucket("salt", user) < 3000 for user in default)
        assert sum(one.users for one in classes if one.after) == expected
        keys = {(one.variant, one.pin_tag, one.pin_expired) for one in classes}
        assert keys == {
            ("default", None, False),
            ("default", "one", False),
            ("gpu", "big", False),
            ("default", "big", True),
        }
        [gpu] = [one for one in classes if one.variant == "gpu"]
        assert tx.fleet.users_of(in_force, [gpu], None, 20) == ["user-2"]
        assert tx.fleet.users_of(in_force, [], None, 20) == []
        many = tx.fleet.users_of(in_force, [one for one in classes if one.after], None, 1000)
        assert many == sorted(user for user in default if bucket("salt", user) < 3000)
        either = tx.fleet.classes(in_force, by_bucket=False)
        assert sum(one.users for one in either) == 200
        assert not any(one.before or one.after for one in either)
    for one in (catalog, sync):
        one.database.close()
