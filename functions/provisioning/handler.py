"""Which image does this user's instance run? Invoked by the control plane at every start."""

from functools import cache
from os import environ
from typing import Any

from functions.provisioning.request import Destroy, is_report, parse
from shared.runtime.dependencies import Dependencies, wire
from shared.runtime.settings import Settings
from shared.runtime.telemetry import Telemetry, request_id
from shared.usecases.provision import Provisioned, forget, provision


@cache
def dependencies() -> Dependencies:
    return wire(Settings.stores(environ))


def handler(event: object, context: object) -> dict[str, Any]:
    """Raises InvalidRequest, NoVersionAvailable, CatalogUnavailable, KVUnavailable."""
    deps = dependencies()
    with deps.event(request_id(context)):
        if is_report(event):
            # Imported late: starts are faster without it.
            from functions.provisioning.report import answer as answer_report  # noqa: PLC0415

            return answer_report(event, deps)
        request = parse(event)
        if isinstance(request, Destroy):
            destroyed = forget(request.user_id, kv=deps.kv)
            return {"user_id": request.user_id, "destroyed": destroyed}
        answer = provision(request, database=deps.database, kv=deps.kv)
        _tell(answer, deps.telemetry)
        return answer.as_json()


def _tell(answer: Provisioned, telemetry: Telemetry) -> None:
    resolution = answer.resolution
    telemetry.count(f"ResolvedBy{resolution.source.title()}")
    if resolution.pin_state in {"expired", "suspended"}:
        telemetry.count("PinNotApplied")
    if resolution.degraded:
        telemetry.count("DegradedAnswer")
    if not answer.recorded:
        telemetry.count("NotRecorded")
