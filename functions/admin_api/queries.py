"""Query strings. Parameters that are not declared are refused."""

from typing import Literal

from pydantic import BaseModel, Field

from functions.admin_api.fields import GivenMoment, OnlyTrue, Reason, SearchText
from functions.admin_api.inputs import WHY
from shared.catalog.audit import Action
from shared.catalog.fleet import InstanceSort
from shared.catalog.version_pages import Order, Sort
from shared.domain.model import Intent, Source, Status
from shared.domain.values import ImageTag, Variant
from shared.http.pages import PageQuery


class VersionsQuery(PageQuery):
    """Which versions, in which order."""

    status: Status | None = Field(None, description="Only versions of this status.")
    variant: Variant | None = Field(None, description="Only versions of this variant.")
    q: SearchText | None = Field(None, description="Part of a tag, a version or notes.")
    sort: Sort = Field("published_at", description="What to sort by.")
    order: Order = Field("desc", description="Which way to sort.")


class VariantsQuery(PageQuery):
    """All variants."""


class PinsQuery(PageQuery):
    """Which pins."""

    image_tag: ImageTag | None = Field(None, description="Only pins to this version.")
    state: Literal["applied", "expired", "suspended"] | None = Field(
        None, description="Only pins in this state."
    )
    stale: OnlyTrue | None = Field(
        None,
        description="Only pins that should be looked at: without an end and older than 90 "
        "days, or to a deprecated version.",
    )
    q: SearchText | None = Field(None, description="Part of a user id or a reason.")


class ReasonQuery(BaseModel):
    """Why it is done."""

    reason: Reason | None = Field(None, description=WHY)


class InstancesQuery(PageQuery):
    """Which instances, in which order."""

    image_tag: ImageTag | None = Field(None, description="Only instances of this version.")
    variant: Variant | None = Field(None, description="Only instances of this variant.")
    source: Source | None = Field(
        None, description="Only instances whose image was chosen by this rule."
    )
    q: SearchText | None = Field(None, description="Part of a user id.")
    drift: OnlyTrue | None = Field(
        None, description="Only instances that a restart would change."
    )
    outdated: OnlyTrue | None = Field(
        None, description="Only instances that an upgrade would change."
    )
    sort: InstanceSort = Field(
        "user_id", description="What to sort by: ids ascending, or the latest start first."
    )


class DistributionQuery(BaseModel):
    """Which versions."""

    variant: Variant | None = Field(None, description="Only versions of this variant.")


class SyncRunsQuery(PageQuery):
    """All runs."""


class FindingsQuery(PageQuery):
    """All open findings."""


class AuditQuery(PageQuery):
    """Which events."""

    actor: SearchText | None = Field(None, description="Only what this actor did.")
    action: Action | None = Field(None, description="Only this action.")
    subject: SearchText | None = Field(
        None, description="Only what is about this tag, variant or user."
    )
    since: GivenMoment | None = Field(None, description="Only from this time on.")
    until: GivenMoment | None = Field(None, description="Only before this time.")


class ResolutionQuery(BaseModel):
    """The start to explain."""

    variant: Variant | None = Field(
        None, description="The variant to start; the user's present one unless given."
    )
    intent: Intent = Field("provision", description="Why the instance starts.")


class DocsQuery(BaseModel):
    """The page, or a file of it."""

    file: Literal["start.js", "swagger-ui.js", "swagger-ui.css"] | None = Field(
        None, description="A file that the page needs; the page itself unless given."
    )
