"""Settings of sessions, for the function that opens them and the one that reads them."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from shared.runtime.variables import SettingMissing, text

ORIGIN = re.compile(r"https?://[a-z0-9.-]+(?::[0-9]{1,5})?")
"""As browsers write it in `Origin`: https://www.rfc-editor.org/rfc/rfc6454, section 6.2."""


@dataclass(frozen=True, slots=True)
class SessionSettings:
    """The table of sessions, and the origin at which browsers see the console."""

    table_name: str
    origin: str

    @classmethod
    def read(cls, environ: Mapping[str, str]) -> Self:
        return cls(text(environ, "SESSION_TABLE_NAME"), console_origin(environ))


def console_origin(environ: Mapping[str, str]) -> str:
    """Read CONSOLE_ORIGIN. Raises SettingMissing unless it is an origin, without a slash."""
    origin = text(environ, "CONSOLE_ORIGIN")
    if not ORIGIN.fullmatch(origin):
        raise SettingMissing("CONSOLE_ORIGIN must be an origin, such as https://example.com")
    return origin
