"""Properties of reconciliation: the plans lead to the wanted state, and no further.

What is wanted is said here in words of its own, not in the module's.
"""

from dataclasses import dataclass, field, replace
from itertools import product
from typing import Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.domain.pointer import BRAKE, Pointer, Rollout, StoredPointer
from shared.domain.reconciliation import Plan, Standing, plan, restore_rollout

Fate = Literal["active", "deprecated", "disabled", "importable", "refused", "pending"]
"""What the catalog says of a tag, or what would become of an attempt to import its entry."""

MIRROR_AT = 2
KV_ROLLOUTS = st.sampled_from(
    [None, *(Rollout(tag, 10, "s", held) for tag in ("k2", "m2") for held in (False, True))]
)
MIRROR_ROLLOUTS = st.sampled_from(
    [None, *(Rollout("m2", 10, salt, held) for salt in "st" for held in (False, True))]
)
KV = st.builds(Pointer, st.just(0), st.sampled_from(["m1", "k1"]), KV_ROLLOUTS)
MIRRORS = st.builds(Pointer, st.just(MIRROR_AT), st.sampled_from(["m1", "m2"]), MIRROR_ROLLOUTS)
FATES: tuple[Fate, ...] = ("active", "disabled", "importable", "refused", "pending")
MIRRORED_FATES: tuple[Fate, ...] = ("active", "deprecated")


@dataclass(frozen=True)
class State:
    """Both copies of a pointer, and what is to be learned of the tags in them."""

    stored: StoredPointer
    mirror: Pointer
    fates: dict[str, Fate]
    learned: dict[str, Standing] = field(default_factory=dict)

    def plan(self) -> Plan:
        known: dict[str, Any] = {tag: f for tag, f in self.fates.items() if is_known(f)}
        return plan(self.stored, self.mirror, {**self.learned, **known})

    def after(self, step: Plan) -> "State":
        """Carry the step out as the use case does."""
        if step.import_tag is not None:
            assert (step.put, step.mirror, step.fault, step.pending) == (None,) * 4
            return self.after_import(step.import_tag)
        put = step.put
        stored = StoredPointer(put, revision=put.revision) if put else self.stored
        return replace(self, stored=stored, mirror=step.mirror or self.mirror)

    def after_import(self, tag: str) -> "State":
        fate = self.fates[tag]
        if fate == "importable":
            return replace(self, fates=self.fates | {tag: "active"})
        assert fate in {"refused", "pending"}
        return replace(self, learned={**self.learned, tag: fate})


def is_known(fate: Fate) -> bool:
    return fate in {"active", "deprecated", "disabled"}


def is_dead(fate: Fate) -> bool:
    return fate in {"disabled", "refused"}


def put_back(state: State, revision: int) -> Pointer:
    """The mirror's content; its rollout held unless the KV shows that it is not."""
    mirror, kv = state.mirror.at(revision), state.stored.pointer
    if mirror.rollout is None:
        return mirror
    if kv is None or kv.rollout is None or kv.rollout.salt != mirror.rollout.salt:
        held = True
    elif kv.revision < state.mirror.revision:
        held = kv.rollout.held or mirror.rollout.held
    else:
        held = kv.rollout.held
    return replace(mirror, rollout=replace(mirror.rollout, held=held))


def wanted(state: State) -> tuple[Pointer | None, Pointer, str]:
    """What the KV (None: as it is) and the mirror shall hold, and why."""
    stored, mirror, kv = state.stored, state.mirror, state.stored.pointer
    above = max(stored.revision, mirror.revision) + 1
    if stored.is_missing:
        back = put_back(state, mirror.revision) if mirror.latest_tag else None
        return back, back or mirror, "missing"
    latest = state.fates[kv.latest_tag or ""] if kv else None
    behind = kv is not None and kv.revision < mirror.revision
    if kv is None or latest == "disabled" or (latest == "refused" and not behind):
        back = put_back(state, above) if mirror.latest_tag else None
        return back, back or mirror, "dead"
    if behind:
        back = put_back(state, mirror.revision)
        return back, back, "behind"
    if latest == "pending":
        return None, mirror, "pending"
    why = "candidate dead" if is_dead(candidate_fate(state)) else "alive"
    return (*wanted_of_living(state, kv, above), why)


def candidate_fate(state: State) -> Fate:
    kv = state.stored.pointer
    return state.fates[kv.rollout.candidate_tag] if kv and kv.rollout else "active"


def wanted_of_living(state: State, kv: Pointer, above: int) -> tuple[Pointer | None, Pointer]:
    candidate = candidate_fate(state)
    bare = replace(kv, rollout=None)
    if is_dead(candidate):
        return bare.at(above), bare.at(above)
    copied = bare if candidate == "pending" else kv
    if kv.revision > state.mirror.revision:
        return None, copied
    if copied.content == state.mirror.content:
        return None, state.mirror
    if state.stored.moved_by == BRAKE:
        back = put_back(state, above)
        return back, back
    return kv.at(above), copied.at(above)


