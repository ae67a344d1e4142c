"""Settings of the sign-in, from environment variables."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from shared.runtime.session_settings import SessionSettings
from shared.runtime.variables import text


@dataclass(frozen=True, slots=True)
class SignInSettings:
    """Who says who people are, and where their sessions are.

    `issuer` is its URL, as tokens name it. `sign_out_url` is where it ends its own session of a
    browser; None if it has none.
    """

    sessions: SessionSettings
    issuer: str
    client_id: str
    sign_out_url: str | None

    @classmethod
    def read(cls, environ: Mapping[str, str]) -> Self:
        return cls(
            SessionSettings.read(environ),
            text(environ, "ISSUER_URL"),
            text(environ, "CLIENT_ID"),
            environ.get("SIGN_OUT_URL") or None,
        )

    @property
    def callback(self) -> str:
        """Where the issuer sends people back to. It is never taken from a request."""
        return f"{self.sessions.origin}/console/signed-in"

    @property
    def signed_out(self) -> str:
        """Where the issuer sends people who have signed out."""
        return f"{self.sessions.origin}/console/sign-out"
