"""The list of versions: filters, orders, and pages that skip and repeat nothing."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, LiteralString, get_args

import pytest

from infra.local.postgres import Postgres
from shared.catalog.transaction import Transaction
from shared.catalog.version_pages import SORTED_BY, Order, Sort, VersionFilter
from shared.domain.model import Version
from shared.domain.values import openclaw_order, rfc3339, tag_order
from tests.support.catalog_fixture import LIMITS, sort_by_hand, walk
from tests.support.stores import make_catalog

EPOCH = datetime(2026, 11, 1, tzinfo=UTC)
CALVERS = ("2026.1.30-beta.10", "2026.1.30-beta.2", "2026.1.30", "2026.01.30", "2026.2.9-2")
STATUSES = ("active", "deprecated", "disabled")
ALL = VersionFilter()
ADD: LiteralString = """
INSERT INTO kiloclaw_available_versions
       (image_tag, openclaw_version, variant, status, notes, published_at, created_at,
        retired_at)
VALUES (%(tag)s, %(version)s, %(variant)s, %(status)s, %(notes)s, %(published)s, %(created)s,
        %(retired)s)
"""
KEYS: dict[Sort, Callable[[Version], Any]] = {
    "published_at": lambda version: version.published_at,
    "created_at": lambda version: version.created_at,
    "image_tag": lambda version: version.image_tag,
    "openclaw_version": lambda version: (
        openclaw_order(version.openclaw_version),
        version.published_at,
        tag_order(version.image_tag),
    ),
}


def _row(number: int) -> dict[str, object]:
    """Few times and CalVers for many rows, so that keys are often equal; some in one µs."""
    return {
        "tag": f"{'vV_'[number % 3]}{number:02}",
        "version": CALVERS[number % len(CALVERS)],
        "variant": ("default", "gpu")[number % 2],
        "status": STATUSES[number % 3],
        "notes": f"Build {number} at 50%_done" if number % 4 == 0 else None,
        "published": EPOCH + timedelta(microseconds=number // 4),
        "created": EPOCH + timedelta(days=number % 5),
        "retired": None,
    }


@pytest.fixture(scope="module")
def tx(each_server: Postgres) -> Iterator[Transaction]:
    """A transaction over thirty versions and a retired one."""
    store = make_catalog(each_server)
    for number in range(30):
        store.sql(ADD, **_row(number))
    store.sql(ADD, **(_row(30) | {"tag": "gone", "status": "disabled", "retired": EPOCH}))
    catalog = store.catalog()
    with catalog.transaction() as transaction:
        sort_by_hand(transaction.connection)
        yield transaction
    catalog.database.close()


def _place(version: Version, sort: Sort) -> tuple[str, ...]:
    fields = (getattr(version, name) for name in SORTED_BY[sort])
    return tuple(rfc3339(it) if isinstance(it, datetime) else it for it in fields)


def _tags(tx: Transaction, wanted: VersionFilter) -> list[str]:
    return [v.image_tag for v in tx.versions.page(wanted, "image_tag", "asc", None, 100)]


@pytest.mark.parametrize("limit", LIMITS)
@pytest.mark.parametrize("order", get_args(Order))
@pytest.mark.parametrize("sort", get_args(Sort))
def test_pages_of_any_size_give_every_row_once_in_order(
    tx: Transaction, sort: Sort, order: Order, limit: int
) -> None:
    """Rows with equal keys follow by tag, so that no page skips or repeats one."""
    page = partial(tx.versions.page, ALL, sort, order)
    walked = walk(page, lambda version: _place(version, sort), limit)
    expected = sorted(
        walked,
        key=lambda version: (KEYS[sort](version), version.image_tag),
        reverse=order == "desc",
    )
    assert walked == expected
    assert len({version.image_tag for version in walked}) == len(walked) == 30


def test_a_row_that_is_gone_does_not_move_its_page(tx: Transaction) -> None:
    """A cursor is a place in the order, whether or not its row is there."""
    before = tx.versions.page(ALL, "image_tag", "asc", None, 100)
    [place] = [index for index, row in enumerate(before) if row.image_tag == "_05"]
    after = tx.versions.page(ALL, "image_tag", "asc", ("_05x",), 100)
    assert after == before[place + 1 :]


@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize("variant", ["default", "gpu", None])
def test_filters_narrow_the_list_together(
    tx: Transaction, status: Any, variant: str | None
) -> None:
    """A status and a variant can be asked for alone or together."""
    wanted = VersionFilter(status, variant)
    everything = tx.versions.page(ALL, "image_tag", "asc", None, 100)
    expected = [
        version.image_tag
        for version in everything
        if version.status == status and variant in {None, version.variant}
    ]
    assert expected
    assert _tags(tx, wanted) == expected


@pytest.mark.parametrize(
    ("q", "expected"),
    [
        ("v07", ["V07"]),
        ("V07", ["V07"]),
        ("_0", ["_02", "_05", "_08"]),
        ("2.9-2", ["V04", "V19", "_14", "_29", "v09", "v24"]),
        ("BETA.2", ["V01", "V16", "_11", "_26", "v06", "v21"]),
        ("build 12 ", ["v12"]),
        ("BUILD 12 ", ["v12"]),
        ("0%_d", ["V04", "V16", "V28", "_08", "_20", "v00", "v12", "v24"]),
        ("%", ["V04", "V16", "V28", "_08", "_20", "v00", "v12", "v24"]),
        ("no such text", []),
        ("gone", []),
        ("'", []),
        ("\\", []),
    ],
)
def test_a_search_finds_part_of_a_tag_a_version_or_notes(
    tx: Transaction, q: str, expected: list[str]
) -> None:
    """A search ignores case, and `%` and `_` have no meaning in it."""
    assert _tags(tx, VersionFilter(q=q)) == expected


def test_an_empty_search_finds_everything(tx: Transaction) -> None:
    """An empty search also finds versions without notes."""
    assert len(_tags(tx, VersionFilter(q=""))) == 30


def test_a_page_says_what_the_mirror_says(tx: Transaction) -> None:
    """A version is its variant's latest or candidate, or neither."""
    with tx.connection.transaction(force_rollback=True):
        tx.connection.execute(
            "INSERT INTO kiloclaw_variants"
            " (variant, latest_tag, candidate_tag, rollout_percent, rollout_salt, revision)"
            " VALUES ('gpu', '_11', 'V07', 30, 'salt', 4)"
        )
        rows = tx.versions.page(VersionFilter(variant="gpu"), "image_tag", "asc", None, 100)
    said = {v.image_tag: (v.is_latest, v.rollout_percent) for v in rows}
    assert said.pop("_11") == (True, None)
    assert said.pop("V07") == (False, 30)
    assert set(said.values()) == {(False, None)}
