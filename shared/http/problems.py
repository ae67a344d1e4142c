"""Turn refusals into problem documents (RFC 9457), by one table."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from shared.domain.errors import Refused

CONTENT_TYPE = "application/problem+json"
RETRY_AFTER_SECONDS = 5


class Unauthorized(Refused):
    """The request has no valid token."""

    code = "unauthorized"


class Forbidden(Refused):
    """The caller's roles do not allow this."""

    code = "forbidden"


class NoRole(Forbidden):
    """The caller has no role at all."""


class ForeignPost(Forbidden):
    """Another site made the caller's browser send this."""


class StaleForm(Forbidden):
    """The form belongs to another session."""


class UnknownPath(Refused):
    code = "not_found"


class MethodNotAllowed(Refused):
    """The path exists, but not with this method. `allow` lists its methods."""

    code = "method_not_allowed"


class Unexpected(Refused):
    """A fault of ours; the log has it."""

    code = "internal_error"


class Problem(NamedTuple):
    """The HTTP status and title of a code."""

    status: int
    title: str


PROBLEMS: Mapping[str, Problem] = {
    "unauthorized": Problem(401, "Unauthorized"),
    "forbidden": Problem(403, "Forbidden"),
    "not_found": Problem(404, "Not found"),
    "version_not_found": Problem(404, "Version not found"),
    "variant_not_found": Problem(404, "Variant not found"),
    "pin_not_found": Problem(404, "Pin not found"),
    "instance_not_found": Problem(404, "Instance not found"),
    "method_not_allowed": Problem(405, "Method not allowed"),
    "digest_in_use": Problem(409, "Digest in use"),
    "digest_changed": Problem(409, "Digest changed"),
    "variant_changed": Problem(409, "Variant changed"),
    "tag_retired": Problem(409, "Tag retired"),
    "version_not_active": Problem(409, "Version not active"),
    "version_disabled": Problem(409, "Version disabled"),
    "version_in_use": Problem(409, "Version in use"),
    "version_pinned": Problem(409, "Version pinned"),
    "too_many_pins": Problem(409, "Too many pins"),
    "invalid_replacement": Problem(409, "Invalid replacement"),
    "rollout_in_progress": Problem(409, "Rollout in progress"),
    "rollout_held": Problem(409, "Rollout held"),
    "not_held": Problem(409, "Not held"),
    "no_latest": Problem(409, "No latest"),
    "already_latest": Problem(409, "Already latest"),
    "nothing_to_roll_back_to": Problem(409, "Nothing to roll back to"),
    "no_version_available": Problem(409, "No version available"),
    "idempotency_in_progress": Problem(409, "Idempotency key in progress"),
    "stale_revision": Problem(412, "Stale revision"),
    "invalid_request": Problem(422, "Invalid request"),
    "bulk_rejected": Problem(422, "Bulk rejected"),
    "idempotency_mismatch": Problem(422, "Idempotency key mismatch"),
    "internal_error": Problem(500, "Internal error"),
    "catalog_unavailable": Problem(503, "Catalog unavailable"),
    "kv_unavailable": Problem(503, "KV unavailable"),
}


def problem(
    code: str,
    detail: str,
    facts: Mapping[str, object] | None = None,
    request_id: str | None = None,
) -> dict[str, Any]:
    """Make the document. `facts` are extra members and never replace the standard ones."""
    status, title = PROBLEMS[code]
    return {
        **(facts or {}),
        **({"request_id": request_id} if request_id else {}),
        "type": f"urn:kiloclaw:problem:{code}",
        "title": title,
        "status": status,
        "detail": detail,
        "code": code,
    }


def problem_headers(code: str, facts: Mapping[str, object]) -> dict[str, str]:
    """Return the headers that a status calls for (RFC 9110: 401, 405, 503)."""
    match PROBLEMS[code].status:
        case 401:
            return {"www-authenticate": "Bearer"}
        case 405:
            return {"allow": str(facts["allow"])}
        case 503:
            return {"retry-after": str(RETRY_AFTER_SECONDS)}
    return {}
