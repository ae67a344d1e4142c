"""Versions: published, listed, changed, retired, promoted."""

from functions.admin_api.current import caller, deps, initiator, stores
from functions.admin_api.fields import DryRun, IfMatchHeader, ImageTagPath
from functions.admin_api.inputs import NO_REASON, PublishInput, ReasonInput, VersionChangeInput
from functions.admin_api.outputs.previews import PreviewOutput
from functions.admin_api.outputs.variants import PromotedOutput
from functions.admin_api.outputs.versions import (
    VersionDetailOutput,
    VersionOutput,
    VersionPage,
)
from functions.admin_api.queries import VersionsQuery
from functions.admin_api.routes.variants import READERS, show_moved
from shared.catalog.version_pages import VersionFilter
from shared.domain.errors import (
    DigestChanged,
    DigestInUse,
    InvalidReplacement,
    KVUnavailable,
    StaleRevision,
    TagRetired,
    TooManyPins,
    VariantChanged,
    VersionInUse,
    VersionNotActive,
    VersionNotFound,
    VersionPinned,
)
from shared.http import pages, version_pages
from shared.http.problems import Forbidden
from shared.http.router import Router
from shared.usecases.disable import VersionChange
from shared.usecases.preview_versions import (
    preview_promotion,
    preview_publication,
    preview_retirement,
    preview_version_change,
)
from shared.usecases.promote import promote
from shared.usecases.publish import Publication, publish
from shared.usecases.retire import retire
from shared.usecases.versions import change

router = Router("versions")


@router.get("/v1/versions", requires=READERS)
def list_versions(query: VersionsQuery) -> VersionPage:
    """List versions, the newest first unless asked otherwise."""
    after = version_pages.start(query, query.sort)
    wanted = VersionFilter(query.status, query.variant, query.q)
    with deps().catalog.transaction() as tx:
        rows = tx.versions.page(wanted, query.sort, query.order, after, query.limit + 1)
    return pages.page(query, VersionPage, rows, lambda row: version_pages.key(row, query.sort))


@router.post(
    "/v1/versions",
    requires="publisher",
    answers={201: "The new version", 200: "The version, whose tag was known"},
    refuses=(
        DigestInUse,
        DigestChanged,
        VariantChanged,
        TagRetired,
        VersionNotActive,
        StaleRevision,
        KVUnavailable,
    ),
)
def publish_version(
    body: PublishInput, dry_run: DryRun = "false", if_match: IfMatchHeader = None
) -> tuple[VersionOutput | PreviewOutput, int]:
    """Publish a version.

    The same again changes nothing, and no version becomes latest by itself. `If-Match` is about
    the variant: with `set_latest` it overruns no brake and no other move.
    """
    may_promote = deps().settings.publisher_may_promote or caller().may("admin")
    if body.set_latest and not may_promote:
        raise Forbidden("a publisher may not make a version the latest here")
    publication = Publication(**body.model_dump())
    given = stores(if_match)
    if dry_run == "true":
        return PreviewOutput.of(preview_publication(publication, **given)), 200
    published = publish(publication, by=initiator(), **given)
    return VersionOutput.model_validate(published.version), 201 if published.is_new else 200


@router.get("/v1/versions/<image_tag>", requires=READERS, refuses=(VersionNotFound,))
def get_version(image_tag: ImageTagPath) -> VersionDetailOutput:
    """Show a version with its pin and instance counts."""
    with deps().catalog.transaction() as tx:
        version = VersionOutput.model_validate(tx.versions.get(image_tag))
        return VersionDetailOutput(
            **dict(version),
            pin_count=tx.pins.count(image_tag),
            instance_count=tx.fleet.count(image_tag),
            as_of=tx.fleet.as_of(),
        )


@router.patch(
    "/v1/versions/<image_tag>",
    refuses=(
        VersionNotFound,
        StaleRevision,
        VersionInUse,
        VersionPinned,
        TooManyPins,
        InvalidReplacement,
        KVUnavailable,
    ),
)
def change_version(
    image_tag: ImageTagPath,
    body: VersionChangeInput,
    dry_run: DryRun = "false",
    if_match: IfMatchHeader = None,
) -> VersionOutput | PreviewOutput:
    """Change a version's status or notes.

    Disabling reaches everybody and strands nobody: pins move to the `replacement`, or stay
    suspended with `force`.
    """
    wanted = VersionChange(**body.model_dump(exclude={"reason"}))
    given = stores(if_match)
    if dry_run == "true":
        return PreviewOutput.of(preview_version_change(image_tag, wanted, **given))
    changed = change(image_tag, wanted, by=initiator(body.reason), **given)
    if changed.suspended:
        deps().telemetry.count("PinsSuspended", changed.suspended)
    return VersionOutput.model_validate(changed.version)


@router.delete(
    "/v1/versions/<image_tag>",
    refuses=(VersionNotFound, StaleRevision, VersionInUse, VersionPinned, KVUnavailable),
)
def retire_version(
    image_tag: ImageTagPath, dry_run: DryRun = "false", if_match: IfMatchHeader = None
) -> PreviewOutput | None:
    """Retire a version for good; its tag and digest stay taken."""
    if dry_run == "true":
        return PreviewOutput.of(preview_retirement(image_tag, **stores(if_match)))
    retire(image_tag, by=initiator(), **stores(if_match))
    return None


@router.post(
    "/v1/versions/<image_tag>/promote",
    refuses=(VersionNotFound, VersionNotActive, StaleRevision, KVUnavailable),
)
def promote_version(
    image_tag: ImageTagPath,
    body: ReasonInput = NO_REASON,
    dry_run: DryRun = "false",
    if_match: IfMatchHeader = None,
) -> PromotedOutput | PreviewOutput:
    """Make a version the latest of its variant.

    It ends a rollout of the same version. `If-Match` is about the variant, not the version:
    a pipeline that sends it overruns no brake and no other move.
    """
    given = stores(if_match)
    if dry_run == "true":
        return PreviewOutput.of(preview_promotion(image_tag, **given))
    return show_moved(promote(image_tag, by=initiator(body.reason), **given))
