"""Users: what they would run, and how they are forgotten."""

from functions.admin_api.current import deps, initiator
from functions.admin_api.fields import DryRun, UserIdPath
from functions.admin_api.outputs.previews import PreviewOutput
from functions.admin_api.outputs.resolutions import ResolutionOutput
from functions.admin_api.queries import ResolutionQuery
from shared.domain.errors import KVUnavailable, NoVersionAvailable
from shared.http.router import Router
from shared.usecases import pins
from shared.usecases.preview_users import preview_erasure
from shared.usecases.provision import Start, explain

router = Router("users")


@router.get("/v1/users/<user_id>/resolution", refuses=(NoVersionAvailable,))
def explain_resolution(user_id: UserIdPath, query: ResolutionQuery) -> ResolutionOutput:
    """Explain what provisioning would answer now; records nothing."""
    start = Start(user_id, query.intent, query.variant)
    return ResolutionOutput.of(explain(start, database=deps().database, kv=deps().kv))


@router.post("/v1/users/<user_id>/erase", refuses=(KVUnavailable,))
def erase_user(user_id: UserIdPath, dry_run: DryRun = "false") -> PreviewOutput | None:
    """Erase a person: pin, instance record, and the link to the pseudonym in the log.

    Idempotent.
    """
    if dry_run == "true":
        return PreviewOutput.of(preview_erasure(user_id, catalog=deps().catalog, kv=deps().kv))
    pins.erase_user(user_id, by=initiator(), catalog=deps().catalog, kv=deps().kv)
    return None
