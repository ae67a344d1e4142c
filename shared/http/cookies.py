"""Cookies of the console: who may read them, and where browsers send them."""

from collections.abc import Iterable
from dataclasses import dataclass

from aws_lambda_powertools.shared.cookies import Cookie, SameSite

SESSION = "kiloclaw"


@dataclass(frozen=True, slots=True)
class ConsoleCookie:
    """A cookie that scripts cannot read, and that other sites' posts do not carry.

    Where the console's origin has TLS, the prefix `__Host-` binds it to this one host:
    https://datatracker.ietf.org/doc/html/draft-ietf-httpbis-rfc6265bis, section 4.1.3.
    """

    name: str
    is_secure: bool

    @classmethod
    def of(cls, origin: str, name: str = SESSION) -> "ConsoleCookie":
        """The cookie of this name, by default the session's, as used at a console's origin."""
        is_secure = origin.startswith("https://")
        return cls(f"__Host-{name}" if is_secure else name, is_secure)

    def read(self, cookies: Iterable[str]) -> str | None:
        """Find the value among an event's `cookies`; None if it is absent or given twice."""
        pairs = (cookie.partition("=") for cookie in cookies)
        values = [value for name, _, value in pairs if name == self.name]
        return values[0] if len(values) == 1 else None

    def setting(self, value: str, max_age: int | None = None) -> Cookie:
        """Make browsers keep a value; without `max_age` until they are closed."""
        return Cookie(
            self.name,
            value,
            path="/",
            secure=self.is_secure,
            http_only=True,
            same_site=SameSite.LAX_MODE,
            max_age=max_age,
        )

    def clearing(self) -> Cookie:
        """Make browsers forget the value."""
        return self.setting("", max_age=0)
