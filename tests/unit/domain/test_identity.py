"""The write-once rules: a variant, a digest and its one tag never change once known."""

from dataclasses import dataclass
from itertools import product

import pytest

from shared.domain.errors import DigestChanged, DigestInUse, VariantChanged
from shared.domain.identity import find_conflict, tag_retired


@dataclass(frozen=True)
class TagFacts:
    """What is known of the tag `v2`, or wanted."""

    image_digest: str | None = None
    variant: str | None = None
    image_tag: str = "v2"


@pytest.mark.parametrize(
    ("digest", "variant", "owner"), [*product((None, "d"), (None, "gpu"), (None, "v2"))]
)
def test_what_is_equal_or_not_said_is_no_conflict(
    digest: str | None, variant: str | None, owner: str | None
) -> None:
    """The same fact again, and one that is omitted, change nothing."""
    assert find_conflict(TagFacts(digest, variant), TagFacts("d", "gpu"), owner) is None


def test_an_unknown_fact_may_become_known() -> None:
    """A new tag has no facts yet, and a digest may follow its tag."""
    assert find_conflict(TagFacts("d", "gpu"), None, None) is None
    assert find_conflict(TagFacts("d", "gpu"), TagFacts(None, "gpu"), None) is None


def test_a_known_fact_never_changes() -> None:
    """The refusal says what is stored; the variant is looked at first."""
    stored = TagFacts("old", "gpu")
    variant = find_conflict(TagFacts("new", "cpu"), stored, "v1")
    digest = find_conflict(TagFacts("new", "gpu"), stored, "v1")
    assert isinstance(variant, VariantChanged)
    assert variant.detail == "the variant of this tag is gpu and stays so"
    assert isinstance(digest, DigestChanged)
    assert digest.detail == "the digest of this tag is old and stays so"
    assert digest.facts == {"image_digest": "old"}


def test_a_digest_in_use_names_its_owner() -> None:
    """The owner's name is somebody else's text, so it is escaped."""
    for stored in (None, TagFacts("d")):
        conflict = find_conflict(TagFacts("d"), stored, "v\n1")
        assert isinstance(conflict, DigestInUse)
        assert conflict.detail == r"the digest belongs to v\n1"
        assert conflict.facts == {"owner": r"v\n1"}


def test_a_retired_tag_stays_taken() -> None:
    """The refusal says so."""
    assert tag_retired().detail == "this tag was retired and stays taken"
