"""The payload of an invocation, hostile until parsed."""

from collections.abc import Callable
from dataclasses import dataclass

from shared.domain.errors import InvalidRequest, InvalidValue
from shared.domain.values import IMAGE_TAG, USER_ID, VARIANT, UserId
from shared.usecases.provision import Start

INTENTS = ("provision", "restart", "upgrade", "destroy")


@dataclass(frozen=True, slots=True)
class Destroy:
    """The instance is gone; forget what it ran."""

    user_id: UserId


def _intent(value: object) -> str:
    if value not in INTENTS:
        raise InvalidValue("must be one of " + ", ".join(INTENTS))
    return str(value)


FIELDS: dict[str, Callable[[object], str]] = {
    "user_id": USER_ID.parse,
    "intent": _intent,
    "variant": VARIANT.parse,
    "running_tag": IMAGE_TAG.parse,
}


def parse(event: object) -> Start | Destroy:
    """Read a request; a null optional field is an omitted one.

    Raises InvalidRequest naming every field that is wrong.
    """
    if not isinstance(event, dict):
        raise InvalidRequest(("payload", "must be an object"))
    given = {name: value for name, value in event.items() if value is not None}
    errors = [(_shown(name), "is not a known field") for name in event if name not in FIELDS]
    errors += [("user_id", "is required")] if "user_id" not in given else []
    errors += [fault for name in FIELDS for fault in _faults(name, given.get(name))]
    if errors:
        raise InvalidRequest(*errors)
    if given.get("intent") == "destroy":
        return Destroy(given["user_id"])
    return Start(**given)


def _faults(name: str, value: object) -> list[tuple[str, str]]:
    try:
        if value is not None:
            FIELDS[name](value)
    except InvalidValue as error:
        return [(name, str(error))]
    return []


def _shown(name: object) -> str:
    """A field's name is the caller's text too."""
    return str(name).encode("unicode_escape").decode("ascii")[:64]
