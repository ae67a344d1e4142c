"""The shapes of bodies and queries: strict, and nothing but what is declared.

In a body a null stands for what is omitted, wherever null is allowed.
"""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from functions.admin_api.fields import (
    DEFAULT_LIMIT,
    Cursor,
    GivenMoment,
    Limit,
    Notes,
    Reason,
    SearchText,
)
from shared.catalog.versions import Order, Sort
from shared.domain.model import Intent, Status
from shared.domain.values import ImageDigest, ImageTag, OpenclawVersion, Variant

STRICT = ConfigDict(strict=True, extra="forbid", frozen=True)
ONLY_WHEN_DISABLING: dict[str, Any] = {
    "required": ["status"],
    "properties": {"status": {"const": "disabled"}},
}


class PublishBody(BaseModel):
    """A version to publish; of a known tag, what is omitted stays."""

    model_config = STRICT

    image_tag: ImageTag
    openclaw_version: OpenclawVersion
    image_digest: ImageDigest | None = None
    variant: Variant | None = None
    notes: Notes | None = None
    published_at: GivenMoment | None = None
    set_latest: bool = False


class PatchVersionBody(BaseModel):
    """What to change. Empty notes empty them; `{}` changes nothing.

    When disabling, `replacement` takes over pins and latest, and `force` leaves pins suspended.
    """

    model_config = ConfigDict(
        **STRICT,
        json_schema_extra={
            "dependentSchemas": {
                "force": ONLY_WHEN_DISABLING,
                "replacement": {
                    "anyOf": [
                        {"properties": {"replacement": {"type": "null"}}},
                        ONLY_WHEN_DISABLING,
                    ]
                },
            }
        },
    )

    status: Status | None = None
    notes: Notes | None = None
    replacement: ImageTag | None = None
    force: bool = False

    @field_validator("replacement", "force")
    @classmethod
    def _only_when_disabling(cls, value: object, info: ValidationInfo) -> object:
        if value is not None and info.data.get("status") != "disabled":
            raise PydanticCustomError("misplaced", 'goes only with the status "disabled"')
        return value


class PromoteBody(BaseModel):
    """Why; it is kept in the log and must name nobody."""

    model_config = STRICT

    reason: Reason | None = None


class PinBody(BaseModel):
    """The version to pin, why, and until when. The reason is kept and must name nobody."""

    model_config = STRICT

    image_tag: ImageTag
    reason: Reason | None = None
    expires_at: GivenMoment | None = None


class NoQuery(BaseModel):
    """No parameters."""

    model_config = STRICT


class ListQuery(NoQuery):
    """A page of a list."""

    limit: Limit = DEFAULT_LIMIT
    cursor: Cursor | None = None


class VersionsQuery(ListQuery):
    """`q` is part of a tag, a version or notes."""

    status: Status | None = None
    variant: Variant | None = None
    q: SearchText | None = None
    sort: Sort = "published_at"
    order: Order = "desc"


class PinsQuery(ListQuery):
    """`q` is part of a user id or a reason."""

    image_tag: ImageTag | None = None
    state: Literal["applied", "expired", "suspended"] | None = None
    q: SearchText | None = None


class InstancesQuery(ListQuery):
    """Instances of one version, or all."""

    image_tag: ImageTag | None = None


class AuditQuery(ListQuery):
    """`subject` is a tag, a variant or a user id."""

    actor: SearchText | None = None
    action: SearchText | None = None
    subject: SearchText | None = None


class ResolutionQuery(NoQuery):
    """The start to explain."""

    variant: Variant | None = None
    intent: Intent = "provision"
