"""Signing in and out, with the local issuer over HTTP and a real table: what is refused."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import RSAKey
from werkzeug.wrappers import Response

from functions.sign_in import handler
from infra.local.aws import issuer as local_issuer
from infra.local.aws.issuer import ALGORITHM, Issuer, Person
from infra.local.processes import free_port
from shared.kv.sessions import Session, form_token
from tests.support.signing_in import (
    EMAIL,
    ORIGIN,
    Browser,
    SignInSystem,
    consent,
    parameter,
    sign_in_system,
)

COOKIE = "__Host-kiloclaw"
SIGNED_IN = "/console/signed-in"
SIGN_OUT = "/console/sign-out"


@pytest.fixture(scope="module")
def shared_system(client: Any) -> Iterator[SignInSystem]:
    """One issuer and one table for all tests of the module."""
    with sign_in_system(client) as made:
        yield made


@pytest.fixture
def system(shared_system: SignInSystem) -> SignInSystem:
    """The system without any session or pending sign-in."""
    for item in (*shared_system.items("SESSION"), *shared_system.items("SIGN_IN")):
        shared_system.sessions.table.call("delete_item", Key={"id": item["id"]})
    return shared_system


@pytest.fixture
def browser(system: SignInSystem) -> Browser:
    return system.browser()


def session_of(system: SignInSystem, browser: Browser) -> Session | None:
    return system.sessions.find(browser.cookies.get(COOKIE), datetime.now(UTC))


def refused(system: SignInSystem, answer: Response, status: int, title: str) -> None:
    """Nobody is signed in, and a page says what to do: it is safe, and repeats nothing."""
    page = answer.get_data(as_text=True)
    assert (answer.status_code, title in page) == (status, True), page
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["referrer-policy"] == "no-referrer"
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "<script" not in page
    assert answer.headers["x-request-id"] in page
    assert system.items("SESSION") == []
    assert COOKIE not in dict(
        line.split("=", 1) for line in answer.headers.getlist("set-cookie")
    )


def test_a_person_signs_in_and_lands_where_they_wanted(
    system: SignInSystem, browser: Browser
) -> None:
    """The session has their address and their roles of this moment, under a new random id."""
    page = browser.begin("?next=%2Fconsole%2Fusers%2Fa%252Fb%3Fx%3D1")
    assert parameter(page, "redirect_uri") == f"{ORIGIN}{SIGNED_IN}"
    assert parameter(page, "code_challenge_method") == "S256"
    answer = browser.complete(page, role="publisher")
    assert (answer.status_code, answer.headers["location"]) == (303, "/console/users/a%2Fb?x=1")
    assert answer.headers["referrer-policy"] == "no-referrer"
    [cookie, forgotten] = answer.headers.getlist("set-cookie")
    assert cookie.startswith(f"{COOKIE}=")
    assert cookie.endswith("; Path=/; HttpOnly; Secure; SameSite=Lax")
    assert "Max-Age=0" in forgotten
    session = session_of(system, browser)
    assert session is not None
    assert (session.actor, session.roles) == (EMAIL, frozenset({"publisher"}))
    assert system.items("SIGN_IN") == []
    assert list(browser.cookies) == [COOKIE]


def test_what_is_known_of_a_sign_in_is_of_no_use_to_others(
    system: SignInSystem, browser: Browser
) -> None:
    """The table has no id of the browser, the address no verifier: each misses a half."""
    page = browser.begin()
    [cookie] = browser.cookies.values()
    [item] = system.items("SIGN_IN")
    assert cookie not in str(item)
    assert cookie not in page
    assert item["verifier"]["S"] not in page
    assert 590 <= int(item["expires_at"]["N"]) - time.time() <= 600


def test_two_tabs_sign_in_side_by_side(system: SignInSystem, browser: Browser) -> None:
    """Both succeed; the later session takes the place of the earlier one."""
    first, second = browser.begin("?next=/console/pins"), browser.begin("?next=/console/sync")
    assert browser.complete(first).headers["location"] == "/console/pins"
    earlier = browser.cookies[COOKIE]
    assert browser.complete(second).headers["location"] == "/console/sync"
    assert browser.cookies[COOKIE] != earlier
    assert len(system.items("SESSION")) == 1
    assert session_of(system, browser) is not None


def test_a_session_given_by_others_is_not_taken_over(
    system: SignInSystem, browser: Browser
) -> None:
    """A cookie that was there before never becomes the session of whoever signs in."""
    browser.cookies[COOKIE] = "x" * 43
    browser.sign_in()
    assert browser.cookies[COOKIE] != "x" * 43
    assert system.sessions.find("x" * 43, datetime.now(UTC)) is None


def test_a_person_without_a_role_gets_a_session(
    system: SignInSystem, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The console says that they may do nothing. Without an address the subject names them."""
    give(monkeypatch, system, email=None, **{"cognito:groups": ["strangers"]})
    assert browser.sign_in().status_code == 303
    session = session_of(system, browser)
    assert session is not None
    assert (session.actor, session.roles) == ("someone", frozenset())


