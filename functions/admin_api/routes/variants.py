"""Variants: where each points, its rollout, its rollback."""

from collections.abc import Sequence

from functions.admin_api.current import deps, initiator, kept_target, stores
from functions.admin_api.fields import DryRun, IfMatchHeader, VariantPath
from functions.admin_api.inputs import NO_REASON, ReasonInput, RolloutInput
from functions.admin_api.outputs.previews import PreviewOutput
from functions.admin_api.outputs.variants import (
    PromotedOutput,
    PromotionOutput,
    ReportsOutput,
    VariantDetailOutput,
    VariantOutput,
    VariantPage,
)
from functions.admin_api.queries import ReasonQuery, VariantsQuery
from shared.catalog.transaction import Transaction
from shared.catalog.variants import Mirror
from shared.domain import values
from shared.domain.errors import (
    AlreadyLatest,
    KVUnavailable,
    NoLatest,
    NotHeld,
    NothingToRollBackTo,
    RolloutHeld,
    RolloutInProgress,
    StaleRevision,
    VariantNotFound,
    VersionNotActive,
    VersionNotFound,
)
from shared.domain.pointer import Brake
from shared.domain.values import VARIANT
from shared.http import pages
from shared.http.router import Roles, Router
from shared.usecases.preview_rollout import (
    preview_abort,
    preview_resume,
    preview_rollback,
    preview_rollout,
)
from shared.usecases.rollback import roll_back
from shared.usecases.rollout import WantedRollout, abort, read_reports, resume, roll_out

router = Router("variants")
READERS: Roles = ("viewer", "publisher")


@router.get("/v1/variants", requires=READERS)
def list_variants(query: VariantsQuery) -> VariantPage:
    """List variants by name, each from its first published version on."""
    (after,) = pages.start(query, VARIANT.parse) or (None,)
    with deps().catalog.transaction() as tx:
        mirrors = tx.variants.page(after, query.limit + 1)
        items = described(tx, mirrors[: query.limit])
    following = (items[-1].variant,) if len(mirrors) > query.limit else None
    return pages.whole_page(query, VariantPage, items, following)


@router.get("/v1/variants/<variant>", requires=READERS, refuses=(VariantNotFound,))
def get_variant(variant: VariantPath) -> VariantDetailOutput:
    """Show a variant, its rollout's reports, and the latest hundred moves of its latest."""
    with deps().catalog.transaction() as tx:
        mirror = tx.variants.get(variant)
        [shown] = described(tx, [mirror])
        promotions = tx.variants.promotions(variant)
    reports = read_reports(mirror.pointer, kv=deps().kv)
    moves = [PromotionOutput.model_validate(promotion) for promotion in promotions]
    return VariantDetailOutput(
        **dict(shown),
        reports=ReportsOutput.model_validate(reports) if reports else None,
        promotions=moves,
    ).with_etag(shown.etag)


@router.post(
    "/v1/variants/<variant>/rollback",
    refuses=(VariantNotFound, NothingToRollBackTo, StaleRevision, KVUnavailable),
)
def roll_variant_back(
    variant: VariantPath,
    body: ReasonInput = NO_REASON,
    dry_run: DryRun = "false",
    if_match: IfMatchHeader = None,
) -> PromotedOutput | PreviewOutput:
    """Roll back to the previous latest version.

    That is the newest version that was latest before the present one first was, and is still
    active. Rolling back again goes further back.
    """
    given = stores(if_match)
    if dry_run == "true":
        return PreviewOutput.of(preview_rollback(variant, **given))
    roll_back(variant, by=initiator(body.reason), kept=kept_target(), **given)
    return show_moved(variant)


@router.put(
    "/v1/variants/<variant>/rollout",
    refuses=(
        VariantNotFound,
        VersionNotFound,
        NoLatest,
        AlreadyLatest,
        RolloutInProgress,
        RolloutHeld,
        VersionNotActive,
        StaleRevision,
        KVUnavailable,
    ),
)
def put_rollout(
    variant: VariantPath,
    body: RolloutInput,
    dry_run: DryRun = "false",
    if_match: IfMatchHeader = None,
) -> PromotedOutput | PreviewOutput:
    """Roll a candidate out to a share of the users, or change the share.

    Raising it keeps everybody who has the candidate. Pins go before a rollout.
    """
    brake = Brake(**dict(body.brake)) if body.brake else None
    wanted = WantedRollout(body.image_tag, body.percent, brake)
    given = stores(if_match)
    if dry_run == "true":
        return PreviewOutput.of(preview_rollout(variant, wanted, **given))
    roll_out(variant, wanted, by=initiator(body.reason), **given)
    return show_moved(variant)


@router.delete(
    "/v1/variants/<variant>/rollout", refuses=(VariantNotFound, StaleRevision, KVUnavailable)
)
def abort_rollout(
    variant: VariantPath,
    query: ReasonQuery,
    dry_run: DryRun = "false",
    if_match: IfMatchHeader = None,
) -> PreviewOutput | None:
    """Abort the rollout: everybody is back at latest with their next provision or upgrade.

    Idempotent.
    """
    given = stores(if_match)
    if dry_run == "true":
        return PreviewOutput.of(preview_abort(variant, **given))
    abort(variant, by=initiator(query.reason), **given)
    return None


@router.post(
    "/v1/variants/<variant>/rollout/resume",
    refuses=(VariantNotFound, NotHeld, StaleRevision, KVUnavailable),
)
def resume_rollout(
    variant: VariantPath,
    query: ReasonQuery,
    dry_run: DryRun = "false",
    if_match: IfMatchHeader = None,
) -> PromotedOutput | PreviewOutput:
    """Lift the brake of a held rollout; its reports are counted anew."""
    given = stores(if_match)
    if dry_run == "true":
        return PreviewOutput.of(preview_resume(variant, **given))
    resume(variant, by=initiator(query.reason), **given)
    return show_moved(variant)


def described(tx: Transaction, mirrors: Sequence[Mirror]) -> list[VariantOutput]:
    """The variants with all versions that they name, which one statement reads."""
    tags = [
        tag for mirror in mirrors for tag in (mirror.latest_tag, mirror.candidate_tag) if tag
    ]
    versions = tx.versions.find_all(tags)
    return [VariantOutput.of(mirror, versions) for mirror in mirrors]


def show_moved(variant: values.Variant) -> PromotedOutput:
    """Answer a move with the variant as it is now."""
    with deps().catalog.transaction() as tx:
        [moved] = described(tx, [tx.variants.get(variant)])
    return PromotedOutput(variant=moved)
