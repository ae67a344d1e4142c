"""Properties of the pointer: how it moves, and which items are read as one."""

from collections.abc import Mapping
from itertools import product
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.domain import pointer

TAGS = ("a", "b", "c")
SALTS = ("s", "x" * 64)
MIRRORED = 5
BRAKES = st.none() | st.tuples(st.sampled_from([1, 1_000_000]), st.sampled_from([1, 100]))
ROLLOUTS = st.none() | st.tuples(
    st.sampled_from(TAGS),
    st.sampled_from([0, 1, 100]),
    st.sampled_from(SALTS),
    st.booleans(),
    BRAKES,
)
POINTERS = st.tuples(
    st.sampled_from([1, MIRRORED, MIRRORED + 1_000_000]),
    st.sampled_from(TAGS),
    ROLLOUTS,
    st.sampled_from([None, "request-1"]),
)
HOSTILE: list[object] = [
    None, True, False, 0, -1, 1.0, 101, MIRRORED + 1_000_001, 10**30, "", "5", "latest", "a\n",
    "é", "\ud800", "x" * 65, "x" * 129, b"a", [], {}, ["a"],
]  # fmt: skip
ROLLOUT = ("candidate_tag", "percent", "salt", "held", "brake_min_failures", "brake_percent")
ATTRIBUTES = ("revision", "latest_tag", "cause", *ROLLOUT)


def make(parts: tuple[Any, ...]) -> Any:
    revision, latest, rollout, cause = parts
    if rollout is not None:
        tag, percent, salt, held, brake = rollout
        brake = brake and pointer.Brake(*brake)
        rollout = pointer.Rollout(tag, percent, salt, held, brake)
    return pointer.Pointer(revision, latest, rollout, cause)


def as_item(parts: tuple[Any, ...]) -> dict[str, object]:
    revision, latest, rollout, cause = parts
    item = {"revision": revision, "latest_tag": latest, "cause": cause}
    if rollout is None:
        return item
    *plain, brake = rollout
    return item | dict(zip(ROLLOUT, (*plain, *(brake or (None, None))), strict=True))


def names_are_those_of_the_content(before: Any) -> None:
    """Latest, then candidate."""
    rollout = before.rollout
    assert before.tags == [before.latest_tag] + ([rollout.candidate_tag] if rollout else [])


def a_promoted_version_is_latest(before: Any, tag: str) -> None:
    """And is rolled out no longer; another's rollout goes on; the revision is the caller's."""
    after = before.promote(tag)
    ends = before.rollout is not None and before.rollout.candidate_tag == tag
    assert after.latest_tag == tag
    assert after.rollout == (None if ends else before.rollout)
    assert (after.revision, after.cause) == (before.revision, before.cause)
    assert after.at(7) == after.__class__(7, after.latest_tag, after.rollout, after.cause)


def a_dropped_version_is_named_no_longer(before: Any, tag: str, replacement: str) -> None:
    """Only what named it changes: its rollout ends, its place as latest is the other's."""
    if tag == replacement:
        return
    after = before.without(tag, replacement)
    assert tag not in after.tags
    assert after.latest_tag == (replacement if before.latest_tag == tag else before.latest_tag)
    if tag not in before.tags:
        assert after == before
    served = {tag, replacement} if before.latest_tag == tag else {tag}
    ends = before.rollout is not None and before.rollout.candidate_tag in served
    assert after.rollout == (None if ends else before.rollout)


def an_item_is_read_as_it_was_written(drawn: tuple[Any, ...]) -> None:
    """With the token on which the next write is conditional."""
    token = {"revision": {"N": "1"}}
    mirror = pointer.Pointer(MIRRORED, "m")
    found = pointer.parse_pointer(as_item(drawn), mirror, token)
    assert found == pointer.StoredPointer(make(drawn), None, drawn[0], token)


def is_tag(value: object) -> bool:
    return value in (*TAGS, "5", "x" * 65)


