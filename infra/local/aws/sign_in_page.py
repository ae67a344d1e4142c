"""The issuer's HTTP endpoints: discovery, keys, the sign-in page and tokens."""

import base64
import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, urlencode
from uuid import NAMESPACE_URL, uuid5

from markupsafe import Markup
from werkzeug.wrappers import Request, Response

from infra.local.aws.issuer import CLIENT_ID, Issuer, Person
from shared.domain.roles import ROLES

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

STYLE = (
    "body{font:1rem/1.5 system-ui,sans-serif;max-width:22rem;margin:15vh auto;padding:0 1rem}"
    "label,input,select,button{display:block;width:100%;box-sizing:border-box}"
    "input,select,button{font:inherit;padding:.5rem;margin:.25rem 0 1rem}"
)
STYLE_HASH = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
PAGE = Markup("""<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Sign in · KiloClaw</title><style>{style}</style></head>
<body><main>
<h1>Sign in</h1>
<p>This is the local system: say who you are, there is no password.</p>
{fault}<form method="post" action="/local/issuer/authorize">
{hidden}
<label for="email">Email</label>
<input id="email" name="email" type="email" autocomplete="email" required autofocus>
<label for="role">Role</label>
<select id="role" name="role">{options}</select>
<button type="submit">Sign in</button>
</form>
</main></body></html>
""")
HIDDEN = Markup('<input type="hidden" name="{}" value="{}">')
OPTION = Markup("<option>{}</option>")
FAULT = Markup('<p role="alert">{}</p>\n')
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
            return _html(Markup("<p>Unknown client.</p>"), 400)
        if not self._issuer.may_redirect_to(asked.get("redirect_uri", "")):
            return _html(Markup("<p>This redirect is not to the console here.</p>"), 400)
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
        page = PAGE.format(
            style=Markup(STYLE),  # noqa: S704  a constant
            fault=FAULT.format(fault) if fault else "",
            hidden=Markup("\n").join(hidden),
            options=Markup("").join(map(OPTION.format, ROLES)),
        )
        return _html(page, status, redirect=asked["redirect_uri"])


def _fields(text: str) -> dict[str, str]:
    """The fields of a form or a query; of a repeated one, the first."""
    return dict(reversed(parse_qsl(text, keep_blank_values=True)))


def _back(asked: Mapping[str, str], **answer: str) -> Response:
    state = {"state": asked["state"]} if "state" in asked else {}
    location = f"{asked['redirect_uri']}?{urlencode(answer | state)}"
    return Response(status=303, headers={"location": location, **NOT_KEPT})


def _json(status: int, content: dict[str, Any]) -> Response:
    return Response(json.dumps(content), status, NOT_KEPT, content_type="application/json")


def _html(page: Markup, status: int, redirect: str = "") -> Response:
    """The policy's `form-action` covers the redirect that answers the form."""
    policy = (
        f"default-src 'none'; style-src 'sha256-{STYLE_HASH}'; "
        f"form-action 'self' {redirect}; base-uri 'none'; frame-ancestors 'none'"
    )
    headers = {
        "content-security-policy": policy,
        "referrer-policy": "no-referrer",
        "x-content-type-options": "nosniff",
        **NOT_KEPT,
    }
    return Response(page, status, headers, content_type="text/html; charset=utf-8")
