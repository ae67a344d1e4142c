"""The report of a sync run: what is stored of it, read back and counted."""

from dataclasses import replace
from uuid import UUID

import pytest

from shared.domain.sync_report import Finding, SyncReport

RUN = UUID(int=1)
LOST = Finding("one", "missing", "the KV lost it")
REPORT = SyncReport(
    RUN, "ok", 1, 2, 3, 4, 5, 6, 7, 8, (LOST,), rejected_total=9, duration_ms=10,
    failed_variants=("gpu",),
)  # fmt: skip
STORED = {
    "run_id": str(RUN), "outcome": "ok", "seen": 1, "inserted": 2, "updated": 3, "filled": 4,
    "unchanged": 5, "deferred": 6, "missing": 7, "pointers_copied": 8, "rejected_total": 9,
    "rejected": [{"image_tag": "one", "code": "missing", "detail": "the KV lost it"}],
    "duration_ms": 10,
}  # fmt: skip


def test_a_report_is_stored_without_the_variants_that_failed() -> None:
    """The stored report is the answer, and reading it gives the report back."""
    assert REPORT.as_json() == STORED
    assert SyncReport.parse(RUN, "ok", STORED) == replace(REPORT, failed_variants=())


def test_a_report_of_another_release_is_read() -> None:
    """A field that this release lacks is ignored, and one that is absent has its default."""
    stored = {"seen": 3, "of_another_release": 1, "run_id": "another", "outcome": "another"}
    assert SyncReport.parse(RUN, "ok", stored) == SyncReport(RUN, "ok", seen=3)


def test_a_report_names_the_first_hundred_rejections_and_counts_all() -> None:
    """Rejections are added to those that were there, in order."""
    findings = [Finding(f"tag-{number}", "invalid_entry", "odd") for number in range(150)]
    report = SyncReport(RUN, "ok").reject(findings[:1]).reject(findings[1:])
    assert report.rejected == tuple(findings[:100])
    assert report.rejected_total == 150


@pytest.mark.parametrize("name", ["inserted", "updated", "filled", "pointers_copied"])
def test_a_run_that_changed_a_version_or_a_pointer_wrote(name: str) -> None:
    """What a run only saw or rejected is no write."""
    idle = replace(REPORT, inserted=0, updated=0, filled=0, pointers_copied=0)
    assert not idle.wrote
    assert replace(idle, **{name: 1}).wrote  # type: ignore[arg-type]
