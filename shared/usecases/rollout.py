"""Roll a candidate out to a share of the users: start, change, resume, abort.

Promoting the candidate ends its rollout in the same move: shared.usecases.promote.
"""

from contextlib import suppress
from dataclasses import dataclass, replace
from secrets import token_hex

from shared.catalog.transaction import Catalog, Transaction
from shared.domain.errors import (
    AlreadyLatest,
    KVUnavailable,
    NoLatest,
    NotHeld,
    RolloutHeld,
    RolloutInProgress,
    VersionNotActive,
    VersionNotFound,
)
from shared.domain.etags import UNCONDITIONAL, IfMatch
from shared.domain.model import Initiator
from shared.domain.pointer import Brake, Pointer, Reports, Rollout
from shared.domain.values import ImageTag, Variant
from shared.kv import KV
from shared.usecases.moves import PointerMove, move

SALT_BYTES = 16


@dataclass(frozen=True, slots=True)
class WantedRollout:
    """A candidate and its share of the users, 0 to 100.

    Without `brake` a new rollout has none, and one that runs keeps its own.
    """

    image_tag: ImageTag
    percent: int
    brake: Brake | None = None


def roll_out(
    variant: Variant,
    wanted: WantedRollout,
    *,
    by: Initiator,
    catalog: Catalog,
    kv: KV,
    if_match: IfMatch = UNCONDITIONAL,
) -> Pointer:
    """Start a rollout, or change the percent and brake of the one that runs. Idempotent.

    Raises VariantNotFound, NoLatest, VersionNotFound, AlreadyLatest, RolloutInProgress,
    RolloutHeld, VersionNotActive, StaleRevision, KVUnavailable, CatalogUnavailable.
    """

    def change(tx: Transaction, pointer: Pointer) -> Pointer:
        tx.versions.lock_for_share([wanted.image_tag])
        return rolled_out(variant, wanted, tx, pointer)

    step = PointerMove(variant, change, "rollout.set", if_match, "rollout")
    return _move(step, catalog, kv, by)


def resume(
    variant: Variant,
    *,
    by: Initiator,
    catalog: Catalog,
    kv: KV,
    if_match: IfMatch = UNCONDITIONAL,
) -> Pointer:
    """Lift the brake: the rollout goes on, and its reports are counted anew.

    Raises VariantNotFound, NotHeld, StaleRevision, KVUnavailable, CatalogUnavailable.
    """
    step = PointerMove(variant, resumed, "rollout.resumed", if_match, "rollout", recounts=True)
    return _move(step, catalog, kv, by)


def abort(
    variant: Variant,
    *,
    by: Initiator,
    catalog: Catalog,
    kv: KV,
    if_match: IfMatch = UNCONDITIONAL,
) -> Pointer:
    """End the rollout: everybody is back at latest with their next upgrade. Idempotent.

    Raises VariantNotFound, StaleRevision, KVUnavailable, CatalogUnavailable.
    """
    step = PointerMove(variant, aborted, "rollout.aborted", if_match, "rollout")
    return _move(step, catalog, kv, by)


def read_reports(pointer: Pointer, *, kv: KV) -> Reports | None:
    """Read how the candidate's starts went; None without a rollout, or if the KV is down."""
    if pointer.rollout is None:
        return None
    with suppress(KVUnavailable):
        return kv.counters.read(pointer.rollout.salt)
    return None


def rolled_out(
    variant: Variant, wanted: WantedRollout, tx: Transaction, pointer: Pointer
) -> Pointer:
    """Return the pointer with the wanted rollout; a new one draws a salt. Raises a refusal."""
    _check(variant, wanted.image_tag, tx, pointer)
    if pointer.rollout is None:
        rollout = Rollout(wanted.image_tag, wanted.percent, token_hex(SALT_BYTES))
        return replace(pointer, rollout=replace(rollout, brake=wanted.brake))
    brake = wanted.brake or pointer.rollout.brake
    rollout = replace(pointer.rollout, percent=wanted.percent, brake=brake)
    return replace(pointer, rollout=rollout)


def resumed(_tx: Transaction, pointer: Pointer) -> Pointer:
    """Return the pointer with its rollout no longer held. Raises NotHeld."""
    if pointer.rollout is None or not pointer.rollout.held:
        raise NotHeld("no rollout of this variant is held")
    return replace(pointer, rollout=replace(pointer.rollout, held=False))


def aborted(_tx: Transaction, pointer: Pointer) -> Pointer:
    return pointer.without_rollout()


def _check(variant: Variant, tag: ImageTag, tx: Transaction, pointer: Pointer) -> None:
    """Refuse a version that cannot be the candidate. One that is it already may stay it."""
    if pointer.latest_tag is None:
        raise NoLatest("the variant has no latest to roll out from: promote a version first")
    version = tx.versions.get(tag)
    if version.variant != variant:
        raise VersionNotFound(f"the version is of the variant {version.variant}")
    if pointer.latest_tag == tag:
        raise AlreadyLatest("the version is the latest of its variant")
    _check_candidate(tag, pointer)
    if pointer.rollout is None and version.status != "active":
        raise VersionNotActive(f"the version is {version.status}")


def _check_candidate(tag: ImageTag, pointer: Pointer) -> None:
    if pointer.rollout is None:
        return
    candidate = pointer.rollout.candidate_tag
    if candidate != tag:
        raise RolloutInProgress(
            f"{candidate} is being rolled out: promote or abort it first", candidate=candidate
        )
    if pointer.rollout.held:
        raise RolloutHeld("the brake holds the rollout: resume or abort it")


def _move(step: PointerMove, catalog: Catalog, kv: KV, by: Initiator) -> Pointer:
    with catalog.transaction() as tx:
        tx.variants.get(step.variant)
    return move(step, catalog=catalog, kv=kv, by=by)
