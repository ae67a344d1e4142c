"""An image entry that somebody else wrote."""

from datetime import UTC, datetime, timedelta

import pytest

from shared.domain.entries import Tombstone, check_published_at, parse_entry
from shared.domain.errors import InvalidValue
from shared.domain.model import ImageEntry
from shared.domain.values import rfc3339

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
DIGEST = f"sha256:{'0a' * 32}"
ITEM: dict[str, object] = {
    "image_tag": "v1",
    "openclaw_version": "2026.11.1",
    "variant": "gpu",
    "image_digest": DIGEST.upper(),
    "published_at": "2026-11-01T10:00:00+02:00",
}
ENTRY = ImageEntry("v1", "2026.11.1", "gpu", datetime(2026, 11, 1, 8, tzinfo=UTC), DIGEST)


def without(*names: str) -> dict[str, object]:
    return {name: value for name, value in ITEM.items() if name not in names}


def test_a_whole_entry() -> None:
    """The digest is kept in lower case, the time in UTC, and unknown attributes are ignored."""
    assert parse_entry("v1", ITEM | {"builder": 7, "pk": b"\0"}, NOW) == ENTRY


@pytest.mark.parametrize(
    "item",
    [without("variant", "image_digest"), ITEM | {"variant": None, "image_digest": None}],
)
def test_what_may_be_absent(item: dict[str, object]) -> None:
    """A missing variant is `default`, and a missing digest is not known yet."""
    entry = parse_entry("v1", item, NOW)
    assert isinstance(entry, ImageEntry)
    assert (entry.variant, entry.image_digest) == ("default", None)


@pytest.mark.parametrize("rest", [ITEM, {}, {"image_tag": "other", "published_at": 1}])
def test_a_tombstone(rest: dict[str, object]) -> None:
    """Nothing else of an entry counts once its version was retired."""
    for deleted_at in (rfc3339(NOW), "2026-11-24T12:59:00+01:00"):
        assert parse_entry("v1", {**rest, "deleted_at": deleted_at}, NOW) == Tombstone("v1")


@pytest.mark.parametrize(
    "deleted_at",
    [
        "whenever",
        "",
        "2026-11-24",
        "2026-11-24T12:00:00.000001Z",
        0,
        False,
        True,
        1764000000,
        [],
    ],
)
def test_no_tombstone(deleted_at: object) -> None:
    """Anything but a time that has passed buries nothing; it makes the entry invalid."""
    with pytest.raises(InvalidValue, match=r"^deleted_at must "):
        parse_entry("v1", ITEM | {"deleted_at": deleted_at}, NOW)


def test_a_null_is_no_tombstone() -> None:
    """An attribute that is null is as good as absent."""
    assert parse_entry("v1", ITEM | {"deleted_at": None}, NOW) == ENTRY


@pytest.mark.parametrize(
    ("key", "item", "fault"),
    [
        ("latest", ITEM | {"image_tag": "latest"}, "the sort key must not be `latest`"),
        ("a b", ITEM | {"deleted_at": "x"}, "the sort key must be an OCI image tag"),
        (1, ITEM, "the sort key must be a string"),
        ("v1", ITEM | {"image_tag": "v2"}, "^image_tag differs from the sort key$"),
        ("v1", without("image_tag"), "differs from the sort key"),
        ("v1", without("openclaw_version"), "openclaw_version must be a string"),
        (
            "v1",
            ITEM | {"openclaw_version": "2026.11"},
            "openclaw_version must be an OpenClaw version",
        ),
        ("v1", ITEM | {"variant": ""}, "variant must be a variant"),
        ("v1", ITEM | {"image_digest": ""}, "image_digest must be an OCI image digest"),
        ("v1", ITEM | {"image_digest": 0}, "image_digest must be a string"),
        ("v1", without("published_at"), "published_at must be an RFC 3339 time"),
        (
            "v1",
            ITEM | {"published_at": "2026-11-24T12:01:00.000001Z"},
            "published_at must not be more",
        ),
        (
            "v1",
            ITEM | {"published_at": "1999-12-31T23:59:59Z"},
            "published_at must not be before",
        ),
    ],
)
def test_a_malformed_entry(key: object, item: dict[str, object], fault: str) -> None:
    """The message names the attribute that is malformed."""
    with pytest.raises(InvalidValue, match=fault):
        parse_entry(key, item, NOW)


def test_clocks_may_differ() -> None:
    """A publish time may be ahead by a minute, to the microsecond."""
    latest = NOW + timedelta(seconds=60)
    assert check_published_at(latest, NOW) == latest
    with pytest.raises(InvalidValue):
        check_published_at(latest + timedelta(microseconds=1), NOW)


def test_nothing_was_published_before_2000() -> None:
    """A publish time before the year 2000 is refused."""
    earliest = datetime(2000, 1, 1, tzinfo=UTC)
    assert check_published_at(earliest, NOW) == earliest
    with pytest.raises(InvalidValue, match="must not be before the year 2000"):
        check_published_at(earliest - timedelta(microseconds=1), NOW)
