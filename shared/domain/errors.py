"""What the domain refuses. An error has a code; shared.http.problems gives it a status."""

from typing import ClassVar

MOST_ERRORS = 20
"""The most faults of a request that are named. It can have thousands of unknown fields, and a
message of that size crashes Lambda's runtime."""


class InvalidValue(ValueError):
    """A value breaks its rule. The message says what is allowed and never repeats the value."""


class Refused(Exception):
    """A request was understood and refused. Nothing has changed.

    `facts` help the caller to go on; they appear in the answer under their names.
    """

    code: ClassVar[str]

    def __init__(self, detail: str, **facts: object) -> None:
        super().__init__(detail)
        self.detail = detail
        self.facts = facts


class VersionNotFound(Refused):
    code = "version_not_found"


class VariantNotFound(Refused):
    code = "variant_not_found"


class PinNotFound(Refused):
    code = "pin_not_found"


class InstanceNotFound(Refused):
    code = "instance_not_found"


class DigestInUse(Refused):
    """Another tag has the digest; `owner` names it."""

    code = "digest_in_use"


class DigestChanged(Refused):
    code = "digest_changed"


class VariantChanged(Refused):
    code = "variant_changed"


class TagRetired(Refused):
    code = "tag_retired"


class VersionNotActive(Refused):
    code = "version_not_active"


class VersionDisabled(Refused):
    code = "version_disabled"


class VersionInUse(Refused):
    """The version is the latest or the candidate of its variant."""

    code = "version_in_use"


class VersionPinned(Refused):
    """Users are pinned to the version; `pin_count` says how many."""

    code = "version_pinned"


class TooManyPins(Refused):
    """The version has more pins than one call can move; `pin_count` says how many."""

    code = "too_many_pins"


class RolloutInProgress(Refused):
    """Another version is the candidate; `candidate` names it."""

    code = "rollout_in_progress"


class RolloutHeld(Refused):
    code = "rollout_held"


class NotHeld(Refused):
    code = "not_held"


class NoLatest(Refused):
    code = "no_latest"


class AlreadyLatest(Refused):
    code = "already_latest"


class NothingToRollBackTo(Refused):
    code = "nothing_to_roll_back_to"


class StaleRevision(Refused):
    """The row is not in a state that `If-Match` names."""

    code = "stale_revision"


class InvalidReplacement(Refused):
    code = "invalid_replacement"


class InvalidRequest(Refused):
    """The request is malformed. `errors` lists `{"field", "message"}`, at most twenty."""

    code = "invalid_request"

    def __init__(self, *errors: tuple[str, str]) -> None:
        named = errors[:MOST_ERRORS]
        super().__init__(
            "; ".join(f"{field}: {message}" for field, message in named),
            errors=[{"field": field, "message": message} for field, message in named],
        )


class BulkRejected(Refused):
    """An item was refused, so nothing was done.

    `errors` lists `{"index", "user_id", "code", "message"}`.
    """

    code = "bulk_rejected"


class IdempotencyMismatch(Refused):
    """The key belongs to another request."""

    code = "idempotency_mismatch"


class IdempotencyInProgress(Refused):
    """The first request with this key still runs. Retry."""

    code = "idempotency_in_progress"


class NoVersionAvailable(Refused):
    """No rule yields a version that may run."""

    code = "no_version_available"


class CatalogUnavailable(Refused):
    """Postgres did not answer in time. Retry."""

    code = "catalog_unavailable"


class KVUnavailable(Refused):
    """DynamoDB did not answer in time. Retry."""

    code = "kv_unavailable"
