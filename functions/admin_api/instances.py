"""Instances: who runs what, beside what they would run."""

from functions.admin_api import models, paging
from functions.admin_api.answers import Answer
from functions.admin_api.endpoints import Request, endpoint
from functions.admin_api.requests import InstancesQuery, NoQuery
from shared.domain.errors import InstanceNotFound, KVUnavailable
from shared.domain.resolution import Resolution
from shared.domain.values import IMAGE_TAG, USER_ID
from shared.usecases import instances
from shared.usecases.instances import InstanceState


@endpoint(
    "GET",
    "/v1/instances",
    query=InstancesQuery,
    answers={200: models.InstancePage},
    refusals=(KVUnavailable,),
)
def list_instances(request: Request[InstancesQuery, None]) -> Answer:
    """List instances, in no order that means anything."""
    query, deps = request.query, request.deps
    after = paging.start(request, IMAGE_TAG.parse, USER_ID.parse)
    page = instances.list_instances(
        query.image_tag, after, query.limit, catalog=deps.catalog, kv=deps.kv
    )
    items = [_instance(state) for state in page.items]
    return paging.whole_page(request, models.InstancePage, items, page.next)


@endpoint(
    "GET",
    "/v1/instances/{user_id}",
    answers={200: models.Instance},
    refusals=(InstanceNotFound, KVUnavailable),
)
def get_instance(request: Request[NoQuery, None]) -> Answer:
    """What a user's instance was last told to run."""
    deps = request.deps
    state = instances.get_instance(request.values["user_id"], catalog=deps.catalog, kv=deps.kv)
    return Answer(200, _instance(state))


def _instance(state: InstanceState) -> models.Instance:
    record = state.instance
    return models.Instance(
        user_id=record.user_id,
        image_tag=record.image_tag,
        image_digest=record.image_digest,
        openclaw_version=record.openclaw_version,
        variant=record.variant,
        source=record.source,
        is_pinned=record.is_pinned,
        resolved_at=record.resolved_at,
        pin=models.Pin.model_validate(state.pin) if state.pin else None,
        expected=_expected(state.expected) if state.expected else None,
        drift=state.drift,
        outdated=state.outdated,
    )


def _expected(resolution: Resolution) -> models.Expected:
    image = resolution.image
    return models.Expected.model_validate(
        {
            "image_tag": image.image_tag,
            "image_digest": image.image_digest,
            "openclaw_version": image.openclaw_version,
            "variant": image.variant,
            "source": resolution.source,
            "pin_state": resolution.pin_state,
            "status": image.status,
        }
    )
