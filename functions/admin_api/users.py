"""Users: what they would run, and how they are forgotten."""

from functions.admin_api import models
from functions.admin_api.answers import NO_CONTENT, Answer
from functions.admin_api.endpoints import Request, endpoint
from functions.admin_api.requests import NoQuery, ResolutionQuery
from shared.domain.errors import KVUnavailable, NoVersionAvailable
from shared.usecases.pins import erase_user as erase
from shared.usecases.provision import Start, explain


@endpoint(
    "GET",
    "/v1/users/{user_id}/resolution",
    query=ResolutionQuery,
    answers={200: models.Resolution},
    refusals=(NoVersionAvailable,),
)
def explain_resolution(request: Request[ResolutionQuery, None]) -> Answer:
    """What provisioning would answer now, and why; records nothing."""
    query, deps = request.query, request.deps
    start = Start(request.values["user_id"], query.intent, query.variant)
    explained = explain(start, database=deps.database, kv=deps.kv)
    trace = [step._asdict() for step in explained.resolution.trace]
    answer = models.Resolution.model_validate({**explained.as_json(), "trace": trace})
    return Answer(200, answer)


@endpoint("DELETE", "/v1/users/{user_id}", answers={204: None}, refusals=(KVUnavailable,))
def erase_user(request: Request[NoQuery, None]) -> Answer:
    """Erase a person: pin, instance record, and who the log's pseudonym was."""
    deps = request.deps
    erase(request.values["user_id"], by=request.by, catalog=deps.catalog, kv=deps.kv)
    return NO_CONTENT
