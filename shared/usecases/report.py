"""Count how starts of a candidate went, and hold its rollout when too many have failed.

This is the brake. It works on the KV alone, so that it holds while the catalog is down.
docs/pointer-protocol.md has its order of reads and writes, and why.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple

from shared.domain.errors import KVUnavailable
from shared.domain.pointer import Pointer, Rollout
from shared.domain.values import ImageTag, UserId, Variant
from shared.kv import KV
from shared.kv.counters import StartOutcome

ROUNDS = 4
ANY_REVISION = Pointer(revision=2**62)
"""In place of the mirror, which is not read here: it bounds which revisions are believed."""


@dataclass(frozen=True, slots=True)
class Report:
    """How one start went. `start_id` is the caller's name of it: it is counted once."""

    user_id: UserId
    image_tag: ImageTag
    outcome: StartOutcome
    start_id: str


class Verdict(NamedTuple):
    """Whether a rollout is held, and whether it was this call that held it."""

    held: bool = False
    was_held_now: bool = False


class Reported(NamedTuple):
    """Whether the report was counted, and what became of the rollout."""

    counted: bool
    verdict: Verdict = Verdict()


def report(start: Report, *, kv: KV) -> Reported:
    """Count a report and judge the rollout. Raises KVUnavailable.

    It counts only while its tag is the candidate, and only if the user was told to run it.
    """
    record = kv.instances.find(start.user_id)
    rollout = _read_rollout(record.variant, kv) if record else None
    if record is None or rollout is None or rollout.candidate_tag != start.image_tag:
        return Reported(counted=False)
    if record.image_tag != start.image_tag:
        return Reported(counted=False, verdict=Verdict(rollout.held))
    now = datetime.now(UTC)
    counted = kv.counters.count(rollout.salt, start.start_id, start.outcome, now)
    return Reported(counted, judge(record.variant, kv=kv, salt=rollout.salt))


def judge(variant: Variant, *, kv: KV, salt: str | None = None) -> Verdict:
    """Hold the variant's rollout if its brake's thresholds are reached.

    With `salt` only that rollout is judged. The pointer is read before the counter: a person
    who resumes deletes the counter and moves the pointer in one transaction, so a put on the
    revision that was read never holds by counts from before that. Raises KVUnavailable.
    """
    for _ in range(ROUNDS):
        stored = kv.pointers.read(variant, ANY_REVISION)
        rollout = stored.pointer.rollout if stored.pointer else None
        if rollout is None or salt not in {None, rollout.salt}:
            return Verdict()
        if rollout.held or not _is_over(rollout, kv):
            return Verdict(rollout.held)
        if kv.pointers.hold(variant, stored, datetime.now(UTC)):
            return Verdict(held=True, was_held_now=True)
    raise KVUnavailable("the pointer is being moved by others")


def _read_rollout(variant: Variant, kv: KV) -> Rollout | None:
    pointer = kv.pointers.read(variant, ANY_REVISION).pointer
    return pointer.rollout if pointer else None


def _is_over(rollout: Rollout, kv: KV) -> bool:
    return rollout.brake is not None and rollout.brake.is_reached(
        kv.counters.read(rollout.salt)
    )
