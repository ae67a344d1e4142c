"""Keeps the catalog in agreement with the KV: every minute, or when invoked with `{}`.

After a store was restored or lost, `{"rebuild": "catalog"}` takes in what the KV has, without
the cap, and `{"rebuild": "kv"}` writes what the KV has lost. `{"rebuild": "fleet"}` makes the
fleet's copy equal to the KV; `next` of its answer is sent along to go on.
`{"release_claim": "sha256:…"}` frees the digest of a tag that nobody can run.

Each run seals the audit log; `{"verify": "audit"}` recomputes its seals, the newest first.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from os import environ
from typing import Any, Literal

from shared.catalog.runs import Trigger
from shared.domain.errors import InvalidRequest, InvalidValue
from shared.domain.fleet_position import FleetPosition
from shared.domain.model import Initiator
from shared.domain.sync_report import SyncReport
from shared.domain.values import IMAGE_DIGEST, ImageDigest
from shared.runtime.dependencies import Dependencies, wire
from shared.runtime.settings import Settings
from shared.runtime.telemetry import request_id
from shared.usecases.rebuild import rebuild_kv
from shared.usecases.rebuild_fleet import rebuild_fleet
from shared.usecases.release_claim import release_claim
from shared.usecases.seal import seal_events
from shared.usecases.sync import run_sync
from shared.usecases.verify_audit import verify_audit

NO_CAP = 0
OPERATOR = "operator"
"""Whoever invoked the function: AWS knows who that was, by the id of the request."""
EVENT_SECONDS = 55.0
"""Stores are asked no longer than this: the function has 60 s."""
RUN_SECONDS = 40.0
"""After these a run takes no more new versions: it must end before the function's time does."""
SEAL_SECONDS = 5.0
"""After these a run begins no further seal: the next run goes on."""
VERIFY_SECONDS = 45.0
"""After these no further seal is recomputed."""
HASH_BYTES = 6
"""A metric is a number, and holds exactly the first so many bytes of a hash."""

Payload = Literal["rebuild_kv", "rebuild_catalog", "verify_audit"]
PAYLOADS = (
    'must be {}, {"rebuild": "kv"|"catalog"|"fleet"}, {"release_claim": digest},'
    ' {"verify": "audit"} or a scheduled event'
)


@cache
def dependencies() -> Dependencies:
    return wire(Settings.sync(environ))


def handler(event: object, context: object) -> dict[str, Any]:
    """The run's report. Raises InvalidRequest, CatalogUnavailable, KVUnavailable."""
    deps = dependencies()
    with deps.event(request_id(context), EVENT_SECONDS):
        match _parse(event):
            case ClaimRelease(digest):
                by = Initiator(OPERATOR, request_id(context))
                tag = release_claim(digest, by=by, catalog=deps.catalog, kv=deps.kv)
                return {"image_digest": digest, "image_tag": tag}
            case FleetPosition() as position:
                return _rebuild_fleet(position, deps)
            case "rebuild_kv":
                return _rebuild_kv(deps)
            case "verify_audit":
                return _verify_audit(deps)
            case "rebuild_catalog":
                return _run_sync(deps, NO_CAP, "direct")
            case trigger:
                return _run_sync(deps, deps.settings.sync_max_new, trigger)


@dataclass(frozen=True, slots=True)
class ClaimRelease:
    """Free this digest."""

    digest: ImageDigest


def _parse(event: object) -> Trigger | Payload | FleetPosition | ClaimRelease:
    match event:
        case dict() if not event:
            return "direct"
        case {"source": "aws.scheduler"}:
            return "schedule"
        case {"rebuild": copy, **more}:
            return _parse_rebuild(copy, more)
        case {"release_claim": digest, **more} if not more:
            return ClaimRelease(_parse_digest(digest))
        case {"verify": "audit", **more} if not more:
            return "verify_audit"
    raise InvalidRequest(("payload", PAYLOADS))


