"""The resolver of the sign-in: it answers with redirects and small pages."""

from collections.abc import Sequence
from typing import Any

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.shared.cookies import Cookie
from markupsafe import Markup

from functions.sign_in.refusals import PAGES
from shared.domain.errors import Refused
from shared.http.base_resolver import BaseResolver
from shared.http.plain_page import PlainPage, plain_page
from shared.http.problems import RETRY_AFTER_SECONDS

HTML = "text/html; charset=utf-8"
UNAVAILABLE = 503
REFUSAL = Markup("""<p>{advice}</p>
<p><a class="button" href="/console">Go to the console</a></p>
<p class="muted">Request {request_id}</p>""")


class SignInResolver(BaseResolver):
    """Answers an HTTP API's events. Every refusal is counted, and shown as a page."""

    def __init__(self) -> None:
        super().__init__(enable_validation=False)

    @property
    def cookies(self) -> list[str]:
        """The cookies that the browser sent, each as `name=value`."""
        found: list[str] = self.event.raw_event.get("cookies", [])
        return found

    def refused(self, refusal: Refused) -> Response[Any]:
        """Answer with a page that says what to do next, and repeats nothing of the request."""
        self.context["deps"].telemetry.count(type(refusal).__name__)
        status, title, advice = PAGES[refusal.code]
        content = REFUSAL.format(advice=advice, request_id=self.event.request_id)
        response = show(plain_page(title, content), status)
        if status == UNAVAILABLE:
            response.headers["retry-after"] = str(RETRY_AFTER_SECONDS)
        if allowed := refusal.facts.get("allow"):
            response.headers["allow"] = str(allowed)
        return response


def show(page: PlainPage, status: int = 200, cookies: Sequence[Cookie] = ()) -> Response[Any]:
    return Response(status, HTML, page.html, dict(page.headers), list(cookies))


def lead_to(address: str, cookies: Sequence[Cookie] = ()) -> Response[Any]:
    """Redirect; the new address does not learn the old one, which may hold a code."""
    headers = {"location": address, "referrer-policy": "no-referrer"}
    return Response(303, headers=dict(headers), cookies=list(cookies))
