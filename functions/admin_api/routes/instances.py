"""Instances: who runs what, beside what they would run."""

from functions.admin_api.current import deps
from functions.admin_api.fields import UserIdPath
from functions.admin_api.outputs.instances import (
    DistributionOutput,
    InstanceOutput,
    InstancesPage,
)
from functions.admin_api.queries import DistributionQuery, InstancesQuery
from shared.catalog.fleet import InstanceFilter
from shared.domain.errors import InstanceNotFound, KVUnavailable
from shared.domain.values import USER_ID
from shared.http import cursors, pages
from shared.http.router import Router
from shared.usecases import instances
from shared.usecases.instances import InstanceQuery

router = Router("instances")


@router.get("/v1/instances")
def list_instances(query: InstancesQuery) -> InstancesPage:
    """List instances from the catalog's copy of the fleet, seconds behind the KV."""
    after = pages.start(query, cursors.moment, USER_ID.parse)
    wanted = InstanceQuery(
        InstanceFilter(query.image_tag, query.variant, query.source, query.q),
        drift=bool(query.drift),
        outdated=bool(query.outdated),
        sort=query.sort,
    )
    found = instances.list_instances(
        wanted, after, query.limit + 1, catalog=deps().catalog, kv=deps().kv
    )
    items = [InstanceOutput.of(state) for state in found.items]
    return pages.page(
        query,
        InstancesPage,
        items,
        lambda item: (item.resolved_at, item.user_id),
        as_of=found.as_of,
    )


@router.get("/v1/instances/<user_id>", refuses=(InstanceNotFound, KVUnavailable))
def get_instance(user_id: UserIdPath) -> InstanceOutput:
    """Show what a user's instance was last told to run."""
    state = instances.get_instance(user_id, catalog=deps().catalog, kv=deps().kv)
    return InstanceOutput.of(state)


@router.get("/v1/distribution")
def get_distribution(query: DistributionQuery) -> DistributionOutput:
    """Count instances and pins by version, the most instances first."""
    with deps().catalog.transaction() as tx:
        items = tx.fleet.distribution(query.variant)
        as_of = tx.fleet.as_of()
    return DistributionOutput.model_validate({"items": items, "as_of": as_of})
