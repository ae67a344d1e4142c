"""What a function is told by its environment; read when first needed, never at import."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

DEFAULT_MAX_NEW = 5


class SettingMissing(Exception):
    """The environment lacks a variable, or holds one that cannot be read."""


def text(environ: Mapping[str, str], name: str) -> str:
    if not environ.get(name):
        raise SettingMissing(f"{name} is not set")
    return environ[name]


def whole_number(environ: Mapping[str, str], name: str, default: int) -> int:
    value = environ.get(name, str(default))
    if not (value.isascii() and value.isdigit()):
        raise SettingMissing(f"{name} must be a whole number")
    return int(value)


def switch(environ: Mapping[str, str], name: str, *, default: bool) -> bool:
    value = environ.get(name, "on" if default else "off")
    if value not in {"on", "off"}:
        raise SettingMissing(f"{name} must be on or off")
    return value == "on"


@dataclass(frozen=True, slots=True)
class Settings:
    """Where the stores are, and what may be chosen.

    `conninfo` is libpq's, without a password. `sync_max_new` caps new versions a sync run, 0
    does not.
    """

    conninfo: str
    table_name: str
    sync_max_new: int = DEFAULT_MAX_NEW
    publisher_may_promote: bool = True

    @classmethod
    def stores(cls, environ: Mapping[str, str]) -> Self:
        """For functions with nothing to choose."""
        return cls(text(environ, "DATABASE_CONNINFO"), text(environ, "TABLE_NAME"))

    @classmethod
    def sync(cls, environ: Mapping[str, str]) -> Self:
        return cls(
            text(environ, "DATABASE_CONNINFO"),
            text(environ, "TABLE_NAME"),
            sync_max_new=whole_number(environ, "SYNC_MAX_NEW", DEFAULT_MAX_NEW),
        )

    @classmethod
    def admin_api(cls, environ: Mapping[str, str]) -> Self:
        return cls(
            text(environ, "DATABASE_CONNINFO"),
            text(environ, "TABLE_NAME"),
            sync_max_new=whole_number(environ, "SYNC_MAX_NEW", DEFAULT_MAX_NEW),
            publisher_may_promote=switch(environ, "PUBLISHER_MAY_PROMOTE", default=True),
        )
