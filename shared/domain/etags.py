"""ETags name one state of a row. `If-Match` lets a change start from that state alone.

An ETag never returns, not even when a row is removed and made again: a row's id is part of it.
"""

import re
from dataclasses import dataclass
from hashlib import sha256
from typing import Self
from uuid import UUID

from shared.domain.errors import StaleRevision
from shared.domain.pointer import Pointer
from shared.domain.values import Variant

ENTITY_TAG = r'(W/)?"([^"]*)"'
LIST = rf"[\s,]*{ENTITY_TAG}(?:[\s]*,[\s,]*{ENTITY_TAG})*[\s,]*"
"""Compiled when first needed: an instance's start imports this module and never uses them."""


def row_etag(row_id: UUID, revision: int) -> str:
    """Name the state of a version or a pin."""
    return f"{row_id.hex}-{revision}"


def variant_etag(variant: Variant, mirror: Pointer) -> str:
    """Name the state of a variant.

    Its revision alone does not: a kill switch while the KV is down changes content and cause
    at the same revision.
    """
    return sha256(repr((variant, mirror)).encode()).hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class IfMatch:
    """The states from which a change may start: `If-Match` (RFC 9110, section 13.1.1).

    `header` is the header's text; None, if it was not sent, allows every state. `is_absent`
    allows one state alone: that there is no row.
    """

    header: str | None = None
    is_absent: bool = False

    @classmethod
    def exactly(cls, etag: str | None) -> Self:
        """Allow the one state of this ETag; None is no row."""
        return cls(is_absent=True) if etag is None else cls(f'"{etag}"')

    def check(self, etag: str | None) -> None:
        """Raises StaleRevision unless the row is in one of the states; None is no row."""
        if self.is_absent and etag is not None:
            raise StaleRevision("somebody has made it meanwhile")
        if self.header is None:
            return
        if etag is None:
            raise StaleRevision("there is nothing that could match If-Match")
        if self.header.strip() != "*" and etag not in self._strong_etags():
            raise StaleRevision("it has changed since: read it again")

    def _strong_etags(self) -> set[str]:
        """Weak ETags never match; neither does what is no list of ETags."""
        if self.header is None or not re.fullmatch(LIST, self.header):
            return set()
        return {text for weak, text in re.findall(ENTITY_TAG, self.header) if not weak}


UNCONDITIONAL = IfMatch()