def test_a_completed_sign_in_cannot_be_repeated(system: SignInSystem, browser: Browser) -> None:
    """Neither by the browser's history, with its old cookie, nor by another browser."""
    back = consent(browser.begin())
    cookies = dict(browser.cookies)
    assert browser.get(back).status_code == 303
    session = browser.cookies[COOKIE]
    system.sessions.end(session)
    for again in (browser, Browser(browser.invoke, cookies), system.browser()):
        refused(system, again.get(back), 400, "This sign-in cannot be completed")


@pytest.mark.parametrize("fault", ["state", "no state", "cookie", "cut", "swapped", "twice"])
def test_an_answer_that_this_browser_did_not_ask_for(
    system: SignInSystem, browser: Browser, fault: str
) -> None:
    """A wrong state, a missing, cut-off or foreign cookie: the code is not even redeemed."""
    page = browser.begin()
    back = consent(page)
    state = parameter(back, "state")
    [name] = browser.cookies
    if fault == "state":
        back = back.replace(state, "A" * 43)
    elif fault == "no state":
        back = back.replace(f"state={state}", "")
    elif fault == "cookie":
        browser.cookies.clear()
    elif fault == "cut":
        browser.cookies[name] = browser.cookies[name][:-1]
    elif fault == "swapped":
        other = system.browser()
        other.begin()
        [browser.cookies[name]] = other.cookies.values()
    else:
        browser.cookies = {name: f"{browser.cookies[name]}; {name}=x"}
    before = system.served.calls.count("POST /token")
    refused(system, browser.get(back), 400, "This sign-in cannot be completed")
    assert system.served.calls.count("POST /token") == before


def test_a_sign_in_waits_ten_minutes(system: SignInSystem, browser: Browser) -> None:
    """It counts as expired although the table still has it."""
    back = consent(browser.begin())
    [item] = system.items("SIGN_IN")
    expired = item | {"expires_at": {"N": str(int(time.time()))}}
    system.sessions.table.call("put_item", Item=expired)
    refused(system, browser.get(back), 400, "This sign-in cannot be completed")


