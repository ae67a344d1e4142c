"""What makes the two copies of a pointer agree: a plan from what both hold."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

from shared.domain.model import Status
from shared.domain.pointer import Pointer, StoredPointer
from shared.domain.values import ImageTag


@dataclass(frozen=True, slots=True)
class Plan:
    """What to write. All None: the copies agree, or nothing can be done.

    `put` goes to the KV on the revision that was read, then `mirror` to the mirror.
    `import_tag` comes alone: bring that entry into the catalog and plan again. `fault` is a
    message for people.
    """

    put: Pointer | None = None
    mirror: Pointer | None = None
    import_tag: ImageTag | None = None
    fault: str | None = None


def plan(
    found: StoredPointer,
    mirror: Pointer,
    statuses: Mapping[ImageTag, Status],
    refused: Collection[ImageTag] = (),
) -> Plan:
    """Plan one step of agreement.

    `statuses` has the catalog's word on every tag that either copy names (retired, or of
    another variant, counts as disabled; a tag the catalog does not know is absent); `refused`
    are tags that it would not take in.
    """
    if found.pointer is None and found.fault is None:
        return Plan(put=mirror if mirror.latest_tag else None)
    fault = found.fault or _latest_fault(found.pointer, statuses, refused)
    if fault is not None or found.pointer is None:
        return _put_back(found, mirror, fault)
    if found.pointer.revision < mirror.revision:
        return Plan(put=mirror)
    for tag in found.pointer.tags:
        if tag not in statuses and tag not in refused:
            return Plan(import_tag=tag)
    return _adopt(found.pointer, mirror, statuses)


def is_stuck(
    found: StoredPointer,
    mirror: Pointer,
    statuses: Mapping[ImageTag, Status],
    refused: Collection[ImageTag] = (),
) -> bool:
    """Is the KV's pointer dead with nothing to put back? Then a move may supersede it."""
    fault = found.fault or _latest_fault(found.pointer, statuses, refused)
    return mirror.latest_tag is None and fault is not None


def _latest_fault(
    pointer: Pointer | None, statuses: Mapping[ImageTag, Status], refused: Collection[ImageTag]
) -> str | None:
    if pointer is None or pointer.latest_tag is None:
        return None
    if pointer.latest_tag in refused:
        return f"latest {pointer.latest_tag} is not in the catalog and cannot be"
    if statuses.get(pointer.latest_tag) == "disabled":
        return f"latest {pointer.latest_tag} is disabled, retired or of another variant"
    return None


def _put_back(found: StoredPointer, mirror: Pointer, fault: str | None) -> Plan:
    if mirror.latest_tag is None:
        return Plan(fault=fault)
    restored = mirror.at(max(found.revision, mirror.revision) + 1)
    return Plan(put=restored, mirror=restored, fault=fault)


def _adopt(pointer: Pointer, mirror: Pointer, statuses: Mapping[ImageTag, Status]) -> Plan:
    rollout = pointer.rollout
    candidate = statuses.get(rollout.candidate_tag) if rollout else None
    if rollout and candidate in {None, "disabled"}:
        fault = f"candidate {rollout.candidate_tag} cannot be rolled out"
        mended = replace(pointer, rollout=None, revision=pointer.revision + 1)
        return Plan(put=mended, mirror=mended, fault=fault)
    if pointer.revision > mirror.revision:
        return Plan(mirror=pointer)
    if pointer.content != mirror.content:
        mended = pointer.at(pointer.revision + 1)
        return Plan(put=mended, mirror=mended)
    return Plan()
