"""The mirrors of the pointers, and the history of latest."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from shared.catalog.transaction import Catalog
from shared.domain.errors import VariantNotFound
from shared.domain.model import ImageEntry, Initiator
from shared.domain.pointer import Pointer, Rollout
from tests.support.catalog_fixture import LIMITS, walk
from tests.support.stores import CatalogStore

AT = datetime(2026, 11, 1, tzinfo=UTC)
FULL = Pointer(7, "one", Rollout("two", 30, "salt"), "cause-1")


@pytest.fixture
def catalog(store: CatalogStore) -> Iterator[Catalog]:
    """Two versions of `default`, one of `gpu`."""
    catalog = store.catalog("admin_api")
    with catalog.transaction() as tx:
        for tag, variant in (("one", "default"), ("two", "default"), ("big", "gpu")):
            entry = ImageEntry(tag, "2026.11.1", variant, AT)
            assert tx.versions.insert(entry, "ci@example.com", None)
    yield catalog
    catalog.database.close()


def test_a_variant_without_a_latest_is_at_revision_0(catalog: Catalog) -> None:
    """Locking a variant makes its row if that is missing."""
    with catalog.transaction() as tx:
        assert tx.variants.lock("default") == Pointer()
        tx.variants.ensure("default")
        assert tx.variants.lock("default") == Pointer()
        assert tx.variants.all() == {"default": Pointer()}


@pytest.mark.parametrize(
    "pointer",
    [
        Pointer(1, "one"),
        Pointer(2**53 + 1, "two", cause="cause"),
        FULL,
        replace(FULL, rollout=Rollout("two", 0, "s")),
        replace(FULL, rollout=Rollout("one", 100, "~" * 64)),
    ],
)
def test_a_pointer_is_mirrored_whole(catalog: Catalog, pointer: Pointer) -> None:
    """The next transaction that locks the variant reads the whole pointer; others stay."""
    with catalog.transaction() as tx:
        tx.variants.lock("gpu")
        tx.variants.lock("default")
        tx.variants.save("default", pointer)
    with catalog.transaction() as tx:
        assert tx.variants.lock("default") == pointer
        assert tx.variants.get("default").pointer == pointer
        assert tx.variants.all() == {"default": pointer, "gpu": Pointer()}
        tx.variants.save("default", Pointer())
        assert tx.variants.lock("default") == Pointer()


def test_a_variant_exists_from_its_first_version_on(catalog: Catalog) -> None:
    """A row made only to be locked is no variant. Once all its versions are retired, a variant
    can be shown but is not listed.
    """
    with catalog.transaction() as tx:
        for variant in ("default", "gpu", "empty"):
            tx.variants.ensure(variant)
        with pytest.raises(VariantNotFound):
            tx.variants.get("empty")
        with pytest.raises(VariantNotFound):
            tx.variants.get("nothing")
        tx.versions.retire("big")
        assert tx.variants.get("gpu").variant == "gpu"
        assert [mirror.variant for mirror in tx.variants.page(None, 10)] == ["default"]


def test_pages_of_any_size_give_every_variant_once(catalog: Catalog) -> None:
    """Variants sort by name, and those without a version are left out."""
    names = [f"v{number}" for number in range(7)]
    with catalog.transaction() as tx:
        for name in names:
            tx.variants.ensure(f"{name}-empty")
            tx.variants.ensure(name)
            tx.versions.insert_found(ImageEntry(name, "2026.11.1", name, AT))
        for limit in LIMITS:
            listed = walk(tx.variants.page, lambda mirror: mirror.variant, limit)
            assert [mirror.variant for mirror in listed] == names


def test_promotions_are_listed_newest_first(catalog: Catalog) -> None:
    """A list has the promotions of the one variant, as many as are asked for."""
    with catalog.transaction() as tx:
        tx.variants.ensure("default")
        tx.variants.ensure("gpu")
        tx.variants.record_promotion("default", Pointer(1, "one"), None, Initiator("eve"))
        tx.variants.record_promotion("gpu", Pointer(1, "big"), None, Initiator("kv"))
        tx.variants.record_promotion(
            "default", Pointer(2, "two"), "one", Initiator("ada", reason="why")
        )
        [last, first] = tx.variants.promotions("default")
        assert tx.variants.promotions("default", 1) == [last]
        assert tx.variants.promotions("nothing") == []
    assert (last.revision, last.image_tag, last.previous_tag) == (2, "two", "one")
    assert (last.promoted_by, last.reason) == ("ada", "why")
    assert (first.revision, first.image_tag, first.previous_tag) == (1, "one", None)
