"""What is left of the domain beside its laws: refusals, hostile texts, variants."""

import pytest

from shared.domain.errors import InvalidRequest, Refused, VersionPinned
from shared.domain.model import Image, Instance
from shared.domain.pointer import Pointer, StoredPointer, parse_pointer
from shared.domain.resolution import variant_of
from shared.domain.values import escape_untrusted

PINNED = Image("p", None, "2026.11.1", "of-the-pin")
RECORD = Instance(
    "ana", "r", None, "2026.11.1", "of-the-record", "latest",
    is_pinned=False, resolved_at="", decided_at="",
)  # fmt: skip


@pytest.mark.parametrize(
    ("pinned", "requested", "record", "expected"),
    [
        (PINNED, "requested", RECORD, "of-the-pin"),
        (None, "requested", RECORD, "requested"),
        (None, None, RECORD, "of-the-record"),
        (None, None, None, "default"),
    ],
)
def test_whose_variant_counts(
    pinned: Image | None, requested: str | None, record: Instance | None, expected: str
) -> None:
    """The pin's variant counts, else the request's, else that of what runs."""
    assert variant_of(pinned, requested, record) == expected


def test_what_the_kv_does_not_have() -> None:
    """An item that is absent is no fault."""
    assert parse_pointer(None, Pointer(7, "v1")) == StoredPointer()
    assert (Pointer().revision, Pointer().tags) == (0, [])


@pytest.mark.parametrize(
    ("hostile", "text"),
    [
        ("v1", "v1"),
        ("a\n\x1b[31m\0", r"a\n\x1b[31m\x00"),
        ("é\ud800", r"\xe9\ud800"),
        (["v1"], "['v1']"),
        ("x" * 500, "x" * 128),
    ],
)
def test_hostile_texts_as_people_may_see_them(hostile: object, text: str) -> None:
    """A hostile text is shown as printable ASCII of at most 128 characters."""
    assert escape_untrusted(hostile) == text


def test_a_refusal_carries_facts() -> None:
    """The facts are kept by their names."""
    refusal = VersionPinned("3 users are pinned", pin_count=3)
    assert (str(refusal), refusal.facts) == ("3 users are pinned", {"pin_count": 3})


def test_an_invalid_request_lists_fields() -> None:
    """Every field is in the refusal's text and in its list of errors."""
    refusal = InvalidRequest(("a", "is required"), ("b", "is not known"))
    assert str(refusal) == "a: is required; b: is not known"
    assert refusal.facts["errors"] == [
        {"field": "a", "message": "is required"},
        {"field": "b", "message": "is not known"},
    ]


def test_codes_are_unique() -> None:
    """A client tells refusals apart by their codes."""
    codes = [kind.code for kind in Refused.__subclasses__()]
    assert len(codes) == len(set(codes))
