"""Preview what is done to a variant: rollout, resume, abort, rollback."""

from dataclasses import replace
from functools import partial

from shared.catalog.transaction import Catalog, Transaction
from shared.domain.etags import UNCONDITIONAL, IfMatch
from shared.domain.values import Variant
from shared.kv import KV
from shared.usecases.foresee import agreed, read_unlocked
from shared.usecases.moves import PointerMove
from shared.usecases.preview import (
    MoveCount,
    Outcome,
    Preview,
    foresee_move,
    snapshot,
    weigh_change,
)
from shared.usecases.reconcile import Copies
from shared.usecases.rollback import rolled_back
from shared.usecases.rollout import WantedRollout, aborted, resumed, rolled_out

ALL = 100


def preview_rollout(
    variant: Variant,
    wanted: WantedRollout,
    *,
    catalog: Catalog,
    kv: KV,
    if_match: IfMatch = UNCONDITIONAL,
) -> Preview:
    """Preview `roll_out`. Raises the same.

    A new rollout is estimated from one to everybody: nobody knows yet which users the salt
    will choose. Changing the percent of one that runs is exact.
    """
    with snapshot(catalog) as tx:
        copies = _read(tx, variant, kv)
        is_new = agreed(copies, tx, variant, kv).mirror.rollout is None
        weighed = replace(wanted, percent=ALL) if is_new else wanted
        change = partial(rolled_out, variant, weighed)
        step = PointerMove(variant, change, "rollout.set", if_match, "rollout")
        impact = _weigh(step, copies, tx, kv)
    return share_of(impact, wanted.percent) if is_new else impact


def preview_resume(
    variant: Variant, *, catalog: Catalog, kv: KV, if_match: IfMatch = UNCONDITIONAL
) -> Preview:
    """Preview `resume`. Raises the same."""
    step = PointerMove(variant, resumed, "rollout.resumed", if_match, "rollout")
    return _preview(step, catalog, kv)


def preview_abort(
    variant: Variant, *, catalog: Catalog, kv: KV, if_match: IfMatch = UNCONDITIONAL
) -> Preview:
    """Preview `abort`. Raises the same."""
    step = PointerMove(variant, aborted, "rollout.aborted", if_match, "rollout")
    return _preview(step, catalog, kv)


def preview_rollback(
    variant: Variant, *, catalog: Catalog, kv: KV, if_match: IfMatch = UNCONDITIONAL
) -> Preview:
    """Preview `roll_back`. Raises the same."""
    change = partial(rolled_back, variant)
    return _preview(PointerMove(variant, change, "latest.rolled_back", if_match), catalog, kv)


def share_of(impact: Preview, percent: int) -> Preview:
    """Scale the preview of a rollout to everybody down to `percent`.

    Users are rounded; the moves add up to them, the largest remainders are rounded up.
    """
    users = (impact.users * percent + ALL // 2) // ALL
    moves = [one._replace(users=one.users * percent // ALL) for one in impact.moves]
    left = users - sum(one.users for one in moves)
    by_remainder = sorted(
        range(len(moves)), key=lambda index: -(impact.moves[index].users * percent % ALL)
    )
    for index in by_remainder[:left]:
        moves[index] = moves[index]._replace(users=moves[index].users + 1)
    return replace(
        impact,
        users=users,
        moves=sorted(filter(_moves_anybody, moves), key=lambda one: -one.users),
        sample=impact.sample[:users],
        estimate=True,
    )


def _moves_anybody(move: MoveCount) -> bool:
    return move.users > 0


def _preview(step: PointerMove, catalog: Catalog, kv: KV) -> Preview:
    with snapshot(catalog) as tx:
        return _weigh(step, _read(tx, step.variant, kv), tx, kv)


def _read(tx: Transaction, variant: Variant, kv: KV) -> Copies:
    tx.variants.get(variant)
    return read_unlocked(tx, variant, kv)


def _weigh(step: PointerMove, copies: Copies, tx: Transaction, kv: KV) -> Preview:
    after = foresee_move(step, copies, tx, kv)
    return weigh_change(step.variant, Outcome.of(copies), after, tx=tx, kv=kv)
