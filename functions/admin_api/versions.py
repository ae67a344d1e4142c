"""Versions: published, listed, changed, retired, promoted."""

from collections.abc import Mapping
from datetime import datetime

from functions.admin_api import cursor, models, paging
from functions.admin_api.answers import NO_CONTENT, Answer
from functions.admin_api.endpoints import Request, endpoint
from functions.admin_api.requests import (
    NoQuery,
    PatchVersionBody,
    PromoteBody,
    PublishBody,
    VersionsQuery,
)
from functions.admin_api.variants import describe
from shared.catalog.versions import SORTED_BY, Sort, VersionFilter
from shared.domain.errors import (
    DigestChanged,
    DigestInUse,
    InvalidReplacement,
    KVUnavailable,
    TagRetired,
    VariantChanged,
    VersionInUse,
    VersionNotActive,
    VersionNotFound,
    VersionPinned,
)
from shared.domain.model import Version
from shared.domain.values import IMAGE_TAG, OPENCLAW_VERSION, rfc3339
from shared.http.problems import Forbidden
from shared.usecases.disable import VersionChange
from shared.usecases.promote import promote
from shared.usecases.publish import Publication, publish
from shared.usecases.retire import retire
from shared.usecases.versions import change

KEYS: Mapping[str, cursor.Parse] = {
    "published_at": cursor.moment,
    "created_at": cursor.moment,
    "image_tag": IMAGE_TAG.parse,
    "openclaw_version": OPENCLAW_VERSION.parse,
}


@endpoint("GET", "/v1/versions", query=VersionsQuery, answers={200: models.VersionPage})
def list_versions(request: Request[VersionsQuery, None]) -> Answer:
    """List versions, the newest first unless asked otherwise."""
    query = request.query
    after = paging.start(request, *(KEYS[name] for name in SORTED_BY[query.sort]))
    wanted = VersionFilter(query.status, query.variant, query.q)
    with request.deps.catalog.transaction() as tx:
        rows = tx.versions.page(wanted, query.sort, query.order, after, query.limit + 1)
    return paging.page(request, models.VersionPage, rows, lambda row: _key(row, query.sort))


@endpoint(
    "POST",
    "/v1/versions",
    role="publisher",
    body=PublishBody,
    answers={201: models.Version, 200: models.Version},
    refusals=(
        DigestInUse,
        DigestChanged,
        VariantChanged,
        TagRetired,
        VersionNotActive,
        KVUnavailable,
    ),
)
def publish_version(request: Request[NoQuery, PublishBody]) -> Answer:
    """Publish a version; the same again changes nothing; none becomes latest by itself."""
    deps, body = request.deps, request.body
    may_promote = deps.settings.publisher_may_promote or request.caller.may("admin")
    if body.set_latest and not may_promote:
        raise Forbidden("a publisher may not make a version the latest here")
    publication = Publication(**body.model_dump())
    published = publish(publication, by=request.by, catalog=deps.catalog, kv=deps.kv)
    version = models.Version.model_validate(published.version)
    return Answer(201 if published.is_new else 200, version)


@endpoint(
    "GET",
    "/v1/versions/{image_tag}",
    answers={200: models.VersionDetail},
    refusals=(VersionNotFound, KVUnavailable),
)
def get_version(request: Request[NoQuery, None]) -> Answer:
    """One version, and how many users and instances have it."""
    tag, deps = request.values["image_tag"], request.deps
    with deps.catalog.transaction() as tx:
        version = models.Version.model_validate(tx.versions.get(tag))
        pins = tx.pins.count(tag)
    count = deps.kv.instances.count(tag)
    detail = models.VersionDetail(
        **dict(version),
        pin_count=pins,
        instance_count=count.instances,
        complete=count.complete,
    )
    return Answer(200, detail)


@endpoint(
    "PATCH",
    "/v1/versions/{image_tag}",
    body=PatchVersionBody,
    answers={200: models.Version},
    refusals=(VersionNotFound, VersionInUse, VersionPinned, InvalidReplacement, KVUnavailable),
)
def change_version(request: Request[NoQuery, PatchVersionBody]) -> Answer:
    """Change status or notes. Disabling reaches everybody and strands nobody."""
    tag, deps = request.values["image_tag"], request.deps
    wanted = VersionChange(**request.body.model_dump())
    changed = change(tag, wanted, by=request.by, catalog=deps.catalog, kv=deps.kv)
    if changed.suspended:
        deps.telemetry.count("PinsSuspended", changed.suspended)
    return Answer(200, models.Version.model_validate(changed.version))


@endpoint(
    "DELETE",
    "/v1/versions/{image_tag}",
    answers={204: None},
    refusals=(VersionNotFound, VersionInUse, VersionPinned, KVUnavailable),
)
def retire_version(request: Request[NoQuery, None]) -> Answer:
    """Retire a version for good; its tag and digest stay taken."""
    tag, deps = request.values["image_tag"], request.deps
    retire(tag, by=request.by, catalog=deps.catalog, kv=deps.kv)
    return NO_CONTENT


@endpoint(
    "POST",
    "/v1/versions/{image_tag}/promote",
    body=PromoteBody,
    body_required=False,
    answers={200: models.Promoted},
    refusals=(VersionNotFound, VersionNotActive, KVUnavailable),
)
def promote_version(request: Request[NoQuery, PromoteBody]) -> Answer:
    """Make a version the latest of its variant."""
    tag, deps = request.values["image_tag"], request.deps
    variant = promote(tag, by=request.by, catalog=deps.catalog, kv=deps.kv)
    with deps.catalog.transaction() as tx:
        [described] = describe(tx, [tx.variants.get(variant)])
    return Answer(200, models.Promoted(variant=described))


def _key(version: Version, sort: Sort) -> tuple[str, ...]:
    fields = (getattr(version, name) for name in SORTED_BY[sort])
    return tuple(rfc3339(it) if isinstance(it, datetime) else it for it in fields)
