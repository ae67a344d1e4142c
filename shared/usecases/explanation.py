"""Explain a decision about a user, with the facts that it rests on."""

from dataclasses import dataclass

from shared.catalog.connection import Database
from shared.domain.impact import tag_of
from shared.domain.pointer import Pointer
from shared.domain.resolution import Facts, Refusal, Resolution, decide, pointer_in_force
from shared.domain.values import ImageTag
from shared.kv import KV
from shared.usecases.provision import Start, gather


@dataclass(frozen=True, slots=True)
class Explanation:
    """What a start would be answered, and why."""

    facts: Facts
    decision: Resolution | Refusal

    @property
    def image_tag(self) -> ImageTag | None:
        """What would run; None if nothing may."""
        return tag_of(self.decision)

    @property
    def is_degraded(self) -> bool:
        """Whether an image was chosen without a store that was needed."""
        return isinstance(self.decision, Resolution) and self.decision.degraded

    @property
    def pointer(self) -> Pointer:
        """The pointer in force; the mirror where the KV was not asked."""
        return pointer_in_force(self.facts)


def explain_start(start: Start, *, database: Database, kv: KV) -> Explanation:
    """Decide as `provision` would now; record nothing.

    Raises CatalogUnavailable when neither store answers.
    """
    facts = gather(start, database, kv)
    return Explanation(facts, decide(facts))
