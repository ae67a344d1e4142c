"""Endpoints and idempotency keys: refused until they exist, never ignored."""

from aws_lambda_powertools.event_handler.api_gateway import Route

from shared.http.base_resolver import HttpEvent
from shared.http.problems import NotBuilt
from shared.http.query_strings import query_names
from shared.http.router import required_roles


def refuse_what_comes_later(route: Route, event: HttpEvent) -> None:
    """Raises NotBuilt naming all that a request asks for too early."""
    if not required_roles(route):
        return
    later = ["this endpoint"] if not route.include_in_schema else []
    later += _options(route, event)
    if later:
        raise NotBuilt(f"not built yet: {', '.join(later)}")


def _options(route: Route, event: HttpEvent) -> list[str]:
    asked = {
        "dry_run": "dry_run" in query_names(event.raw_query_string),
        "Idempotency-Key": "idempotency-key" in event.headers,
    }
    return [option for option, is_asked in asked.items() if is_asked and _takes(route, option)]


def _has(route: Route, name: str) -> bool:
    parameters = [*route.dependant.query_params, *route.dependant.header_params]
    return any(parameter.alias == name for parameter in parameters)


def _takes(route: Route, option: str) -> bool:
    """Whether the contract has the option for this operation; else it is an unknown one."""
    if option == "Idempotency-Key":
        return route.method == "POST"
    previewed = route.method != "GET" and route.path != "/v1/sync"
    return previewed and not _has(route, "dry_run")
