"""The local issuer signs for whom it should, and its codes hold once."""

import json
import re
import time
from dataclasses import replace
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from werkzeug.wrappers import Request, Response

from infra.local.aws.issuer import CLIENT_ID, BadToken, Issuer, Person, challenge_of
from infra.local.aws.sign_in_page import SignInPage
from tests.support.http_requests import http_request

ORIGIN = "http://127.0.0.1:8080"
CALLBACK = f"{ORIGIN}/console/callback"
VERIFIER = "v" * 43
ASKED = {
    "response_type": "code",
    "client_id": CLIENT_ID,
    "redirect_uri": CALLBACK,
    "state": "s&1",
    "nonce": "n",
    "code_challenge": challenge_of(VERIFIER),
    "code_challenge_method": "S256",
}
FILLED_IN = ASKED | {"email": "ana@example.com", "role": "admin"}


@pytest.fixture(scope="module")
def issuer() -> Issuer:
    return Issuer(ORIGIN)


@pytest.fixture
def sign_in(issuer: Issuer) -> SignInPage:
    return SignInPage(issuer)


def post(fields: dict[str, str]) -> Request:
    return http_request("POST", "/", body=urlencode(fields).encode())


def location(response: Response) -> str:
    return response.headers["location"]


def code_for(sign_in: SignInPage, **changes: str) -> str:
    target = location(sign_in.submit(post(FILLED_IN | changes)))
    return parse_qs(urlsplit(target).query)["code"][0]


def exchange(code: str, /, **changes: str) -> Request:
    fields = {
        "grant_type": "authorization_code",
        "client_id": CLIENT_ID,
        "redirect_uri": CALLBACK,
        "code": code,
        "code_verifier": VERIFIER,
    }
    return post(fields | changes)


def test_challenge() -> None:
    """The challenge is that of the example in RFC 7636, appendix B."""
    verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
    assert challenge_of(verifier) == "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"


def test_a_token_says_who(issuer: Issuer) -> None:
    """A token has the subject, the email, and the groups if there are any."""
    claims = issuer.verify(issuer.access_token(Person("ana", ("admin",), "ana@example.com")))
    assert claims["sub"] == "ana"
    assert claims["cognito:groups"] == ["admin"]
    assert claims["email"] == "ana@example.com"
    assert claims["iss"] == f"{ORIGIN}/local/issuer"
    assert claims["exp"] - claims["iat"] == 3600
    assert "cognito:groups" not in issuer.verify(issuer.access_token(Person("ana")))


