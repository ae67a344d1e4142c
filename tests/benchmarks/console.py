"""The console's pages on a small fleet and on one of a million instances."""

from collections.abc import Iterator
from statistics import median
from unittest.mock import patch

from functions.console import figures
from tests.benchmarks.fleet import fill
from tests.benchmarks.measuring import Measurement, at_most, seconds
from tests.support.console import Person, console_on
from tests.support.stores import Stores

FEW, MANY = 10_000, 1_000_000
FEW_MS, MANY_MS = 150, 1_000
FEW_ROUNDS, ROUNDS = 20, 5
USER = "user-c4ca4238a0b923820dcc509a6f75849b"
"""The first of the fleet: its number, hashed as the others are."""

PAGES = {
    "overview": "/console",
    "versions": "/console/versions",
    "a version": "/console/versions/tag-2",
    "a variant": "/console/variants/default",
    "pins": "/console/pins",
    "pins by part of an id": "/console/pins?q=ffff",
    "stale pins": "/console/pins?stale=true",
    "instances": "/console/instances",
    "instances by start": "/console/instances?sort=resolved_at",
    "instances of a version": "/console/instances?image_tag=tag-5",
    "instances by part of an id": "/console/instances?q=ffff",
    "instances with drift": "/console/instances?drift=true",
    "outdated instances": "/console/instances?outdated=true",
    "a user": f"/console/users/{USER}",
    "sync": "/console/sync",
    "audit": "/console/audit",
    "search, by part of an id": "/console/search?q=ffff",
    "search, nothing found": "/console/search?q=nobody",
}


def measure(few: Stores, many: Stores) -> Iterator[Measurement]:
    """Each page as its handler answers it, with a rollout of 30 % in force."""
    for stores, instances, limit, rounds in (
        (few, FEW, FEW_MS, FEW_ROUNDS),
        (many, MANY, MANY_MS, ROUNDS),
    ):
        fill(stores, instances)
        stores.put(
            "POINTER", "default", revision=7, latest_tag="tag-2", candidate_tag="tag-1",
            percent=30, salt="0123456789abcdef",
        )  # fmt: skip
        with console_on(stores) as person:
            taken = {"overview, counted anew": _ms(person, "/console", rounds, kept=-1.0)}
            taken |= {page: _ms(person, path, rounds) for page, path in PAGES.items()}
        for page, milliseconds in taken.items():
            name = f"console, {page}, {instances:,} instances"
            yield at_most(name, milliseconds, limit, "ms")


def _ms(person: Person, path: str, rounds: int, kept: float = figures.KEPT_SECONDS) -> float:
    """The median, where figures of the whole fleet are kept for so many seconds."""
    with patch.object(figures, "KEPT_SECONDS", kept):
        person.get(path)
        return 1000 * median(seconds(lambda: person.get(path)) for _ in range(rounds))
