"""Instances: who runs what, beside what they would run."""

from functions.admin_api.current import deps
from functions.admin_api.fields import UserIdPath
from functions.admin_api.inputs import InstancesQuery
from functions.admin_api.outputs.instances import InstanceOutput, InstancesPage
from shared.domain.errors import InstanceNotFound, InvalidRequest, KVUnavailable
from shared.domain.values import IMAGE_TAG, USER_ID
from shared.http import pages
from shared.http.router import Router
from shared.usecases import instances

router = Router("instances")


@router.get("/v1/instances", refuses=(KVUnavailable,))
def list_instances(query: InstancesQuery) -> InstancesPage:
    """List instances, unordered."""
    after = pages.start(query, IMAGE_TAG.parse, USER_ID.parse)
    if query.image_tag and after and after[0] != query.image_tag:
        raise InvalidRequest(("cursor", "is not a cursor of this query"))
    found = instances.list_instances(
        query.image_tag, after, query.limit, catalog=deps().catalog, kv=deps().kv
    )
    items = [InstanceOutput.of(state) for state in found.items]
    return pages.whole_page(query, InstancesPage, items, found.next)


@router.get("/v1/instances/<user_id>", refuses=(InstanceNotFound, KVUnavailable))
def get_instance(user_id: UserIdPath) -> InstanceOutput:
    """Show what a user's instance was last told to run."""
    state = instances.get_instance(user_id, catalog=deps().catalog, kv=deps().kv)
    return InstanceOutput.of(state)


router.planned("GET", "/v1/distribution")
