"""The steps of a sign-in, and the sign-out."""

from collections.abc import Mapping
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any
from urllib.parse import urlencode

from aws_lambda_powertools.event_handler import Response
from markupsafe import Markup

from functions.sign_in.dependencies import SignInDependencies
from functions.sign_in.next_page import CONSOLE, next_page
from functions.sign_in.refusals import DeniedByIssuer, NotBegunHere, TokenRefused
from functions.sign_in.resolver import SignInResolver, lead_to, show
from shared.http.cookies import ConsoleCookie
from shared.http.forms import FORM_TOKEN, read_form
from shared.http.plain_page import plain_page
from shared.http.same_origin import refuse_foreign_post, refuse_wrong_token
from shared.kv.pending_sign_ins import PENDING_SECONDS, PendingSignIn

app = SignInResolver()

SIGNED_OUT = Markup(
    '<p>Goodbye.</p>\n<p><a class="button" href="/console/sign-in">Sign in</a></p>'
)
LEAVING = Markup("""<p>Your session here has ended. The sign-in page ends its own now.</p>
<p><a class="button" href="{}">Go on</a></p>""")


def deps() -> SignInDependencies:
    found: SignInDependencies = app.context["deps"]
    return found


@app.get("/console/sign-in")
def begin() -> Response[Any]:
    """Remember a new sign-in, and lead to the issuer's page."""
    pending = PendingSignIn(next_page(_query().get("next")))
    address = deps().issuer.authorization_url(pending)
    id_ = deps().pending.begin(pending, datetime.now(UTC))
    return lead_to(address, [_cookie_of(pending.state).setting(id_, PENDING_SECONDS)])


@app.get("/console/signed-in")
def complete() -> Response[Any]:
    """Take the issuer's answer, open a session, and lead to the page that was wanted."""
    query, session_cookie = _query(), _session_cookie()
    pending = _take(query.get("state", ""))
    if "code" not in query:
        raise DeniedByIssuer("there is no code")
    caller = _redeem(query["code"], pending)
    if earlier := session_cookie.read(app.cookies):
        deps().sessions.end(earlier)
    session = deps().sessions.open(caller.actor, caller.roles, datetime.now(UTC))
    deps().telemetry.count("SignedIn")
    forgotten = _cookie_of(pending.state).clearing()
    return lead_to(pending.next_path, [session_cookie.setting(session.id), forgotten])


@app.post("/console/sign-out")
def sign_out() -> Response[Any]:
    """End the session; nobody but the console's own page can ask for it."""
    origin, event = deps().settings.sessions.origin, app.event
    refuse_foreign_post(event.headers, origin)
    cookie = _session_cookie()
    if session_id := cookie.read(app.cookies):
        form = read_form(event.body or "", is_base64=bool(event.is_base64_encoded))
        refuse_wrong_token(form.get(FORM_TOKEN), session_id)
        deps().sessions.end(session_id)
    return _leave(cookie)


@app.get("/console/sign-out")
def say_goodbye() -> Response[Any]:
    """Say that the person is signed out, if they are."""
    if _session_cookie().read(app.cookies):
        return lead_to(CONSOLE)
    return show(plain_page("You are signed out", SIGNED_OUT))


def _leave(cookie: ConsoleCookie) -> Response[Any]:
    """Forget the cookie, and have the issuer end its session too if it keeps one.

    Otherwise the next sign-in at this browser would ask for no password.
    """
    settings, forgotten = deps().settings, [cookie.clearing()]
    if settings.sign_out_url is None:
        return lead_to(settings.signed_out, forgotten)
    # https://docs.aws.amazon.com/cognito/latest/developerguide/logout-endpoint.html
    query = urlencode({"client_id": settings.client_id, "logout_uri": settings.signed_out})
    address = f"{settings.sign_out_url}?{query}"
    page = plain_page("Signing you out", LEAVING.format(address), then=address)
    return show(page, cookies=forgotten)


def _take(state: str) -> PendingSignIn:
    """The sign-in that this browser began with this state, which is used up now."""
    id_ = _cookie_of(state).read(app.cookies)
    pending = deps().pending.take(id_, state, datetime.now(UTC)) if id_ else None
    if pending is None:
        raise NotBegunHere("there is no such sign-in")
    return pending


def _redeem(code: str, pending: PendingSignIn) -> Any:
    try:
        return deps().issuer.redeem(code, pending)
    except TokenRefused as refusal:
        # The reason names claims and kinds of errors, never what a token holds.
        deps().telemetry.log("a token was refused", level="error", reason=refusal.detail)
        raise


def _session_cookie() -> ConsoleCookie:
    return ConsoleCookie.of(deps().settings.sessions.origin)


def _cookie_of(state: str) -> ConsoleCookie:
    """The cookie of one sign-in: those of several tabs stand beside one another."""
    mark = sha256(state.encode()).hexdigest()[:8]
    return ConsoleCookie.of(deps().settings.sessions.origin, f"kiloclaw-sign-in-{mark}")


def _query() -> Mapping[str, str]:
    return app.event.resolved_query_string_parameters