def every_stored(kv: Pointer, mirror: Pointer) -> list[StoredPointer]:
    """The KV behind, level and ahead, a true copy, damaged, held by the brake, or empty."""
    revisions = (MIRROR_AT - 1, MIRROR_AT, MIRROR_AT + 1)
    pointers = [*(kv.at(revision) for revision in revisions), mirror, mirror.at(3)]
    by_brake = kv.at(MIRROR_AT)
    return [
        *(StoredPointer(pointer, revision=pointer.revision) for pointer in pointers),
        *(StoredPointer(fault="damage", revision=revision) for revision in (0, *revisions)),
        StoredPointer(by_brake, revision=by_brake.revision, moved_by=BRAKE),
        StoredPointer(),
    ]


@settings(max_examples=25)
@given(KV, MIRRORS, st.sampled_from(FATES), st.sampled_from(MIRRORED_FATES))
def test_plans_reach_the_wanted_state(
    kv: Pointer, mirror: Pointer, latest: Fate, mirrored: Fate
) -> None:
    """Plans lead to the state that the protocol wants, whatever the KV and the mirror hold."""
    cases = product(every_stored(kv, mirror), (mirror, Pointer()), FATES)
    for stored, copy, candidate in cases:
        fates: dict[str, Fate] = {"k1": latest, "k2": candidate, "m1": "active", "m2": mirrored}
        state = State(stored, copy, fates)
        steps = carry_out(state)
        end = steps[-1][0]
        in_kv, in_mirror, why = wanted(state)
        assert end.mirror == in_mirror, why
        assert end.stored.pointer == (in_kv or stored.pointer), why
        faults_are_reported_with_their_put(steps, why)
        no_revision_gets_two_contents(steps)
        what_is_pending_is_named(steps)


def carry_out(state: State) -> list[tuple[State, Plan]]:
    """Each state with what was planned in it, until nothing more is written."""
    steps = []
    for _ in range(8):
        step = state.plan()
        steps.append((state, step))
        if not step.has_work:
            return steps
        state = state.after(step)
    raise AssertionError("the plans come to no end")


def faults_are_reported_with_their_put(steps: list[tuple[State, Plan]], why: str) -> None:
    """What is undone is undone with a reason, and nothing else is called a revert."""
    reverts = [step for _, step in steps if step.reverts]
    assert len(reverts) <= 1
    assert all(step.fault for step in reverts)
    end, last = steps[-1]
    if why == "dead":
        assert bool(reverts) == (end.mirror.latest_tag is not None)
        assert reverts or last.fault
    if why == "candidate dead":
        assert reverts
    if why in {"missing", "behind"}:
        assert not reverts
    if why == "pending":
        assert last.pending
        assert [step.has_work for _, step in steps if not step.import_tag] == [False]


def what_is_pending_is_named(steps: list[tuple[State, Plan]]) -> None:
    """A plan about a living pointer names its candidate exactly while that is pending."""
    for state, step in steps:
        if wanted(state)[2] == "alive" and not step.import_tag:
            is_pending = candidate_fate(state) == "pending"
            assert bool(step.pending) == is_pending
            assert not is_pending or "candidate" in str(step.pending)


def no_revision_gets_two_contents(steps: list[tuple[State, Plan]]) -> None:
    """A write is above all that was, and then into both copies; or it repeats a copy, but for
    a rollout that is held.
    """
    for state, step in steps:
        seen = max(state.stored.revision, state.mirror.revision)
        for written in filter(None, (step.put, step.mirror)):
            tags = [copy and copy.latest_tag for copy in (state.mirror, state.stored.pointer)]
            assert written.revision > seen or written.latest_tag in tags
            if written.revision > seen:
                assert step.put
                assert step.mirror
                assert step.mirror.revision == step.put.revision
        if step.mirror:
            assert step.mirror != state.mirror
            assert step.mirror.revision >= state.mirror.revision
        if step.put:
            assert step.put.revision > state.stored.revision


def test_enabling_refuses_a_pending_pointer_that_names_the_version() -> None:
    """A pending pointer whose candidate is enabled is put back, because it would move users."""
    kv = Pointer(7, "ghost", Rollout("m2", 10, "s"))
    stored, mirror = StoredPointer(kv, revision=7), Pointer(MIRROR_AT, "m1")
    standings: dict[str, Standing] = {"ghost": "pending", "m2": "disabled", "m1": "active"}
    assert not plan(stored, mirror, standings).has_work
    assert not plan(stored, mirror, standings, enabling="m1").has_work
    step = plan(stored, mirror, standings, enabling="m2")
    assert (step.put, step.mirror) == (mirror.at(8), mirror.at(8))
    assert step.reverts


@pytest.mark.parametrize(
    ("revision", "salt", "in_kv", "in_mirror", "held"),
    [
        (MIRROR_AT, "s", False, True, False),
        (MIRROR_AT, "s", True, False, True),
        (MIRROR_AT - 1, "s", False, True, True),
        (MIRROR_AT - 1, "s", False, False, False),
        (MIRROR_AT, "t", False, False, True),
    ],
)
def test_a_rollout_comes_back_held_unless_the_kv_shows_otherwise(
    revision: int, salt: str, *, in_kv: bool, in_mirror: bool, held: bool
) -> None:
    """The KV's word counts for the same salt; while the KV is behind, both words count."""
    kv = Pointer(revision, "m1", Rollout("m2", 10, salt, held=in_kv))
    mirror = Pointer(MIRROR_AT, "m1", Rollout("m2", 10, "s", held=in_mirror))
    restored = restore_rollout(mirror, StoredPointer(kv, revision=revision))
    assert restored.rollout == Rollout("m2", 10, "s", held=held)
