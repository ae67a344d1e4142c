"""The law of suspicion: when a run saw too little to believe that the rest is gone."""

from itertools import product
from typing import Literal

import pytest

from shared.domain import sync

Past = tuple[tuple[Literal["ok", "suspect_partial"], int], ...]

RUNS = list(product(("ok", "suspect_partial"), (7, 10)))
PASTS = [past for length in range(4) for past in product(RUNS, repeat=length)]


@pytest.mark.parametrize("past", PASTS, ids=str)
def test_suspicion(past: Past) -> None:
    """Less than four fifths of the last good run is suspect, unless seen the third time."""
    for seen in (0, 5, 6, 7, 8, 9, 10):
        good = [count for outcome, count in past if outcome == "ok"]
        too_few = bool(good) and 5 * seen < 4 * good[0]
        third_time = past[:2] == (("suspect_partial", seen),) * 2
        runs = [sync.PastRun(*run) for run in past]
        assert sync.is_suspect(seen, runs) == (too_few and not third_time)
