"""Laws of reconciliation: carrying the plan out gives the wanted state, and nothing more."""

from dataclasses import dataclass, replace
from itertools import product
from types import ModuleType
from typing import Any, Literal

from hypothesis import strategies as st

from shared.domain import reconciliation
from shared.domain.pointer import Pointer, Rollout, StoredPointer
from tests.unit.domain.properties import Laws

Fate = Literal["active", "deprecated", "disabled", "entry", "nothing"]
"""What the catalog knows of a tag, else whether there is an entry that it would take in."""

MIRRORED = ("m1", "m2")
MIRRORED_AT = 2
ROLLS = st.sampled_from([None, *(Rollout(tag, 10, "s") for tag in ("k2", "k2", "m2"))])
MIRROR_ROLLS = st.sampled_from([None, *(Rollout("m2", 10, salt) for salt in "st")])


@dataclass(frozen=True)
class World:
    """Both copies of a pointer, and what the catalog knows of the tags in them."""

    found: StoredPointer
    mirror: Pointer
    fates: dict[str, Fate]
    refused: frozenset[str] = frozenset()

    def is_alive(self, tag: str | None) -> bool:
        return self.fates[tag or ""] not in {"disabled", "nothing"}

    @property
    def statuses(self) -> dict[str, Fate]:
        unknown = {"entry", "nothing"}
        return {tag: fate for tag, fate in self.fates.items() if fate not in unknown}

    def plan(self, module: ModuleType) -> Any:
        return module.plan(self.found, self.mirror, self.statuses, self.refused)

    def after(self, plan: Any) -> "World":
        """The plan carried out, as the use case does it."""
        if plan.import_tag is not None:
            assert (plan.put, plan.mirror, plan.fault) == (None, None, None)
            if self.fates[plan.import_tag] == "entry":
                return replace(self, fates=self.fates | {plan.import_tag: "active"})
            return replace(self, refused=self.refused | {plan.import_tag})
        put = plan.put
        found = StoredPointer(put, revision=put.revision) if put else self.found
        return replace(self, found=found, mirror=plan.mirror or self.mirror)


KV = st.builds(Pointer, st.just(0), st.sampled_from(["m1", "k1"]), ROLLS)
MIRRORS = st.builds(Pointer, st.just(MIRRORED_AT), st.sampled_from(MIRRORED), MIRROR_ROLLS)
UNCERTAIN: tuple[Fate, ...] = ("active", "disabled", "entry", "nothing")
SETTLED: tuple[Fate, ...] = ("active", "deprecated")


def is_dead(world: World) -> bool:
    """Is there a pointer in the KV that nobody may follow?"""
    pointer = world.found.pointer
    return world.found.fault is not None or (
        pointer is not None and not world.is_alive(pointer.latest_tag)
    )


def is_behind(world: World) -> bool:
    """A pointer that is behind and not known to be dead gives way without a word."""
    pointer = world.found.pointer
    if pointer is None or pointer.revision >= world.mirror.revision:
        return False
    return world.fates[pointer.latest_tag or ""] != "disabled"


def wanted(world: World) -> tuple[Pointer | None, str]:
    """What both copies shall be and why; None where they stay as they are."""
    found, mirror = world.found, world.mirror
    above = max(found.revision, mirror.revision) + 1
    if found == StoredPointer():
        return (mirror if mirror.latest_tag else None), "missing"
    if is_behind(world):
        return mirror, "behind"
    if is_dead(world) or found.pointer is None:
        return (replace(mirror, revision=above) if mirror.latest_tag else None), "dead"
    kv = found.pointer
    if kv.rollout and not world.is_alive(kv.rollout.candidate_tag):
        return replace(kv, rollout=None, revision=above), "candidate"
    if kv.revision == mirror.revision and kv.content != mirror.content:
        return replace(kv, revision=above), "two contents"
    return kv, "ahead" if kv.revision > mirror.revision else "right"


def check(module: ModuleType, drawn: tuple[Pointer, Pointer, Fate, Fate]) -> None:
    """The KV may be behind, level or ahead, a true copy, damaged or empty; the mirror empty."""
    kv, mirror, latest, mirrored = drawn
    at = (MIRRORED_AT - 1, MIRRORED_AT, MIRRORED_AT + 1)
    pointers = [*(kv.at(revision) for revision in at), mirror, mirror.at(MIRRORED_AT + 1)]
    founds = [StoredPointer(pointer, revision=pointer.revision) for pointer in pointers]
    damaged = [StoredPointer(fault="damage", revision=revision) for revision in (0, *at)]
    copies = (mirror, Pointer())
    for found, copy, candidate in product(
        [*founds, *damaged, StoredPointer()], copies, UNCERTAIN
    ):
        fates: dict[str, Fate] = {"k1": latest, "k2": candidate, "m1": "active", "m2": mirrored}
        the_wanted_state_is_reached(module, World(found, copy, fates))


def the_wanted_state_is_reached(module: ModuleType, world: World) -> None:
    """Step by step, and no step is planned for what is right already."""
    goal, why = wanted(world)
    steps = carried_out(module, world)
    end = steps[-1][0]
    no_revision_gets_two_contents(steps)
    a_move_may_supersede_what_is_dead_and_has_no_substitute(module, steps)
    if goal is None:
        assert (end.found, end.mirror) == (world.found, world.mirror)
    else:
        assert (end.found.pointer, end.mirror) == (goal, goal)
        assert end.plan(module) == module.Plan()
    faults = [plan.fault for _, plan in steps if plan.fault]
    assert len(faults) == (why in {"dead", "candidate"})
    if why == "right":
        assert all(plan == module.Plan() or plan.import_tag for _, plan in steps)


def carried_out(module: ModuleType, world: World) -> list[tuple[World, Any]]:
    """Each world with what was planned in it, until nothing more is written."""
    steps = []
    for _ in range(8):
        plan = world.plan(module)
        steps.append((world, plan))
        if (plan.put, plan.mirror, plan.import_tag) == (None, None, None):
            return steps
        world = world.after(plan)
    raise AssertionError("it does not come to rest")


def a_move_may_supersede_what_is_dead_and_has_no_substitute(
    module: ModuleType, steps: list[tuple[World, Any]]
) -> None:
    """As far as is known by then: an entry may still be taken in."""
    for world, _ in steps:
        latest = world.found.pointer.latest_tag if world.found.pointer else None
        dead = world.found.fault or latest in {
            *world.refused,
            *(tag for tag, fate in world.fates.items() if fate == "disabled"),
        }
        stuck = module.is_stuck(world.found, world.mirror, world.statuses, world.refused)
        assert stuck == (bool(dead) and world.mirror.latest_tag is None)


def no_revision_gets_two_contents(steps: list[tuple[World, Any]]) -> None:
    """A write either repeats the mirror or is above all that was."""
    for world, plan in steps:
        seen = max(world.found.revision, world.mirror.revision)
        for written in filter(None, (plan.put, plan.mirror)):
            known = (world.mirror, world.found.pointer)
            assert written.revision > seen or any(
                copy and (written.revision, written.content) == (copy.revision, copy.content)
                for copy in known
            )
        if plan.mirror:
            assert plan.mirror.revision >= world.mirror.revision
        if plan.put:
            assert plan.put.revision > world.found.revision


LAWS = Laws(
    "reconciliation",
    reconciliation,
    st.tuples(KV, MIRRORS, st.sampled_from(UNCERTAIN), st.sampled_from(SETTLED)),
    check,
    examples=25,
)