def _parse_rebuild(copy: object, more: Mapping[Any, object]) -> Payload | FleetPosition:
    match copy:
        case "kv" if not more:
            return "rebuild_kv"
        case "catalog" if not more:
            return "rebuild_catalog"
        case "fleet" if more.keys() <= {"next"}:
            return _parse_position(more.get("next"))
    raise InvalidRequest(("payload", PAYLOADS))


def _parse_digest(value: object) -> ImageDigest:
    try:
        return IMAGE_DIGEST.parse(value)
    except InvalidValue as error:
        raise InvalidRequest(("release_claim", str(error))) from None


def _parse_position(value: object) -> FleetPosition:
    try:
        return FleetPosition.start() if value is None else FleetPosition.parse(value)
    except InvalidValue as error:
        raise InvalidRequest(("next", str(error))) from None


def _run_sync(deps: Dependencies, cap: int, trigger: Trigger) -> dict[str, Any]:
    with deps.catalog.transaction() as tx:
        age = tx.runs.age()
    try:
        report = run_sync(
            catalog=deps.catalog, kv=deps.kv, cap=cap, trigger=trigger, seconds=RUN_SECONDS
        )
    finally:
        _seal(deps)  # the log goes on while the KV is down
    with deps.catalog.transaction() as tx:
        tx.runs.prune()
        tx.idempotency_keys.prune()
        open_findings = tx.runs.count_open()
        held = tx.variants.count_held()
    deps.telemetry.count("HeldRollouts", held)
    deps.telemetry.count("OpenFindings", open_findings)
    _tell(report, age, deps)
    return report.as_json()


def _seal(deps: Dependencies) -> None:
    """Seal the audit log, and write its newest seal where nobody can change it afterwards."""
    sealing = seal_events(deps.catalog, SEAL_SECONDS)
    deps.telemetry.count("OverdueEvents", sealing.overdue)
    if newest := sealing.newest:
        deps.telemetry.count("NewestSeal", newest.id)
        deps.telemetry.count("NewestSealHash", int.from_bytes(newest.hash[:HASH_BYTES]))
        deps.telemetry.log(
            "audit log sealed",
            sealed=sealing.sealed,
            overdue=sealing.overdue,
            newest_seal=newest.id,
            newest_hash=newest.hash.hex(),
        )


def _verify_audit(deps: Dependencies) -> dict[str, Any]:
    verification = verify_audit(deps.catalog, seconds=VERIFY_SECONDS)
    answer = verification.as_json()
    deps.telemetry.count("AuditNotVerified", 0 if verification.ok else 1)
    level: Literal["info", "error"] = "info" if verification.ok else "error"
    deps.telemetry.log("audit log verified", level=level, **answer)
    return answer


def _rebuild_kv(deps: Dependencies) -> dict[str, Any]:
    report = rebuild_kv(catalog=deps.catalog, kv=deps.kv, seconds=RUN_SECONDS).as_json()
    deps.telemetry.log("the KV was rebuilt", **report)
    return report


def _rebuild_fleet(position: FleetPosition, deps: Dependencies) -> dict[str, Any]:
    report = rebuild_fleet(position, catalog=deps.catalog, kv=deps.kv, seconds=RUN_SECONDS)
    deps.telemetry.log(
        "the fleet's copy was rebuilt",
        read=report.read,
        written=report.written,
        removed=report.removed,
        done=report.done,
    )
    return report.as_json()


def _tell(report: SyncReport, age: float | None, deps: Dependencies) -> None:
    deps.telemetry.count(f"Sync{report.outcome.title().replace('_', '')}")
    deps.telemetry.count("FailedVariants", len(report.failed_variants))
    if age is not None:
        deps.telemetry.seconds("CatalogAge", age)
    deps.telemetry.log(
        "sync run",
        run_id=str(report.run_id),
        outcome=report.outcome,
        seen=report.seen,
        inserted=report.inserted,
        deferred=report.deferred,
        rejected=report.rejected_total,
        failed_variants=report.failed_variants,
        duration_ms=report.duration_ms,
    )
