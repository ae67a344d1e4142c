"""The endpoints, in the order in which they are documented."""

from functools import cache

from functions.admin_api import (
    docs_page,
    instances,
    openapi,
    operations,
    pins,
    users,
    variants,
    versions,
)
from functions.admin_api.answers import Answer
from functions.admin_api.endpoints import Endpoint, Request, endpoint, planned
from functions.admin_api.requests import NoQuery


@endpoint("GET", "/openapi.json", role=None, answers={200: "application/json"})
def get_openapi(_request: Request[NoQuery, None]) -> Answer:
    """This API, as an OpenAPI 3.1 document."""
    return Answer(200, _document())


@endpoint("GET", "/docs", role=None, answers={200: "text/html"})
def get_docs(_request: Request[NoQuery, None]) -> Answer:
    """This API, as a page to read."""
    return Answer(200, _page(), docs_page.CONTENT_TYPE, docs_page.HEADERS)


ENDPOINTS: tuple[Endpoint, ...] = (
    versions.list_versions,
    versions.publish_version,
    versions.get_version,
    versions.change_version,
    versions.retire_version,
    versions.promote_version,
    variants.list_variants,
    variants.get_variant,
    planned("POST", "/v1/variants/{variant}/rollback"),
    planned("PUT", "/v1/variants/{variant}/rollout"),
    planned("DELETE", "/v1/variants/{variant}/rollout"),
    planned("POST", "/v1/variants/{variant}/rollout/resume"),
    pins.list_pins,
    planned("POST", "/v1/pins/bulk"),
    pins.get_pin,
    pins.put_pin,
    pins.remove_pin,
    users.explain_resolution,
    users.erase_user,
    instances.list_instances,
    instances.get_instance,
    planned("GET", "/v1/distribution"),
    operations.get_stats,
    operations.run_sync,
    operations.list_sync_runs,
    operations.list_sync_findings,
    operations.list_audit_events,
    get_openapi,
    get_docs,
)


@cache
def _document() -> str:
    return openapi.as_text(openapi.document(ENDPOINTS))


@cache
def _page() -> str:
    return docs_page.render(openapi.document(ENDPOINTS))
