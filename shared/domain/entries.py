"""Reading an image entry that somebody else may have written: hostile until parsed."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from shared.domain.errors import InvalidValue
from shared.domain.model import ImageEntry
from shared.domain.values import (
    DEFAULT_VARIANT,
    IMAGE_DIGEST,
    IMAGE_TAG,
    OPENCLAW_VERSION,
    PUBLISHED_AHEAD_SECONDS,
    VARIANT,
    ImageTag,
    parse_moment,
)


@dataclass(frozen=True, slots=True)
class Tombstone:
    """The entry of a retired version: its tag and digest stay taken."""

    image_tag: ImageTag


def check_published_at(published_at: datetime, now: datetime) -> datetime:
    """A publish time may be ahead by what clocks differ, no more. Raises InvalidValue."""
    if published_at > now + timedelta(seconds=PUBLISHED_AHEAD_SECONDS):
        raise InvalidValue(f"publish time is more than {PUBLISHED_AHEAD_SECONDS} s ahead")
    return published_at


def parse_entry(
    key: object, item: Mapping[str, object], now: datetime
) -> ImageEntry | Tombstone:
    """Read the item stored under sort key `key`. Raises InvalidValue for a malformed one.

    A missing variant is `default`, a null digest an absent one; unknown attributes are ignored.
    """
    tag = IMAGE_TAG.parse(key)
    if item.get("deleted_at") is not None:
        return Tombstone(tag)
    if item.get("image_tag") != tag:
        raise InvalidValue("image tag differs from the sort key")
    digest = item.get("image_digest")
    variant = item.get("variant")
    published_at = parse_moment(item.get("published_at"), "publish time")
    return ImageEntry(
        image_tag=tag,
        openclaw_version=OPENCLAW_VERSION.parse(item.get("openclaw_version")),
        variant=DEFAULT_VARIANT if variant is None else VARIANT.parse(variant),
        published_at=check_published_at(published_at, now),
        image_digest=None if digest is None else IMAGE_DIGEST.parse(digest),
    )
