"""How far a rebuild of the fleet's copy has come, as the text that its answer carries."""

import json
from base64 import b64decode, urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self, cast

from shared.domain.errors import InvalidValue
from shared.domain.values import UserId

SEGMENTS = 4
"""The table is read in so many parts at once."""

Key = tuple[str, str]
"""Partition key and sort key of an item."""


@dataclass(frozen=True, slots=True)
class FleetPosition:
    """Where a rebuild goes on.

    `unread` are the segments of the table that are not read to their end, with the last key
    read of each. Once there are none, the users behind `checked` are still to be checked.
    """

    unread: Mapping[int, Key | None]
    checked: UserId = ""

    @classmethod
    def start(cls) -> Self:
        return cls(dict.fromkeys(range(SEGMENTS)))

    def to_text(self) -> str:
        unread = {str(segment): key for segment, key in self.unread.items()}
        return urlsafe_b64encode(json.dumps([unread, self.checked]).encode()).decode()

    @classmethod
    def parse(cls, text: object) -> Self:
        """Read what `to_text` wrote. Raises InvalidValue."""
        try:
            content = b64decode(cast("str", text), altchars=b"-_", validate=True)
            unread, checked = json.loads(content)
            position = cls({int(one): _key(key) for one, key in unread.items()}, checked)
        except (ValueError, AttributeError, TypeError, RecursionError):
            raise InvalidValue("must be what a rebuild answered") from None
        if position.unread.keys() - range(SEGMENTS) or not isinstance(checked, str):
            raise InvalidValue("must be what a rebuild answered")
        return position


def _key(value: object) -> Key | None:
    match value:
        case None:
            return None
        case [str(partition), str(sort)]:
            return partition, sort
    raise ValueError
