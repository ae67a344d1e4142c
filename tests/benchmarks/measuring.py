"""What a measurement is, and how two sides are measured in turns."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from statistics import median, quantiles
from time import perf_counter


@dataclass(frozen=True)
class Measurement:
    """A figure beside its target; `ok` is None where there is no target."""

    name: str
    value: float
    unit: str
    target: str
    ok: bool

    def as_json(self) -> dict[str, object]:
        return asdict(self)


def at_most(name: str, value: float, limit: float, unit: str = "×") -> Measurement:
    return Measurement(name, round(value, 3), unit, f"≤ {limit:g}", value <= limit)


def at_least(name: str, value: float, limit: float, unit: str = "×") -> Measurement:
    return Measurement(name, round(value, 3), unit, f"≥ {limit:g}", value >= limit)


def seconds(action: Callable[[], object]) -> float:
    started = perf_counter()
    action()
    return perf_counter() - started


def ratio_of_medians(
    ours: Callable[[], object], floor: Callable[[], object], rounds: int
) -> float:
    """Both sides in turns, so that whatever the machine does meets both."""
    for _ in range(max(3, rounds // 20)):
        ours()
        floor()
    pairs = [(seconds(ours), seconds(floor)) for _ in range(rounds)]
    return median(pair[0] for pair in pairs) / median(pair[1] for pair in pairs)


def percentile_99(action: Callable[[], object], rounds: int) -> float:
    """Seconds within which 99 of 100 calls end."""
    return quantiles([seconds(action) for _ in range(rounds)], n=100)[98]
