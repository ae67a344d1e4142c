"""Laws of suspicion: when a run saw too little to believe that the rest is gone."""

from types import ModuleType
from typing import Literal

from hypothesis import strategies as st

from shared.domain import synchronisation
from tests.unit.laws import Laws

Past = list[tuple[Literal["ok", "suspect_partial"], int]]

RUNS = st.tuples(st.sampled_from(["ok", "suspect_partial"]), st.sampled_from([7, 8, 10]))


def check(module: ModuleType, past: Past) -> None:
    """Less than four fifths of the last good run, unless it is the third time running."""
    for seen in range(12):
        good = [count for outcome, count in past if outcome == "ok"]
        too_few = bool(good) and 5 * seen < 4 * good[0]
        third_time = past[:2] == [("suspect_partial", seen)] * 2
        runs = [module.PastRun(*run) for run in past]
        assert module.is_suspect(seen, runs) == (too_few and not third_time)


LAWS = Laws(synchronisation, st.lists(RUNS, max_size=4), check, examples=60)