@pytest.mark.parametrize("fault", ["used", "expired", "unknown"])
def test_a_code_that_is_no_longer_good(
    system: SignInSystem, browser: Browser, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A code holds once, and a minute at this issuer."""
    if fault == "expired":
        monkeypatch.setattr(local_issuer, "CODE_SECONDS", -1)
    back = consent(browser.begin())
    if fault == "used":
        system.served.issuer.redeem(parameter(back, "code"), "", "")
    if fault == "unknown":
        back = back.replace(parameter(back, "code"), "<script>")
    answer = browser.get(back)
    refused(system, answer, 400, "The sign-in took too long")


def give(monkeypatch: pytest.MonkeyPatch, system: SignInSystem, **claims: object) -> None:
    """Make the issuer put these claims into ID tokens, or leave them out where None."""
    issuer = system.served.issuer

    def id_token(_person: Person, nonce: str | None) -> str:
        usual = {"token_use": "id", "aud": local_issuer.CLIENT_ID, "nonce": nonce}
        all_claims = {"sub": "someone", "email": EMAIL} | usual | claims
        named = {name: value for name, value in all_claims.items() if value is not None}
        return issuer._sign(named)

    monkeypatch.setattr(issuer, "id_token", id_token)


@pytest.mark.parametrize(
    "claims",
    [
        {"nonce": "of another sign-in"},
        {"nonce": None},
        {"aud": "another-client"},
        {"aud": ["kiloclaw-console", "another-client"]},
        {"aud": None, "client_id": "kiloclaw-console"},
        {"iss": "http://127.0.0.1:1/local/issuer"},
        {"exp": 1_700_000_000},
        {"exp": "tomorrow"},
        {"iat": 4_000_000_000},
        {"token_use": "access"},
        {"token_use": None},
        {"sub": "", "email": None},
        {"email": "ana\x00@example.com"},
    ],
    ids=str,
)
def test_a_token_that_does_not_prove_this_sign_in(
    system: SignInSystem,
    browser: Browser,
    claims: dict[str, object],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is signed by the issuer, and yet of another sign-in, client, issuer, time or use."""
    give(monkeypatch, system, **claims)
    refused(system, browser.sign_in(), 403, "The sign-in could not be verified")


@pytest.mark.parametrize("fault", ["signature", "unsigned", "secret", "text", "none"])
def test_a_token_that_the_issuer_did_not_sign(
    system: SignInSystem, browser: Browser, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another key under the issuer's key id, no signature, a symmetric one, or no token."""
    issuer = system.served.issuer
    genuine = issuer.id_token
    kid = str(issuer._key.kid)

    def forged(person: Person, nonce: str | None) -> str | None:
        claims = jwt.decode(genuine(person, nonce), issuer._key).claims
        match fault:
            case "signature":
                other = RSAKey.generate_key(2048, {"alg": ALGORITHM})
                return jwt.encode({"alg": ALGORITHM, "kid": kid}, claims, other)
            case "unsigned":
                _, payload, _ = genuine(person, nonce).split(".")
                return f"eyJhbGciOiJub25lIn0.{payload}."
            case "secret":
                public = issuer._key.as_pem(private=False)
                return _signed_with_secret({"alg": "HS256", "kid": kid}, claims, public)
        return None if fault == "none" else "not.a.token"

    monkeypatch.setattr(issuer, "id_token", forged)
    refused(system, browser.sign_in(), 403, "The sign-in could not be verified")


def _signed_with_secret(header: dict[str, str], claims: dict[str, Any], secret: bytes) -> str:
    """Sign with a text that everybody knows: the issuer's public key."""
    parts = [
        base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=")
        for part in (header, claims)
    ]
    mac = hmac.new(secret, b".".join(parts), hashlib.sha256).digest()
    return b".".join([*parts, base64.urlsafe_b64encode(mac).rstrip(b"=")]).decode()


def test_the_issuer_may_change_its_key(system: SignInSystem, browser: Browser) -> None:
    """Keys are read once, and again when a token names a key that is not among them."""
    system.new_sandbox()
    before = system.served.calls.count("GET /jwks.json")
    for _ in range(2):
        assert browser.sign_in().status_code == 303
    system.served.issuer._key = Issuer(ORIGIN)._key
    assert browser.sign_in().status_code == 303
    assert system.served.calls.count("GET /jwks.json") - before == 2


def test_the_issuer_may_say_no(system: SignInSystem, browser: Browser) -> None:
    """What it says is not shown: anybody can write such an address."""
    state = parameter(browser.begin(), "state")
    answer = browser.get(
        f"{SIGNED_IN}?error=access_denied&error_description=Evil&state={state}"
    )
    refused(system, answer, 403, "You are not signed in")
    assert "Evil" not in answer.get_data(as_text=True)
    assert system.items("SIGN_IN") == []


DISCOVERY, KEYS, TOKENS = (
    "GET /.well-known/openid-configuration",
    "GET /jwks.json",
    "POST /token",
)
UNAVAILABLE = "Signing in is not possible right now"


@pytest.mark.parametrize(
    ("call", "status", "body"),
    [
        (DISCOVERY, 500, "{}"),
        (DISCOVERY, 302, ""),
        (DISCOVERY, 200, "<html>"),
        (DISCOVERY, 200, "[]"),
        (DISCOVERY, 200, '{"issuer": "https://another.example"}'),
        (DISCOVERY, 200, '{"issuer": "ITSELF"}'),
        (TOKENS, 500, "{}"),
        (TOKENS, 200, "<html>"),
        (TOKENS, 400, '{"error": "invalid_client"}'),
        (KEYS, 503, "{}"),
        (KEYS, 200, '{"keys": "none"}'),
    ],
)
def test_an_issuer_that_fails(
    system: SignInSystem,
    browser: Browser,
    call: str,
    status: int,
    body: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whatever it does wrong, the page says that signing in is not possible right now."""
    system.new_sandbox()
    address = "/console/sign-in" if call == DISCOVERY else consent(browser.begin())
    text = body.replace("ITSELF", system.served.issuer.url)
    monkeypatch.setitem(system.served._endpoints, call, lambda _: Response(text, status))
    answer = browser.get(address)
    refused(system, answer, 503, UNAVAILABLE)
    assert answer.headers["retry-after"] == "5"


def test_an_issuer_that_is_down(client: Any) -> None:
    """Nobody listens at its address."""
    with sign_in_system(client, ISSUER_URL=f"http://127.0.0.1:{free_port()}") as system:
        refused(system, system.browser().get("/console/sign-in"), 503, UNAVAILABLE)


def test_a_table_that_is_down(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody is signed in, and nobody is told that they are signed out."""
    with sign_in_system(client) as system:
        browser = system.browser()
        monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", f"http://127.0.0.1:{free_port()}")
        system.new_sandbox()
        title = "Sessions cannot be reached right now"
        refused(system, browser.get("/console/sign-in"), 503, title)
        browser.cookies[COOKIE] = "x" * 43
        form = {"form_token": form_token("x" * 43)}
        refused(system, browser.post(SIGN_OUT, form, origin=ORIGIN), 503, title)
        assert browser.cookies[COOKIE] == "x" * 43


def test_signing_out_ends_the_session(system: SignInSystem, browser: Browser) -> None:
    """The session and the cookie are gone, and the next page says so; no copy revives them."""
    browser.sign_in()
    session = session_of(system, browser)
    assert session is not None
    answer = browser.post(SIGN_OUT, {"form_token": session.form_token}, origin=ORIGIN)
    assert (answer.status_code, answer.headers["location"]) == (303, f"{ORIGIN}{SIGN_OUT}")
    assert system.items("SESSION") == []
    assert browser.cookies == {}
    page = browser.get(SIGN_OUT).get_data(as_text=True)
    assert "You are signed out" in page
    assert browser.post(SIGN_OUT, {}, origin=ORIGIN).status_code == 303


def test_the_issuer_ends_its_session_too(client: Any) -> None:
    """By a page that opens its address: the policy of the console's form allows no redirect."""
    with sign_in_system(client, SIGN_OUT_URL="https://auth.example.com/logout") as system:
        browser = system.browser()
        browser.sign_in()
        session = session_of(system, browser)
        assert session is not None
        answer = browser.post(SIGN_OUT, {"form_token": session.form_token}, origin=ORIGIN)
        page = answer.get_data(as_text=True)
        address = (
            "https://auth.example.com/logout?client_id=kiloclaw-console&amp;logout_uri="
            "https%3A%2F%2Fkiloclaw.example.com%2Fconsole%2Fsign-out"
        )
        assert answer.status_code == 200
        assert f'<meta http-equiv="refresh" content="0; url={address}">' in page
        assert f'href="{address}"' in page
        assert browser.cookies == {}
        assert system.items("SESSION") == []


@pytest.mark.parametrize(
    ("headers", "token"),
    [
        ({"origin": "https://evil.example"}, True),
        ({"origin": "null"}, True),
        ({"sec-fetch-site": "cross-site"}, True),
        ({"origin": ORIGIN}, False),
        ({"origin": ORIGIN}, None),
    ],
)
def test_nobody_else_signs_a_person_out(
    system: SignInSystem, browser: Browser, headers: dict[str, str], *, token: bool | None
) -> None:
    """A post of another site, or without the session's own token, changes nothing."""
    browser.sign_in()
    session = session_of(system, browser)
    assert session is not None
    tokens = {True: {"form_token": session.form_token}, False: {"form_token": form_token("x")}}
    answer = browser.post(
        SIGN_OUT, tokens.get(token, {}) if token is not None else {}, **headers
    )
    assert answer.status_code == 403
    assert "You are still signed in" in answer.get_data(as_text=True)
    assert session_of(system, browser) == session


def test_only_who_is_signed_out_is_told_so(browser: Browser) -> None:
    """With a session, the address of that page leads to the console."""
    browser.sign_in()
    answer = browser.get(SIGN_OUT)
    assert (answer.status_code, answer.headers["location"]) == (303, "/console")


@pytest.mark.parametrize(
    ("method", "target", "status"),
    [
        ("POST", "/console/sign-in", 405),
        ("GET", "/console/elsewhere", 404),
        ("GET", f"{SIGNED_IN}?state=a&state=b", 400),
        ("GET", "/console/sign-in?next=%ff", 400),
    ],
)
def test_what_is_no_step_of_a_sign_in(
    system: SignInSystem, browser: Browser, method: str, target: str, status: int
) -> None:
    """A page says so, whatever comes."""
    answer = browser.get(target) if method == "GET" else browser.post(target, {})
    refused(system, answer, status, "Go to the console")


def test_a_defect_is_counted_and_says_nothing(
    browser: Browser, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The metric `Unexpected` rings an alarm; the log has the place, not the values."""
    deps = handler.dependencies()
    monkeypatch.setattr(type(deps.issuer), "authorization_url", _fail)
    answer = browser.get("/console/sign-in")
    assert answer.status_code == 500
    printed = capsys.readouterr().out
    assert '"Unexpected":[1.0]' in printed
    assert "secret-value" not in printed + answer.get_data(as_text=True)


def _fail(*_: object) -> str:
    raise KeyError("secret-value")


def test_the_log_holds_no_secret(browser: Browser, capsys: pytest.CaptureFixture[str]) -> None:
    """Neither a code, a state, an id, a token nor a person's address is written."""
    back = consent(browser.begin())
    pending = dict(browser.cookies)
    browser.get(back)
    browser.get(back)
    printed = "".join(capsys.readouterr())
    assert '"SignedIn":[1.0]' in printed
    secrets = (parameter(back, "code"), parameter(back, "state"), EMAIL, *pending.values())
    assert not [secret for secret in (*secrets, *browser.cookies.values()) if secret in printed]
