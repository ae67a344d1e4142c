"""The write-once rules: a tag's variant and digest, and a digest's tag, never change."""

from typing import Protocol

from shared.domain.errors import DigestChanged, DigestInUse, TagRetired, VariantChanged
from shared.domain.values import ImageDigest, ImageTag, Variant, escape_untrusted


class Identified(Protocol):
    """A tag with its write-once facts. None: not known yet, or not given."""

    @property
    def image_tag(self) -> ImageTag: ...
    @property
    def image_digest(self) -> ImageDigest | None: ...
    @property
    def variant(self) -> Variant | None: ...


def find_conflict(
    wanted: Identified, stored: Identified | None, owner: ImageTag | None
) -> VariantChanged | DigestChanged | DigestInUse | None:
    """Return how `wanted` contradicts what is stored under its tag, or None if it does not.

    `owner` is the tag that already has the digest, if there is one. A fact that is unknown may
    become known; a known one never changes.
    """
    if stored is not None and wanted.variant not in {None, stored.variant}:
        return VariantChanged(f"the variant of this tag is {stored.variant} and stays so")
    if _changes_digest(wanted, stored):
        digest = stored.image_digest if stored else None
        return DigestChanged(
            f"the digest of this tag is {digest} and stays so", image_digest=digest
        )
    if owner not in {None, wanted.image_tag}:
        shown = escape_untrusted(owner)
        return DigestInUse(f"the digest belongs to {shown}", owner=shown)
    return None


def _changes_digest(wanted: Identified, stored: Identified | None) -> bool:
    if stored is None or wanted.image_digest is None:
        return False
    return stored.image_digest not in {None, wanted.image_digest}


def tag_retired() -> TagRetired:
    """The refusal to publish a tag that was retired."""
    return TagRetired("this tag was retired and stays taken")
