"""Laws of the pointer: how it moves, and what is believed of one that somebody else wrote."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from types import ModuleType
from typing import Any

from hypothesis import strategies as st

from shared.domain import pointer
from tests.unit.domain.properties import Laws

TAGS = ("a", "b", "c")
SALTS = ("s", "x" * 64)
MIRRORED = 5
ROLLOUTS = st.none() | st.tuples(
    st.sampled_from(TAGS), st.sampled_from([0, 1, 100]), st.sampled_from(SALTS)
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
ATTRIBUTES = ("revision", "latest_tag", "candidate_tag", "percent", "salt", "cause")


@dataclass(frozen=True)
class Case:
    """Two pointers as plain parts."""

    one: tuple[Any, ...]
    other: tuple[Any, ...]


def make(module: ModuleType, parts: tuple[Any, ...]) -> Any:
    revision, latest, rollout, cause = parts
    return module.Pointer(revision, latest, rollout and module.Rollout(*rollout), cause)


def as_item(parts: tuple[Any, ...]) -> dict[str, object]:
    revision, latest, rollout, cause = parts
    names = ("candidate_tag", "percent", "salt")
    item = {"revision": revision, "latest_tag": latest, "cause": cause}
    return item | dict(zip(names, rollout or (), strict=False))


def check(module: ModuleType, case: Case) -> None:
    before = make(module, case.one)
    names_are_those_of_the_content(before)
    for tag, replacement in product(TAGS, TAGS):
        a_promoted_version_is_latest(before, tag)
        a_dropped_version_is_named_no_longer(before, tag, replacement)
    an_item_is_read_as_it_was_written(module, case.one)
    for name, value in product(ATTRIBUTES, HOSTILE):
        only_what_is_legal_is_believed(module, as_item(case.one) | {name: value})
    a_true_copy_has_revision_and_content(module, before, make(module, case.other))


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


def an_item_is_read_as_it_was_written(module: ModuleType, drawn: tuple[Any, ...]) -> None:
    """With the token on which the next write is conditional."""
    token = {"revision": {"N": "1"}}
    mirror = module.Pointer(MIRRORED, "m")
    found = module.parse_pointer(as_item(drawn), mirror, token)
    assert found == module.StoredPointer(make(module, drawn), None, drawn[0], token)


def is_tag(value: object) -> bool:
    return value in (*TAGS, "5", "x" * 65)


def is_whole(value: object, least: int, most: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


def is_rollout(item: Mapping[str, object]) -> bool:
    salt = item.get("salt")
    is_salt = isinstance(salt, str) and salt in {*SALTS, "5", "latest"}
    return is_tag(item["candidate_tag"]) and is_whole(item.get("percent"), 0, 100) and is_salt


def only_what_is_legal_is_believed(module: ModuleType, item: dict[str, object]) -> None:
    """Nothing raises: there is a pointer or a fault, and a revision if that is legal."""
    found = module.parse_pointer(item, module.Pointer(MIRRORED, "m"))
    legal = is_whole(item["revision"], 1, MIRRORED + 1_000_000)
    right = legal and is_tag(item["latest_tag"])
    right = right and (item.get("candidate_tag") is None or is_rollout(item))
    assert (found.pointer is not None, found.fault is None) == (right, right)
    assert found.revision == (item["revision"] if legal else 0)
    cause = item["cause"]
    if found.pointer is not None:
        storable = isinstance(cause, str) and cause.isascii() and cause.isprintable() and cause
        assert found.pointer.cause == (cause if storable else None)


def a_true_copy_has_revision_and_content(module: ModuleType, one: Any, other: Any) -> None:
    """Who wrote it is no matter; what is malformed is a copy of nothing."""
    same = (one.revision, one.latest_tag, one.rollout) == (
        other.revision,
        other.latest_tag,
        other.rollout,
    )
    assert module.StoredPointer(one, revision=one.revision).matches(other) == same
    assert not module.StoredPointer(one, fault="damage").matches(one)
    assert not module.StoredPointer().matches(one)
    assert module.StoredPointer().matches(module.Pointer())


LAWS = Laws("pointer", pointer, st.builds(Case, POINTERS, POINTERS), check, examples=60)
