"""Values of environment variables, read one at a time."""

from collections.abc import Mapping


class SettingMissing(Exception):
    """An environment variable is missing or malformed."""


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
