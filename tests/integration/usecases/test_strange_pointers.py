"""KV pointers as no API writes them: reported where wrong, never fatal, never trusted."""

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from shared.domain.errors import NoVersionAvailable
from shared.kv.table import connect
from tests.support.concurrent_actors import Sandbox
from tests.support.stores import Stores


class StrangePointers:
    """`default` has v1 and v2, `gpu` has g1; a sync and a start to see what comes of it."""

    def __init__(self, stores: Stores, client: Any) -> None:
        self.stores = stores
        for tag, variant in (("v1", "default"), ("v2", "default"), ("g1", "gpu")):
            stores.put_entry(tag, variant=variant)
        self._sync = Sandbox(stores, client, "sync")
        self._start = Sandbox(stores, client, "provisioning")
        self._admin = Sandbox(stores, client, "admin_api")
        self.disable = self._admin.disable
        self.sync = self._sync.sync

    def point(self, variant: str, **attributes: object) -> None:
        self.stores.put("POINTER", variant, **attributes)

    def pointer(self) -> dict[str, Any]:
        return self.stores.item("POINTER", "default") or {}

    def mirrors(self) -> list[tuple[Any, ...]]:
        return self.stores.sql(
            "SELECT variant, latest_tag, candidate_tag FROM kiloclaw_variants ORDER BY variant"
        )

    def served(self) -> str:
        return self._start.provision("ana").resolution.image.image_tag

    def close(self) -> None:
        for sandbox in (self._sync, self._start, self._admin):
            sandbox.database.close()


@pytest.fixture
def fleet(stores: Stores) -> Iterator[StrangePointers]:
    with closing(connect()) as client, closing(StrangePointers(stores, client)) as fleet:
        yield fleet


def test_a_latest_of_another_variant(fleet: StrangePointers) -> None:
    """With nothing to put back it is a finding, and the other variants go on."""
    fleet.point("default", revision=1, latest_tag="g1")
    fleet.point("gpu", revision=1, latest_tag="g1")
    report = fleet.sync()
    found = [(one.image_tag, one.code) for one in report.rejected]
    assert found == [("default", "invalid_pointer")]
    assert fleet.mirrors() == [("default", None, None), ("gpu", "g1", None)]
    with pytest.raises(NoVersionAvailable):
        fleet.served()


@pytest.mark.parametrize("foreign", ["g1", "g2"])
def test_the_own_latest_is_put_back(fleet: StrangePointers, foreign: str) -> None:
    """Users keep their own latest, whether or not the catalog knows the foreign version."""
    fleet.point("default", revision=1, latest_tag="v1")
    fleet.sync()
    fleet.stores.put_entry(foreign, variant="gpu")
    fleet.point("default", revision=2, latest_tag=foreign)
    assert fleet.served() == "v1"
    assert fleet.sync().pointers_copied == 1
    pointer = fleet.pointer()
    assert (pointer["revision"], pointer["latest_tag"]) == ({"N": "3"}, {"S": "v1"})
    assert fleet.served() == "v1"


def test_a_candidate_of_another_variant(fleet: StrangePointers) -> None:
    """It is served to nobody and taken out of both copies."""
    rollout = {"candidate_tag": "g1", "percent": 100, "salt": "s"}
    fleet.point("default", revision=1, latest_tag="v1", **rollout)
    assert fleet.served() == "v1"
    fleet.sync()
    assert "candidate_tag" not in fleet.pointer()
    assert fleet.mirrors() == [("default", "v1", None), ("gpu", None, None)]


def test_an_entry_that_changed_its_variant(fleet: StrangePointers) -> None:
    """The catalog's word on a version's variant stands; a pointer that relies on it is dead."""
    fleet.sync()
    fleet.stores.put_entry("g1", variant="default")
    fleet.point("default", revision=1, latest_tag="g1")
    found = {(one.image_tag, one.code) for one in fleet.sync().rejected}
    assert found == {("default", "invalid_pointer"), ("g1", "variant_changed")}
    assert fleet.mirrors()[0] == ("default", None, None)


def test_a_version_that_is_latest_and_candidate(fleet: StrangePointers) -> None:
    """Disabling it ends both; its replacement is served."""
    rollout = {"candidate_tag": "v1", "percent": 100, "salt": "s"}
    fleet.point("default", revision=1, latest_tag="v1", **rollout)
    fleet.sync()
    fleet.disable("v1", "v2")
    assert "candidate_tag" not in fleet.pointer()
    assert fleet.mirrors()[0] == ("default", "v2", None)
    assert fleet.served() == "v2"
