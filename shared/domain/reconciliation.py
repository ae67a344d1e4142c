"""Plan how a pointer's two copies, in the KV and in the mirror, are made to agree."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from shared.domain.model import Status
from shared.domain.pointer import BRAKE, Pointer, StoredPointer, is_held
from shared.domain.values import ImageTag

Standing = Status | Literal["refused", "pending"]
"""What a tag is to a variant's pointer: its status (retired, or of another variant, counts as
disabled); or, when the catalog does not know it, why its entry could not be imported: refused
for good, or pending because there is no entry yet or its publish time is still ahead."""


@dataclass(frozen=True, slots=True)
class Plan:
    """One step of agreement. With nothing to write, the copies agree as far as they can.

    `put` goes to the KV on the revision that was read, then `mirror` to the mirror.
    `import_tag` comes alone: import that entry into the catalog and plan again. `fault` says
    why the KV's pointer, or its candidate, is refused; `pending` what it is still waiting for.
    """

    put: Pointer | None = None
    mirror: Pointer | None = None
    import_tag: ImageTag | None = None
    fault: str | None = None
    pending: str | None = None

    @property
    def has_work(self) -> bool:
        return (self.put, self.mirror, self.import_tag) != (None, None, None)

    @property
    def reverts(self) -> bool:
        """Whether it undoes what somebody wrote into the KV, wholly or in part."""
        return self.put is not None and self.fault is not None


def plan(
    stored: StoredPointer,
    mirror: Pointer,
    standings: Mapping[ImageTag, Standing],
    enabling: ImageTag | None = None,
) -> Plan:
    """Plan one step of agreement.

    `standings` has every tag whose standing is known; a tag that is missing must be imported
    first. `enabling` is a version about to be enabled: a pending pointer that names it is
    refused, because it would come into force without anybody's decision.
    """
    if stored.is_missing:
        return _put_mirror(stored, mirror)
    if stored.pointer is None:
        return _put_back(stored, mirror, stored.fault)
    fault = _latest_fault(stored.tags, standings, enabling)
    if fault is not None:
        return _put_back(stored, mirror, fault)
    return _plan_for_living(stored, stored.pointer, mirror, standings)


def restore_rollout(mirror: Pointer, stored: StoredPointer) -> Pointer:
    """Return the mirror's pointer as it may be put into the KV over what is stored there.

    Its rollout comes back held where the brake may have held it unseen.
    """
    if mirror.rollout is None:
        return mirror
    held = is_held(mirror.rollout, mirror.revision, stored)
    return replace(mirror, rollout=replace(mirror.rollout, held=held))


def _plan_for_living(
    stored: StoredPointer,
    pointer: Pointer,
    mirror: Pointer,
    standings: Mapping[ImageTag, Standing],
) -> Plan:
    """Plan for a pointer whose latest is not known to be dead."""
    if stored.revision < mirror.revision:
        return _put_mirror(stored, mirror)
    latest, *candidate = stored.tags
    if standings.get(latest) == "pending":
        return Plan(pending=f"latest {latest} has no valid entry yet")
    unknown = [tag for tag in (latest, *candidate) if tag not in standings]
    if unknown:
        return Plan(import_tag=unknown[0])
    return _follow_kv(stored, pointer, mirror, standings)


def _latest_fault(
    tags: list[ImageTag],
    standings: Mapping[ImageTag, Standing],
    enabling: ImageTag | None,
) -> str | None:
    tag = tags[0]
    match standings.get(tag):
        case "refused":
            return f"latest {tag} is not in the catalog and cannot be"
        case "disabled":
            return f"latest {tag} is disabled, retired or of another variant"
        case "pending" if enabling in tags:
            return f"latest {tag} has no valid entry yet, and {enabling} was enabled meanwhile"
    return None


def _put_mirror(stored: StoredPointer, mirror: Pointer) -> Plan:
    """The KV has lost the pointer, or an old table was restored."""
    if mirror.latest_tag is None:
        return Plan()
    restored = restore_rollout(mirror, stored)
    changed = restored.content != mirror.content
    return Plan(put=restored, mirror=restored if changed else None)


def _put_back(stored: StoredPointer, mirror: Pointer, fault: str | None) -> Plan:
    if mirror.latest_tag is None:
        return Plan(fault=fault)
    revision = max(stored.revision, mirror.revision) + 1
    restored = restore_rollout(mirror, stored).at(revision)
    return Plan(put=restored, mirror=restored, fault=fault)


def _follow_kv(
    stored: StoredPointer,
    pointer: Pointer,
    mirror: Pointer,
    standings: Mapping[ImageTag, Standing],
) -> Plan:
    """The KV's latest is alive: adopt what the KV says, as far as its candidate allows."""
    candidate = pointer.candidate_tag
    standing = standings[candidate] if candidate else None
    if standing in {"disabled", "refused"}:
        mended = pointer.without_rollout().at(pointer.revision + 1)
        return Plan(mended, mended, fault=f"candidate {candidate} cannot be rolled out")
    waits = standing == "pending"
    pending = f"candidate {candidate} has no valid entry yet" if waits else None
    copied = pointer.without_rollout() if waits else pointer
    if pointer.revision > mirror.revision:
        return Plan(mirror=copied, pending=pending)
    if copied.content == mirror.content:
        return Plan(pending=pending)
    revision = pointer.revision + 1
    if stored.moved_by == BRAKE:
        restored = restore_rollout(mirror, stored).at(revision)
        return Plan(restored, restored, pending=pending)
    return Plan(pointer.at(revision), copied.at(revision), pending=pending)
