"""The client of the OpenID issuer: authorization code flow with PKCE, as a public client."""

from collections.abc import Mapping
from functools import cached_property
from typing import Any, cast

import requests
from authlib.integrations.requests_client import OAuth2Session, OAuthError
from joserfc import jwt
from joserfc.errors import InvalidKeyIdError, JoseError
from joserfc.jwk import KeySet

from functions.sign_in.refusals import CodeRefused, IssuerUnavailable, TokenRefused
from functions.sign_in.settings import SignInSettings
from shared.http.auth import Caller, read_caller
from shared.kv.pending_sign_ins import PendingSignIn

TIMEOUT = (2.0, 3.0)
"""Seconds to connect, and to wait for each part of an answer."""

ENDPOINTS = ("authorization_endpoint", "token_endpoint", "jwks_uri")
SCOPE = "openid email"
ALGORITHMS = ["RS256"]
"""The one that Cognito signs with. What a token says in `alg` is not trusted."""

LEEWAY_SECONDS = 30


class IssuerClient:
    """Sends people to the issuer, and learns from it who they are.

    What the issuer publishes about itself is read once; its keys are read again when a token
    names one that is not among them.
    """

    def __init__(self, settings: SignInSettings) -> None:
        self._settings = settings
        self._keys: KeySet | None = None

    def authorization_url(self, pending: PendingSignIn) -> str:
        """The address at which a person signs in. Raises IssuerUnavailable."""
        url, _ = self._session().create_authorization_url(
            self._endpoint("authorization_endpoint"),
            state=pending.state,
            nonce=pending.nonce,
            code_verifier=pending.verifier,
        )
        return str(url)

    def redeem(self, code: str, pending: PendingSignIn) -> Caller:
        """Exchange a code for an ID token; the person that it names, with their roles.

        Raises CodeRefused, TokenRefused, IssuerUnavailable.
        """
        tokens = self._fetch_tokens(code, pending)
        claims = self._verify(tokens.get("id_token"), pending.nonce)
        caller = read_caller(claims)
        if caller is None:
            raise TokenRefused("it names nobody")
        return caller

    def _fetch_tokens(self, code: str, pending: PendingSignIn) -> Mapping[str, Any]:
        try:
            return dict(
                self._session().fetch_token(
                    self._endpoint("token_endpoint"),
                    grant_type="authorization_code",
                    code=code,
                    redirect_uri=self._settings.callback,
                    code_verifier=pending.verifier,
                    timeout=TIMEOUT,
                    allow_redirects=False,
                )
            )
        except OAuthError as error:
            if error.error == "invalid_grant":
                raise CodeRefused("the code is not valid") from None
            raise IssuerUnavailable("the issuer refused the exchange") from None
        except (requests.RequestException, ValueError) as error:
            raise _unavailable(error) from None

    def _verify(self, token: object, nonce: str) -> dict[str, Any]:
        """The claims of an ID token for us, of this sign-in. Raises TokenRefused.

        https://openid.net/specs/openid-connect-core-1_0.html, section 3.1.3.7.
        """
        if not isinstance(token, str):
            raise TokenRefused("there is none")
        try:
            claims = self._decode(token)
            jwt.JWTClaimsRegistry(
                leeway=LEEWAY_SECONDS, exp={"essential": True}, iat={"essential": True}
            ).validate(claims)
        except (JoseError, ValueError) as error:
            raise TokenRefused(type(error).__name__) from None
        expected = {
            "iss": self._settings.issuer,
            "aud": self._settings.client_id,
            "nonce": nonce,
            "token_use": "id",
        }
        if wrong := [name for name, value in expected.items() if claims.get(name) != value]:
            raise TokenRefused(f"wrong: {', '.join(wrong)}")
        return claims

    def _decode(self, token: str) -> dict[str, Any]:
        keys = self._keys or self._read_keys()
        try:
            return jwt.decode(token, keys, algorithms=ALGORITHMS).claims
        except InvalidKeyIdError:
            return jwt.decode(token, self._read_keys(), algorithms=ALGORITHMS).claims

    def _read_keys(self) -> KeySet:
        published: Any = _read_json(self._endpoint("jwks_uri"))
        try:
            self._keys = KeySet.import_key_set(published)
        except (JoseError, KeyError, TypeError, ValueError) as error:
            raise _unavailable(error) from None
        return self._keys

    def _endpoint(self, name: str) -> str:
        return self._published[name]

    @cached_property
    def _published(self) -> Mapping[str, str]:
        """The issuer's endpoints by name, kept once all were read.

        https://openid.net/specs/openid-connect-discovery-1_0.html, section 4.
        """
        issuer = self._settings.issuer
        document = _read_json(f"{issuer}/.well-known/openid-configuration")
        if document.get("issuer") != issuer:
            raise IssuerUnavailable("what the issuer publishes is of another one")
        endpoints = {name: document.get(name) for name in ENDPOINTS}
        if not all(isinstance(address, str) for address in endpoints.values()):
            raise IssuerUnavailable("the issuer does not publish all its endpoints")
        return cast("dict[str, str]", endpoints)

    def _session(self) -> Any:
        """Make a client for one exchange: it remembers tokens, which nobody needs later."""
        return OAuth2Session(
            self._settings.client_id,
            scope=SCOPE,
            redirect_uri=self._settings.callback,
            code_challenge_method="S256",
            token_endpoint_auth_method="none",  # noqa: S106  PKCE takes a secret's place
        )


def _read_json(url: str) -> dict[str, Any]:
    """Read a JSON object. Raises IssuerUnavailable."""
    try:
        answer = requests.get(url, timeout=TIMEOUT, allow_redirects=False)
        answer.raise_for_status()
        content = answer.json()
    except (requests.RequestException, ValueError) as error:
        raise _unavailable(error) from None
    if not isinstance(content, dict):
        raise IssuerUnavailable("the issuer's answer is no object")
    return content


def _unavailable(error: Exception) -> IssuerUnavailable:
    return IssuerUnavailable(f"the issuer did not answer as it should ({type(error).__name__})")
