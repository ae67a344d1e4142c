"""The pure decision."""

from collections.abc import Iterator
from datetime import UTC, datetime

from shared.domain.model import Image, Instance
from shared.domain.pointer import Pointer, Rollout, StoredPointer
from shared.domain.resolution import Facts, decide
from tests.benchmarks.measuring import Measurement, at_most, percentile_99

ROUNDS = 20_000


def measure() -> Iterator[Measurement]:
    """A restart that asks every rule but the last."""
    pointer = Pointer(3, "latest-tag", Rollout("candidate", 10, "salt"))
    tags = ("latest-tag", "candidate", "running")
    images = {tag: Image(tag, None, "2026.11.1", "default", "active") for tag in tags}
    instance = Instance(
        "user", "running", None, "2026.11.1", "default", "pin", is_pinned=True,
        resolved_at="", decided_at="",
    )  # fmt: skip
    facts = Facts(
        "user",
        "restart",
        datetime.now(UTC),
        mirror=pointer,
        stored=StoredPointer(pointer, revision=3),
        images=images,
        instance=instance,
    )
    p99 = percentile_99(lambda: decide(facts), ROUNDS)
    yield at_most("decide, p99", p99 * 1e6, 10, "µs")
