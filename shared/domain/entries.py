"""Read image entries. Others write them too, so they are hostile until parsed."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from shared.domain.errors import InvalidValue
from shared.domain.model import ImageEntry
from shared.domain.values import (
    DEFAULT_VARIANT,
    EARLIEST_PUBLISHED,
    IMAGE_DIGEST,
    IMAGE_TAG,
    OPENCLAW_VERSION,
    PUBLISHED_AHEAD_SECONDS,
    VARIANT,
    ImageDigest,
    ImageTag,
    Variant,
    parse_attribute,
    parse_moment,
)


@dataclass(frozen=True, slots=True)
class Tombstone:
    """The entry of a retired version: its tag and digest stay taken."""

    image_tag: ImageTag


class NotYetPublished(InvalidValue):
    """The publish time is still ahead. The entry becomes valid by itself."""


def check_published_at(published_at: datetime, now: datetime) -> datetime:
    """Refuse a time further ahead than clocks differ, or before 2000. Raises InvalidValue."""
    if published_at < EARLIEST_PUBLISHED:
        raise InvalidValue(f"must not be before the year {EARLIEST_PUBLISHED.year}")
    if published_at > now + timedelta(seconds=PUBLISHED_AHEAD_SECONDS):
        raise NotYetPublished(f"must not be more than {PUBLISHED_AHEAD_SECONDS} s ahead")
    return published_at


def parse_entry(
    key: object, item: Mapping[str, object], now: datetime
) -> ImageEntry | Tombstone:
    """Read the item stored under sort key `key`. Raises InvalidValue for a malformed one.

    A missing variant means `default`, a null digest none. Unknown attributes are ignored.
    `deleted_at` makes it a tombstone if it is a time that has passed.
    """
    tag = _parse_key(key)
    if item.get("deleted_at") is not None:
        parse_attribute(item, "deleted_at", lambda value: _parse_past(value, now))
        return Tombstone(tag)
    if item.get("image_tag") != tag:
        raise InvalidValue("image_tag differs from the sort key")
    return ImageEntry(
        image_tag=tag,
        openclaw_version=parse_attribute(item, "openclaw_version", OPENCLAW_VERSION.parse),
        variant=parse_attribute(item, "variant", _parse_variant),
        published_at=parse_attribute(
            item, "published_at", lambda value: check_published_at(parse_moment(value), now)
        ),
        image_digest=parse_attribute(item, "image_digest", _parse_digest),
    )


def _parse_key(key: object) -> ImageTag:
    try:
        return IMAGE_TAG.parse(key)
    except InvalidValue as error:
        raise InvalidValue(f"the sort key {error}") from None


def _parse_past(value: object, now: datetime) -> datetime:
    moment = parse_moment(value)
    if moment > now:
        raise InvalidValue("must not be in the future")
    return moment


def _parse_variant(value: object) -> Variant:
    return DEFAULT_VARIANT if value is None else VARIANT.parse(value)


def _parse_digest(value: object) -> ImageDigest | None:
    return None if value is None else IMAGE_DIGEST.parse(value)
