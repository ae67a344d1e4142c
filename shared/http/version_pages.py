"""Pages of versions: where one starts in each order, and the key of its last row."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from shared.catalog.version_pages import SORTED_BY, Sort
from shared.domain.model import Version
from shared.domain.values import IMAGE_TAG, OPENCLAW_VERSION, rfc3339
from shared.http import cursors, pages
from shared.http.pages import PageQuery

KEYS: Mapping[str, cursors.Parse] = {
    "published_at": cursors.moment,
    "created_at": cursors.moment,
    "image_tag": IMAGE_TAG.parse,
    "openclaw_version": OPENCLAW_VERSION.parse,
}


def start(query: PageQuery, sort: Sort) -> Any:
    """The key to start after; None for the first page. Raises InvalidRequest."""
    return pages.start(query, *(KEYS[name] for name in SORTED_BY[sort]))


def key(version: Version, sort: Sort) -> tuple[str, ...]:
    """The texts that place a version in a list."""
    fields = (getattr(version, name) for name in SORTED_BY[sort])
    return tuple(rfc3339(it) if isinstance(it, datetime) else it for it in fields)
