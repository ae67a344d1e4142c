"""Refuse `If-Match` on changes of what has no ETag."""

from aws_lambda_powertools.event_handler.api_gateway import Route

from shared.domain.errors import StaleRevision
from shared.http.base_resolver import HttpEvent
from shared.http.router import required_roles


def refuse_unmatchable(route: Route, event: HttpEvent) -> None:
    """Raises StaleRevision: no state there could be one that the header names.

    https://www.rfc-editor.org/rfc/rfc9110#section-13.1.1
    """
    changes = bool(required_roles(route)) and route.method != "GET"
    if changes and "if-match" in event.headers and not _takes_if_match(route):
        raise StaleRevision("what this changes has no ETag that If-Match could name")


def _takes_if_match(route: Route) -> bool:
    return any(header.alias == "if-match" for header in route.dependant.header_params)
