"""The console's resolver: every page needs a session, and every post the session's token."""

from collections.abc import Callable
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, TypeVar, cast

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.api_gateway import Route
from aws_lambda_powertools.event_handler.api_gateway import Router as PowertoolsRouter

from functions.console.forms import Form, pairs, parse_form
from functions.console.rendering import (
    PageContext,
    quote_path,
    redirect,
    render,
    show_refusal,
)
from shared.domain.errors import Refused
from shared.http.auth import Caller
from shared.http.base_resolver import BaseResolver
from shared.http.cookies import ConsoleCookie
from shared.http.forms import FORM_TOKEN
from shared.http.problems import Forbidden, NoRole
from shared.http.router import ROLES, Roles, required_roles
from shared.http.same_origin import refuse_foreign_post, refuse_wrong_token
from shared.kv.sessions import Session

SIGN_IN = "/console/sign-in"
NOT_TYPED = {FORM_TOKEN, "seen", "seen_event", "file"}
"""Fields of forms in which no person types."""
MOST_SHOWN = 50
REFRESH = "x-refresh"
"""Marks what a page reads by itself. That does not keep a session alive."""
Handler = TypeVar("Handler", bound=Callable[..., Any])


class ConsoleRouter(PowertoolsRouter):
    """The routes of some pages. Everybody who has a role sees every page."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]

    def page(
        self, rule: str, requires: Roles = ("viewer", "publisher")
    ) -> Callable[[Handler], Handler]:
        return self._operation("GET", rule, requires)

    def action(self, rule: str, requires: Roles = "admin") -> Callable[[Handler], Handler]:
        return self._operation("POST", rule, requires)

    def public(self, rule: str) -> Callable[[Handler], Handler]:
        """Register a page that needs no session."""
        return self._operation("GET", rule, ())

    def _operation(
        self, method: str, rule: str, requires: Roles
    ) -> Callable[[Handler], Handler]:
        roles = (requires,) if isinstance(requires, str) else requires
        return self.route(rule, method, openapi_extensions={ROLES: roles})


class Console(BaseResolver):
    """Answers with pages. An event's context holds `session`; None before one was found."""

    def __init__(self) -> None:
        super().__init__(enable_validation=False)
        self.use([_admit])

    def refused(self, refusal: Refused) -> Response[str]:
        """Answer with a page that says what was refused and what to do next."""
        return show_refusal(refusal, self.page_context)

    @property
    def page_context(self) -> PageContext:
        return PageContext(self.context.get("session"), self.event.path, self.event.request_id)


def _admit(app: Console, next_middleware: Any) -> Response[Any]:
    """Find the session, and refuse whoever may not do this."""
    deps, event = app.context["deps"], app.event
    route: Route = app.context["_route"]
    with deps.event(event.request_id):
        if not required_roles(route):
            return cast("Response[Any]", next_middleware(app))
        cookie = ConsoleCookie.of(deps.origin).read(event.raw_event.get("cookies", []))
        is_used = REFRESH not in event.headers
        session = deps.sessions.find(cookie, datetime.now(UTC), is_used=is_used)
        if session is None:
            return _to_sign_in(app) if route.method == "GET" else _tell_of_end(app)
        app.context["session"] = session
        _authorize(session, route)
        if route.method != "GET":
            refuse_foreign_post(event.headers, deps.origin)
            form = _parse_form(app)
            token = form.pop(FORM_TOKEN, None)
            refuse_wrong_token(token if isinstance(token, str) else None, session.id)
            app.context["form"] = form
        return cast("Response[Any]", next_middleware(app))


def _authorize(session: Session, route: Route) -> None:
    caller = Caller(session.actor, session.roles)
    roles = required_roles(route) or ()
    if not session.roles:
        raise NoRole("you are signed in, but have no role here")
    if not any(map(caller.may, roles)):
        raise Forbidden(f"the role {' or '.join(roles)} is needed")


def _parse_form(app: Console) -> Form:
    """The form that was posted. Raises InvalidRequest."""
    event = app.event
    kind = event.headers.get("content-type", "")
    return parse_form(event.body or "", bool(event.is_base64_encoded), kind)


def _to_sign_in(app: Console) -> Response[Any]:
    """Lead to the sign-in, and back to the page from there."""
    path, query = quote_path(app.event.path), app.event.raw_query_string
    return redirect(SIGN_IN, next=f"{path}?{query}" if query else path)


def _tell_of_end(app: Console) -> Response[str]:
    """Show what was sent after the session's end, so that nobody has to type it again."""
    event, origin = app.event, app.context["deps"].origin
    refuse_foreign_post(event.headers, origin)
    form = _parse_form(app)
    typed = [(name, text) for name, text in pairs(form) if name not in NOT_TYPED and text]
    came_from = event.headers.get("referer", "").removeprefix(origin)
    return render(
        "session_ended.html",
        app.page_context,
        status=HTTPStatus.FORBIDDEN,
        typed=typed[:MOST_SHOWN],
        left_out=len(typed[MOST_SHOWN:]),
        back=came_from if came_from.startswith("/console") else "/console",
    )
