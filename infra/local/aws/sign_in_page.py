"""The issuer's HTTP endpoints: discovery, keys, the sign-in page and tokens."""

import json
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, urlencode
from uuid import NAMESPACE_URL, uuid5

from markupsafe import Markup
from werkzeug.wrappers import Request, Response

from infra.local.aws.issuer import CLIENT_ID, ISSUER, Issuer, Person
from shared.domain.roles import ROLES
from shared.http.plain_page import plain_page

EMAIL = re.compile(r"[^@\s]{1,64}@[^@\s]{1,190}")
CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")
CARRIED = (
    "response_type",
    "client_id",
    "redirect_uri",
    "state",
    "nonce",
    "code_challenge",
    "code_challenge_method",
)

FORM = Markup("""<p>This is the local system: say who you are, there is no password.</p>
{fault}<form method="post" action="{address}">
{hidden}
<label for="email">Email</label>
<input id="email" name="email" type="email" autocomplete="email" required autofocus>
<label for="role">Role</label>
<select id="role" name="role">{options}</select>
<button type="submit">Sign in</button>
</form>
""")
HIDDEN = Markup('<input type="hidden" name="{}" value="{}">')
OPTION = Markup("<option>{}</option>")
FAULT = Markup('<p class="bad" role="alert">{}</p>\n')
NOT_KEPT = {"cache-control": "no-store"}


class SignInPage:
    """Authorization code flow with PKCE, RFC 6749 and RFC 7636."""

    def __init__(self, issuer: Issuer) -> None:
        self._issuer = issuer

    def discovery(self, _request: Request) -> Response:
        return _json(200, self._issuer.discovery())

    def jwks(self, _request: Request) -> Response:
        return _json(200, self._issuer.jwks())

    def show(self, request: Request) -> Response:
        """Show the sign-in page, or refuse the client's request."""
        asked = _fields(request.query_string.decode())
        return self._refusal(asked) or self._page(asked)

    def submit(self, request: Request) -> Response:
        """Take the filled-in form, and redirect to the client with a code."""
        asked = _fields(request.get_data().decode("utf-8", "replace"))
        if refusal := self._refusal(asked):
            return refusal
        email, role = asked.get("email", "").strip(), asked.get("role", "")
        if not EMAIL.fullmatch(email) or role not in ROLES:
            return self._page(asked, "Enter an email address and choose a role.", 422)
        person = Person(str(uuid5(NAMESPACE_URL, f"mailto:{email}")), (role,), email)
        code = self._issuer.grant(
            person, asked["redirect_uri"], asked["code_challenge"], asked.get("nonce")
        )
        return _back(asked, code=code)

    def token(self, request: Request) -> Response:
        """Exchange a code for tokens; any fault of the code is `invalid_grant`."""
        asked = _fields(request.get_data().decode("utf-8", "replace"))
        if asked.get("grant_type") != "authorization_code":
            return _json(400, {"error": "unsupported_grant_type"})
        if asked.get("client_id") != CLIENT_ID:
            return _json(400, {"error": "invalid_client"})
        tokens = self._issuer.redeem(
            asked.get("code", ""),
            asked.get("redirect_uri", ""),
            asked.get("code_verifier", ""),
        )
        return _json(200, tokens) if tokens else _json(400, {"error": "invalid_grant"})

    def _refusal(self, asked: Mapping[str, str]) -> Response | None:
        """Why the request is refused, or None.

        Only a known client's own address is redirected to.
        """
        if asked.get("client_id") != CLIENT_ID:
            return _refused("Unknown client.")
        if not self._issuer.may_redirect_to(asked.get("redirect_uri", "")):
            return _refused("This redirect is not to the console here.")
        if asked.get("response_type") != "code":
            return _back(asked, error="unsupported_response_type")
        challenge = asked.get("code_challenge", "")
        if asked.get("code_challenge_method") != "S256" or not CHALLENGE.fullmatch(challenge):
            return _back(asked, error="invalid_request")
        return None

    def _page(
        self, asked: Mapping[str, str], fault: str | None = None, status: int = 200
    ) -> Response:
        hidden = (HIDDEN.format(name, asked[name]) for name in CARRIED if name in asked)
        form = FORM.format(
            address=f"{ISSUER}/authorize",
            fault=FAULT.format(fault) if fault else "",
            hidden=Markup("\n").join(hidden),
            options=Markup("").join(map(OPTION.format, ROLES)),
        )
        # The policy covers the redirects that answer the form, to the console's origin.
        back = asked["redirect_uri"].partition("/console")[0]
        return _html("Sign in", form, status, form_action=f"'self' {back}")


def _fields(text: str) -> dict[str, str]:
    """The fields of a form or a query; of a repeated one, the first."""
    return dict(reversed(parse_qsl(text, keep_blank_values=True)))


def _back(asked: Mapping[str, str], **answer: str) -> Response:
    state = {"state": asked["state"]} if "state" in asked else {}
    location = f"{asked['redirect_uri']}?{urlencode(answer | state)}"
    return Response(status=303, headers={"location": location, **NOT_KEPT})


def _json(status: int, content: dict[str, Any]) -> Response:
    return Response(json.dumps(content), status, NOT_KEPT, content_type="application/json")


def _refused(text: str) -> Response:
    return _html("Sign in", FAULT.format(text), 400)


def _html(title: str, content: Markup, status: int, form_action: str = "'none'") -> Response:
    page = plain_page(title, content, form_action=form_action)
    return Response(page.html, status, page.headers, content_type="text/html; charset=utf-8")