def is_whole(value: object, least: int, most: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


def is_rollout(item: Mapping[str, object]) -> bool:
    salt = item.get("salt")
    is_salt = isinstance(salt, str) and salt in {*SALTS, "5", "latest"}
    is_percent = is_whole(item.get("percent"), 0, 100)
    is_flag = item.get("held") is None or isinstance(item["held"], bool)
    return (
        is_tag(item["candidate_tag"]) and is_percent and is_salt and is_flag and is_brake(item)
    )


def is_brake(item: Mapping[str, object]) -> bool:
    failures, percent = item.get("brake_min_failures"), item.get("brake_percent")
    if failures is None and percent is None:
        return True
    return is_whole(failures, 1, 1_000_000) and is_whole(percent, 1, 100)


def only_what_is_legal_is_believed(item: dict[str, object]) -> None:
    """Nothing raises: there is a pointer or a fault, and a revision if that is legal."""
    found = pointer.parse_pointer(item, pointer.Pointer(MIRRORED, "m"))
    legal = is_whole(item["revision"], 1, MIRRORED + 1_000_000)
    right = legal and is_tag(item["latest_tag"])
    right = right and (item.get("candidate_tag") is None or is_rollout(item))
    assert (found.pointer is not None, found.fault is None) == (right, right)
    assert found.revision == (item["revision"] if legal else 0)
    cause = item["cause"]
    if found.pointer is not None:
        storable = isinstance(cause, str) and cause.isascii() and cause.isprintable() and cause
        assert found.pointer.cause == (cause if storable else None)


def a_true_copy_has_revision_and_content(one: Any, other: Any) -> None:
    """Who wrote it is no matter; what is malformed is a copy of nothing."""
    same = (one.revision, one.latest_tag, one.rollout) == (
        other.revision,
        other.latest_tag,
        other.rollout,
    )
    assert pointer.StoredPointer(one, revision=one.revision).matches(other) == same
    assert not pointer.StoredPointer(one, fault="damage").matches(one)
    assert not pointer.StoredPointer().matches(one)
    assert pointer.StoredPointer().matches(pointer.Pointer())


@settings(max_examples=60)
@given(POINTERS, POINTERS)
def test_pointer_properties(one: tuple[Any, ...], other: tuple[Any, ...]) -> None:
    """A pointer moves as it says, and only a legal item is read as a pointer."""
    before = make(one)
    names_are_those_of_the_content(before)
    for tag, replacement in product(TAGS, TAGS):
        a_promoted_version_is_latest(before, tag)
        a_dropped_version_is_named_no_longer(before, tag, replacement)
    an_item_is_read_as_it_was_written(one)
    for name, value in product(ATTRIBUTES, HOSTILE):
        only_what_is_legal_is_believed(as_item(one) | {name: value})
    a_true_copy_has_revision_and_content(before, make(other))


TOKEN = {"revision": {"N": "7"}}
WHOLE: dict[str, object] = {
    "revision": 7, "latest_tag": "a", "candidate_tag": "b", "percent": 5, "salt": "s",
    "moved_by": "eve",
}  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "revision", "fault"),
    [
        (
            {"revision": 0},
            0,
            "revision must be an integer from 1, at most 1,000,000 above the catalog's",
        ),
        ({"latest_tag": None}, 7, "latest_tag must be a string"),
        ({"salt": ""}, 7, "salt must be a printable ASCII string of 1 to 64 characters"),
        ({"held": 1}, 7, "held must be true or false"),
        ({"percent": 101}, 7, "percent must be an integer from 0 to 100"),
        (
            {"brake_min_failures": 0, "brake_percent": 5},
            7,
            "brake_min_failures must be an integer from 1 to 1,000,000",
        ),
        (
            {"brake_min_failures": 1, "brake_percent": 0},
            7,
            "brake_percent must be an integer from 1 to 100",
        ),
    ],
)
def test_a_malformed_pointer_has_a_fault(
    changes: dict[str, object], revision: int, fault: str
) -> None:
    """The fault names the attribute; the next write is conditional on what is stored."""
    found = pointer.parse_pointer(WHOLE | changes, pointer.Pointer(5, "m"), TOKEN)
    assert found == pointer.StoredPointer(fault=fault, revision=revision, token=TOKEN)


def test_a_pointer_names_its_writer() -> None:
    """Whether the brake moved it is known by its writer."""
    assert pointer.parse_pointer(WHOLE, pointer.Pointer(5, "m")).moved_by == "eve"
