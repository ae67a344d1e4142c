"""A variant's pointer: which version is latest, which is rolled out, at which revision."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from shared.domain.errors import InvalidValue
from shared.domain.values import IMAGE_TAG, ImageTag, parse_attribute

REVISIONS_AHEAD = 1_000_000
"""A revision further above the mirror's than this is no revision but damage."""
LONGEST_CAUSE = 256


@dataclass(frozen=True, slots=True)
class Rollout:
    """A candidate served to `percent` of the users, chosen by `salt`."""

    candidate_tag: ImageTag
    percent: int
    salt: str


@dataclass(frozen=True, slots=True)
class Pointer:
    """One content at one revision; revision 0 is the pointer of a variant without a latest.

    `cause` names the call that wrote it: a call repeated under its own cause is done already.
    """

    revision: int = 0
    latest_tag: ImageTag | None = None
    rollout: Rollout | None = None
    cause: str | None = None

    @property
    def content(self) -> tuple[ImageTag | None, Rollout | None]:
        return self.latest_tag, self.rollout

    @property
    def tags(self) -> list[ImageTag]:
        candidate = self.rollout.candidate_tag if self.rollout else None
        return [tag for tag in (self.latest_tag, candidate) if tag is not None]

    def promote(self, tag: ImageTag) -> "Pointer":
        """Make `tag` the latest; a rollout of it has reached its end."""
        rollout = None if self.rollout and self.rollout.candidate_tag == tag else self.rollout
        return replace(self, latest_tag=tag, rollout=rollout)

    def without(self, tag: ImageTag, replacement: ImageTag) -> "Pointer":
        """Name `tag` no longer: a latest gives way to the replacement, a rollout of it ends."""
        ends = self.rollout is not None and self.rollout.candidate_tag == tag
        pointer = replace(self, rollout=None) if ends else self
        return pointer.promote(replacement) if pointer.latest_tag == tag else pointer

    def at(self, revision: int) -> "Pointer":
        return replace(self, revision=revision)


@dataclass(frozen=True, slots=True)
class StoredPointer:
    """What the KV holds under a variant: nothing, a pointer, or something malformed (`fault`).

    `revision` is the stored one if it is legal, else 0. `token` is the raw attribute on which
    the next write is conditional; None demands that there be none.
    """

    pointer: Pointer | None = None
    fault: str | None = None
    revision: int = 0
    token: Mapping[str, object] | None = None

    def matches(self, mirror: Pointer) -> bool:
        """Is the mirror a true copy?"""
        pointer = self.pointer or Pointer()
        same = (pointer.revision, pointer.content) == (mirror.revision, mirror.content)
        return self.fault is None and same


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
    return StoredPointer(pointer, revision=revision, token=token)


def _parse_revision(value: object, mirror: Pointer) -> int:
    if type(value) is not int or not 1 <= value <= mirror.revision + REVISIONS_AHEAD:
        raise InvalidValue(
            f"revision must be an integer from 1, at most {REVISIONS_AHEAD} above the catalog's"
        )
    return value


def _parse_rollout(item: Mapping[str, object]) -> Rollout | None:
    if item.get("candidate_tag") is None:
        return None
    percent, salt = item.get("percent"), item.get("salt")
    if type(percent) is not int or not 0 <= percent <= 100:  # noqa: PLR2004
        raise InvalidValue("percent must be an integer from 0 to 100")
    if not _is_line(salt, 64):
        raise InvalidValue("salt must be a printable ASCII string of 1 to 64 characters")
    tag = parse_attribute(item, "candidate_tag", IMAGE_TAG.parse)
    return Rollout(tag, percent, str(salt))


def _parse_cause(value: object) -> str | None:
    """Whose move it was, if anybody of ours can have written that; no reason to refuse it."""
    return str(value) if _is_line(value, LONGEST_CAUSE) else None


def _is_line(value: object, most: int) -> bool:
    """A text that every store and log can hold."""
    return (
        isinstance(value, str)
        and 1 <= len(value) <= most
        and value.isascii()
        and value.isprintable()
    )
