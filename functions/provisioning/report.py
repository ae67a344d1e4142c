"""A report of how a start went. It is imported late: a start never needs it."""

from typing import Any, get_args

from functions.provisioning.request import Rules, check, one_of
from shared.domain.values import IMAGE_TAG, START_ID, USER_ID
from shared.kv.counters import StartOutcome
from shared.runtime.dependencies import Dependencies
from shared.usecases.report import Report, report

RULES: Rules = {
    "user_id": USER_ID.parse,
    "image_tag": IMAGE_TAG.parse,
    "outcome": one_of(*get_args(StartOutcome)),
    "start_id": START_ID.parse,
}


def parse(event: dict[object, object]) -> Report:
    """Read a report, whose every field is required. Raises InvalidRequest."""
    content = {name: value for name, value in event.items() if name != "intent"}
    return Report(**check(content, RULES, required=tuple(RULES)))


def answer(event: dict[object, object], deps: Dependencies) -> dict[str, Any]:
    """Count the report. Raises InvalidRequest, KVUnavailable."""
    reported = report(parse(event), kv=deps.kv)
    if reported.verdict.was_held_now:
        deps.telemetry.count("RolloutHeld")
    return {"counted": reported.counted, "held": reported.verdict.held}
