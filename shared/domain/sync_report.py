"""What a sync run reports: its counts, and what people have to mend."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Literal, NamedTuple, Self
from uuid import UUID

from shared.domain.values import Variant

Outcome = Literal["ok", "skipped_locked", "suspect_partial"]
Code = Literal[
    "digest_in_use",
    "digest_changed",
    "variant_changed",
    "invalid_entry",
    "invalid_pointer",
    "pointer_pending",
    "missing",
]
REJECTED_NAMED = 100
"""How many rejections a report names. `rejected_total` counts all."""


class Finding(NamedTuple):
    """Something that people have to mend.

    `image_tag` is the variant for `invalid_pointer` and `pointer_pending`.
    """

    image_tag: str
    code: Code
    detail: str


@dataclass(frozen=True, slots=True)
class SyncReport:
    """What a run saw and did.

    `failed_variants` could not be reconciled by this run. They are counted as a metric and are
    no part of the answer.
    """

    run_id: UUID
    outcome: Outcome
    seen: int = 0
    inserted: int = 0
    updated: int = 0
    filled: int = 0
    unchanged: int = 0
    deferred: int = 0
    missing: int = 0
    pointers_copied: int = 0
    rejected: tuple[Finding, ...] = ()
    rejected_total: int = 0
    duration_ms: int = 0
    failed_variants: tuple[Variant, ...] = ()

    @classmethod
    def parse(cls, run_id: UUID, outcome: Outcome, stored: Mapping[str, Any]) -> Self:
        """Read a stored report. Fields of other releases are ignored, or take their default."""
        names = {field.name for field in fields(cls)} - {"run_id", "outcome", "rejected"}
        counts = {name: value for name, value in stored.items() if name in names}
        rejected = tuple(
            Finding(item["image_tag"], item["code"], item["detail"])
            for item in stored.get("rejected", ())
        )
        return cls(run_id, outcome, rejected=rejected, **counts)

    def reject(self, findings: Sequence[Finding]) -> Self:
        """Add rejections: the first hundred by name, all of them by number."""
        return replace(
            self,
            rejected=(*self.rejected, *findings)[:REJECTED_NAMED],
            rejected_total=self.rejected_total + len(findings),
        )

    @property
    def wrote(self) -> bool:
        """Whether the run changed a version or a pointer."""
        return bool(self.inserted or self.updated or self.filled or self.pointers_copied)

    def as_json(self) -> dict[str, Any]:
        """The report as it is answered and stored."""
        report = asdict(self)
        del report["failed_variants"]
        rejected = [finding._asdict() for finding in self.rejected]
        return report | {"run_id": str(self.run_id), "rejected": rejected}