def test_an_expired_token(issuer: Issuer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A token is refused after its hour."""
    token = issuer.access_token(Person("ana"))
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 3601)
    with pytest.raises(BadToken):
        issuer.verify(token)


def test_tokens_of_another_issuer_or_client(
    issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A well-signed token of another issuer, or for another client, is refused."""
    with monkeypatch.context() as patch:
        patch.setattr(issuer, "url", "http://elsewhere")
        of_another_issuer = issuer.access_token(Person("ana"))
    with monkeypatch.context() as patch:
        patch.setattr("infra.local.aws.issuer.CLIENT_ID", "another")
        for_another_client = issuer.id_token(Person("ana"), None)
    for token in (of_another_issuer, for_another_client, "", "x.y.z", "é"):
        with pytest.raises(BadToken):
            issuer.verify(token)


def test_the_page_has_fields_and_no_script(sign_in: SignInPage) -> None:
    """The page has labelled fields and a button, keeps the request, and runs no script."""
    page = sign_in.show(http_request("GET", "/", urlencode(ASKED)))
    text = page.get_data(as_text=True)
    assert page.status_code == 200
    assert '<label for="email">Email</label>' in text
    assert '<label for="role">Role</label>' in text
    assert '<button type="submit">Sign in</button>' in text
    assert re.findall("<option>([a-z]+)</option>", text) == ["viewer", "publisher", "admin"]
    assert '<input type="hidden" name="state" value="s&amp;1">' in text
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script" not in policy + text


def test_text_of_others_is_escaped(sign_in: SignInPage) -> None:
    """Markup in the state is escaped."""
    page = sign_in.show(http_request("GET", "/", urlencode(ASKED | {"state": '"><b>'})))
    assert b"<b>" not in page.get_data()


def test_the_whole_flow(sign_in: SignInPage, issuer: Issuer) -> None:
    """The form leads back with the state and a code, which is exchanged for tokens."""
    target = location(sign_in.submit(post(FILLED_IN)))
    assert target.startswith(f"{CALLBACK}?")
    answer = parse_qs(urlsplit(target).query)
    assert answer["state"] == ["s&1"]
    bought = sign_in.token(exchange(answer["code"][0]))
    tokens = json.loads(bought.get_data())
    assert bought.status_code == 200
    assert (tokens["token_type"], tokens["expires_in"]) == ("Bearer", 3600)
    identity = issuer.verify(tokens["id_token"])
    assert identity["nonce"] == "n"
    assert identity["aud"] == CLIENT_ID
    assert identity["email"] == "ana@example.com"
    assert issuer.verify(tokens["access_token"])["cognito:groups"] == ["admin"]


@pytest.mark.parametrize(
    "changes",
    [
        {"code_verifier": "w" * 43},
        {"code_verifier": "short"},
        {"redirect_uri": f"{ORIGIN}/console"},
        {"code": "unknown"},
        {"client_id": "another"},
        {"grant_type": "password"},
    ],
)
def test_a_code_is_bound(changes: dict[str, str], sign_in: SignInPage) -> None:
    """A code is valid only with its verifier, its redirect and its client."""
    assert sign_in.token(exchange(code_for(sign_in), **changes)).status_code == 400


def test_a_code_holds_once(sign_in: SignInPage) -> None:
    """A code can be used once, and a failed attempt counts."""
    code = code_for(sign_in)
    assert sign_in.token(exchange(code, code_verifier="w" * 43)).status_code == 400
    answer = sign_in.token(exchange(code))
    assert json.loads(answer.get_data()) == {"error": "invalid_grant"}


def test_a_code_is_short_lived(sign_in: SignInPage, issuer: Issuer) -> None:
    """A code is refused after its minute."""
    code = code_for(sign_in)
    issuer._grants[code] = replace(issuer._grants[code], expires=time.monotonic() - 1)
    assert sign_in.token(exchange(code)).status_code == 400


@pytest.mark.parametrize(
    "uri",
    [
        "http://evil.example/console",
        f"{ORIGIN}/local/token",
        f"{ORIGIN}/console/../local",
        f"{ORIGIN}/consoles",
        f"{ORIGIN}/console?next=x",
        "http://127.0.0.1:8081/console",
        "http://127.0.0.1:8080@evil.example/console",
        f"{CALLBACK}\n",
        "",
    ],
)
def test_codes_go_to_the_console_only(uri: str, sign_in: SignInPage) -> None:
    """A redirect to another address is refused by a page, not followed."""
    query = urlencode(ASKED | {"redirect_uri": uri})
    assert sign_in.show(http_request("GET", "/", query)).status_code == 400
    assert sign_in.submit(post(FILLED_IN | {"redirect_uri": uri})).status_code == 400


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"code_challenge": ""}, "invalid_request"),
    ],
)
def test_the_client_hears_why(changes: dict[str, str], error: str, sign_in: SignInPage) -> None:
    """A request without PKCE is sent back to the client with an error."""
    target = location(sign_in.show(http_request("GET", "/", urlencode(ASKED | changes))))
    assert parse_qs(urlsplit(target).query)["error"] == [error]


def test_an_unknown_client(sign_in: SignInPage) -> None:
    """An unknown client is refused by a page, without a redirect."""
    query = urlencode(ASKED | {"client_id": "another"})
    assert sign_in.show(http_request("GET", "/", query)).status_code == 400


@pytest.mark.parametrize("changes", [{"email": "nobody"}, {"role": "root"}, {"role": ""}])
def test_a_form_that_is_wrong_is_shown_again(
    changes: dict[str, str], sign_in: SignInPage
) -> None:
    """A form with a faulty field is shown again with a message."""
    page = sign_in.submit(post(FILLED_IN | changes))
    assert page.status_code == 422
    assert b'role="alert"' in page.get_data()


def test_discovery_and_keys(sign_in: SignInPage) -> None:
    """Discovery and keys have what a client library needs, and no private key."""
    document = json.loads(sign_in.discovery(http_request("GET", "/")).get_data())
    assert document["issuer"] == f"{ORIGIN}/local/issuer"
    assert document["code_challenge_methods_supported"] == ["S256"]
    [key] = json.loads(sign_in.jwks(http_request("GET", "/")).get_data())["keys"]
    assert key["kty"] == "RSA"
    assert "d" not in key
