"""The local OpenID issuer, in place of the user pool on AWS."""

import base64
import hashlib
import hmac
import re
import secrets
import time
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet, RSAKey

ISSUER = "/local/issuer"
CLIENT_ID = "kiloclaw-console"
TOKEN_SECONDS = 3600
CODE_SECONDS = 60
ALGORITHM = "RS256"
"""API Gateway's JWT authorizer accepts RSA signatures only."""
VERIFIER = re.compile(r"[A-Za-z0-9._~-]{43,128}")
"""RFC 7636, section 4.1."""


class BadToken(Exception):
    """The token is not from this issuer, or it has expired."""


@dataclass(frozen=True, slots=True)
class Person:
    """A person who signed in. Tokens carry the roles as the user pool's groups."""

    sub: str
    roles: tuple[str, ...] = ()
    email: str | None = None

    def claims(self) -> dict[str, Any]:
        # As with a user pool, the claim is absent without a group.
        groups = {"cognito:groups": list(self.roles)} if self.roles else {}
        email = {"email": self.email} if self.email else {}
        return {"sub": self.sub, **email, **groups}


@dataclass(frozen=True, slots=True)
class Grant:
    """What an authorization code was given for; `expires` is a monotonic time."""

    person: Person
    redirect_uri: str
    challenge: str
    nonce: str | None
    expires: float


class Issuer:
    """Signs tokens with a key that is made at start."""

    def __init__(self, origin: str) -> None:
        self.url = f"{origin}{ISSUER}"
        port = origin.rpartition(":")[2]
        self._redirects = re.compile(
            rf"http://(?:127\.0\.0\.1|localhost):{port}/console(?:/[A-Za-z0-9/_-]*)?"
        )
        self._key = RSAKey.generate_key(2048, {"use": "sig", "alg": ALGORITHM}, auto_kid=True)
        self._grants: dict[str, Grant] = {}

    def discovery(self) -> dict[str, Any]:
        """https://openid.net/specs/openid-connect-discovery-1_0.html, section 3."""
        return {
            "issuer": self.url,
            "authorization_endpoint": f"{self.url}/authorize",
            "token_endpoint": f"{self.url}/token",
            "jwks_uri": f"{self.url}/jwks.json",
            "response_types_supported": ["code"],
            "grant_types_supported": ["authorization_code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": [ALGORITHM],
            "token_endpoint_auth_methods_supported": ["none"],
            "code_challenge_methods_supported": ["S256"],
            "scopes_supported": ["openid", "email"],
        }

    def jwks(self) -> dict[str, Any]:
        return {**KeySet([self._key]).as_dict(private=False)}

    def access_token(self, person: Person) -> str:
        claims = {"token_use": "access", "client_id": CLIENT_ID, "scope": "openid email"}
        return self._sign(person.claims() | claims)

    def id_token(self, person: Person, nonce: str | None) -> str:
        claims = {"token_use": "id", "aud": CLIENT_ID}
        return self._sign(person.claims() | claims | ({"nonce": nonce} if nonce else {}))

    def verify(self, token: str) -> dict[str, Any]:
        """The claims of a valid token for the console. Raises BadToken."""
        try:
            claims = jwt.decode(token, self._key, algorithms=[ALGORITHM]).claims
            jwt.JWTClaimsRegistry(
                leeway=0,
                iss={"essential": True, "value": self.url},
                exp={"essential": True},
            ).validate(claims)
        except (JoseError, ValueError) as error:
            raise BadToken(str(error)) from None
        if CLIENT_ID not in {claims.get("aud"), claims.get("client_id")}:
            raise BadToken("for another client")
        return claims

    def may_redirect_to(self, uri: str) -> bool:
        """Only addresses of this system's console get a code."""
        return self._redirects.fullmatch(uri) is not None

    def grant(
        self, person: Person, redirect_uri: str, challenge: str, nonce: str | None
    ) -> str:
        """A new authorization code for a person who has signed in."""
        code = secrets.token_urlsafe(32)
        expires = time.monotonic() + CODE_SECONDS
        self._grants[code] = Grant(person, redirect_uri, challenge, nonce, expires)
        return code

    def redeem(self, code: str, redirect_uri: str, verifier: str) -> dict[str, Any] | None:
        """The tokens for a code, which can be used once; None if anything about it is wrong."""
        grant = self._grants.pop(code, None)
        if grant is None or grant.expires < time.monotonic():
            return None
        if grant.redirect_uri != redirect_uri or not VERIFIER.fullmatch(verifier):
            return None
        if not hmac.compare_digest(challenge_of(verifier), grant.challenge):
            return None
        return {
            "id_token": self.id_token(grant.person, grant.nonce),
            **self.bearer(grant.person),
        }

    def bearer(self, person: Person) -> dict[str, Any]:
        return {
            "access_token": self.access_token(person),
            "token_type": "Bearer",
            "expires_in": TOKEN_SECONDS,
        }

    def _sign(self, claims: dict[str, Any]) -> str:
        now = int(time.time())
        times = {"iat": now, "auth_time": now, "exp": now + TOKEN_SECONDS}
        header = {"alg": ALGORITHM, "kid": self._key.kid}
        body = {"iss": self.url, "jti": str(uuid4()), **times, **claims}
        return jwt.encode(header, body, self._key, algorithms=[ALGORITHM])


def challenge_of(verifier: str) -> str:
    """RFC 7636, section 4.2: S256."""
    digest = hashlib.sha256(verifier.encode("ascii")).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
