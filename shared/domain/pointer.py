"""A variant's pointer: which version is latest, which is rolled out, at which revision."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

from shared.domain.errors import InvalidValue
from shared.domain.values import IMAGE_TAG, ImageTag, parse_attribute

MAX_REVISIONS_AHEAD = 1_000_000
"""A revision further above the mirror's than this is taken for damage."""
MAX_CAUSE_LENGTH = 256
MAX_BRAKE_FAILURES = 1_000_000
BRAKE = "brake"
"""The `moved_by` of a pointer that was written to hold a rollout."""


class Reports(NamedTuple):
    """How many starts of a rollout's candidate were reported, by how they went."""

    ok: int = 0
    failed: int = 0


@dataclass(frozen=True, slots=True)
class Brake:
    """A rollout is held when `min_failures` starts, and `percent` % of all, have failed."""

    min_failures: int
    percent: int

    def is_reached(self, reports: Reports) -> bool:
        share = self.percent * (reports.ok + reports.failed)
        return reports.failed >= self.min_failures and 100 * reports.failed >= share


@dataclass(frozen=True, slots=True)
class Rollout:
    """A candidate for `percent` of the users, chosen by `salt`; for nobody while `held`."""

    candidate_tag: ImageTag
    percent: int
    salt: str
    held: bool = False
    brake: Brake | None = None


@dataclass(frozen=True, slots=True)
class Pointer:
    """One content at one revision. Revision 0 is the pointer of a variant without a latest.

    `cause` names the call that wrote it and is no part of the content.
    """

    revision: int = 0
    latest_tag: ImageTag | None = None
    rollout: Rollout | None = None
    cause: str | None = None

    @property
    def content(self) -> tuple[ImageTag | None, Rollout | None]:
        return self.latest_tag, self.rollout

    @property
    def candidate_tag(self) -> ImageTag | None:
        return self.rollout.candidate_tag if self.rollout else None

    @property
    def tags(self) -> list[ImageTag]:
        """The tags that the pointer names, the latest first."""
        return [tag for tag in (self.latest_tag, self.candidate_tag) if tag is not None]

    def promote(self, tag: ImageTag) -> "Pointer":
        """Make `tag` the latest; a rollout of it ends."""
        rollout = None if self.candidate_tag == tag else self.rollout
        return replace(self, latest_tag=tag, rollout=rollout)

    def without(self, tag: ImageTag, replacement: ImageTag) -> "Pointer":
        """Stop naming `tag`: the replacement becomes latest in its place, its rollout ends."""
        pointer = self.without_rollout() if self.candidate_tag == tag else self
        return pointer.promote(replacement) if pointer.latest_tag == tag else pointer

    def without_rollout(self) -> "Pointer":
        return replace(self, rollout=None)

    def at(self, revision: int) -> "Pointer":
        return replace(self, revision=revision)


@dataclass(frozen=True, slots=True)
class StoredPointer:
    """What the KV holds under a variant: nothing, a pointer, or something malformed (`fault`).

    `revision` is the stored one if it is legal, else 0. `token` is the raw attribute on which
    the next write is conditional; None demands that there be none. `moved_by` is the writer.
    """

    pointer: Pointer | None = None
    fault: str | None = None
    revision: int = 0
    token: Mapping[str, object] | None = None
    moved_by: object = None

    @property
    def is_missing(self) -> bool:
        return self.pointer is None and self.fault is None

    @property
    def tags(self) -> list[ImageTag]:
        return self.pointer.tags if self.pointer else []

    def matches(self, mirror: Pointer) -> bool:
        """Whether the mirror is a true copy of it."""
        pointer = self.pointer or Pointer()
        same = (pointer.revision, pointer.content) == (mirror.revision, mirror.content)
        return self.fault is None and same


def is_held(rollout: Rollout, revision: int, stored: StoredPointer) -> bool:
    """Whether a rollout is held at `revision`, as far as the KV's `stored` pointer tells.

    The brake writes to the KV first. So a rollout that the KV does not carry (by its salt) is
    taken for held; else the KV's word counts, and while the KV is behind, both words count.
    """
    other = stored.pointer.rollout if stored.pointer else None
    if other is None or other.salt != rollout.salt:
        return True
    return other.held or (stored.revision < revision and rollout.held)


def parse_pointer(
    item: Mapping[str, object] | None,
    mirror: Pointer,
    token: Mapping[str, object] | None = None,
) -> StoredPointer:
    """Read a pointer item that somebody else may have written."""
    if item is None:
        return StoredPointer()
    try:
        revision = _parse_revision(item.get("revision"), mirror)
    except InvalidValue as error:
        return StoredPointer(fault=str(error), token=token)
    try:
        pointer = Pointer(
            revision,
            parse_attribute(item, "latest_tag", IMAGE_TAG.parse),
            _parse_rollout(item),
            cause=_parse_cause(item.get("cause")),
        )
    except InvalidValue as error:
        return StoredPointer(fault=str(error), revision=revision, token=token)
    return StoredPointer(pointer, revision=revision, token=token, moved_by=item.get("moved_by"))


def _parse_revision(value: object, mirror: Pointer) -> int:
    if type(value) is not int or not 1 <= value <= mirror.revision + MAX_REVISIONS_AHEAD:
        raise InvalidValue(
            "revision must be an integer from 1,"
            f" at most {MAX_REVISIONS_AHEAD:,} above the catalog's"
        )
    return value


def _parse_rollout(item: Mapping[str, object]) -> Rollout | None:
    if item.get("candidate_tag") is None:
        return None
    salt, held = item.get("salt"), item.get("held")
    if not _is_printable(salt, 64):
        raise InvalidValue("salt must be a printable ASCII string of 1 to 64 characters")
    if not (held is None or isinstance(held, bool)):
        raise InvalidValue("held must be true or false")
    return Rollout(
        parse_attribute(item, "candidate_tag", IMAGE_TAG.parse),
        _parse_percent(item.get("percent"), "percent", least=0),
        str(salt),
        held=held is True,
        brake=_parse_brake(item),
    )


def _parse_brake(item: Mapping[str, object]) -> Brake | None:
    failures, percent = item.get("brake_min_failures"), item.get("brake_percent")
    if failures is None and percent is None:
        return None
    if type(failures) is not int or not 1 <= failures <= MAX_BRAKE_FAILURES:
        raise InvalidValue(
            f"brake_min_failures must be an integer from 1 to {MAX_BRAKE_FAILURES:,}"
        )
    return Brake(failures, _parse_percent(percent, "brake_percent", least=1))


def _parse_percent(value: object, name: str, least: int) -> int:
    if type(value) is not int or not least <= value <= 100:  # noqa: PLR2004
        raise InvalidValue(f"{name} must be an integer from {least} to 100")
    return value


def _parse_cause(value: object) -> str | None:
    """Read the cause; one that we cannot have written is no reason to refuse the pointer."""
    return str(value) if _is_printable(value, MAX_CAUSE_LENGTH) else None


def _is_printable(value: object, most: int) -> bool:
    """Whether it is a non-empty text that every store and log can hold."""
    return (
        isinstance(value, str)
        and 1 <= len(value) <= most
        and value.isascii()
        and value.isprintable()
    )
