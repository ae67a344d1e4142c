"""The payload of an invocation, hostile until parsed."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeGuard

from shared.domain.errors import InvalidRequest, InvalidValue
from shared.domain.values import IMAGE_TAG, USER_ID, VARIANT, UserId, escape_name
from shared.usecases.provision import Start

INTENTS = ("provision", "restart", "upgrade", "destroy")
REPORT = "report"


@dataclass(frozen=True, slots=True)
class Destroy:
    """The instance is gone; forget what it ran."""

    user_id: UserId


Rules = Mapping[str, Callable[[object], str]]
"""What is done to each field's value; raises InvalidValue."""


def one_of(*words: str) -> Callable[[object], str]:
    """Make a rule that allows these words."""

    def rule(value: object) -> str:
        if value not in words:
            raise InvalidValue("must be one of " + ", ".join(words))
        return str(value)

    return rule


RULES: Rules = {
    "user_id": USER_ID.parse,
    "intent": one_of(*INTENTS, REPORT),
    "variant": VARIANT.parse,
    "running_tag": IMAGE_TAG.parse,
}


def parse(event: object) -> Start | Destroy:
    """Read a request; a null optional field is an omitted one.

    Raises InvalidRequest naming every field that is wrong.
    """
    if not isinstance(event, dict):
        raise InvalidRequest(("payload", "must be an object"))
    given = check(event, RULES, required=("user_id",))
    if given.get("intent") == "destroy":
        return Destroy(given["user_id"])
    return Start(**given)


def is_report(event: object) -> TypeGuard[dict[object, object]]:
    """Whether this is a report of how a start went, well-formed or not."""
    return isinstance(event, dict) and event.get("intent") == REPORT


def check(event: Mapping[Any, Any], rules: Rules, *, required: Iterable[str]) -> dict[str, Any]:
    """Return the fields that are given. Raises InvalidRequest naming each that is wrong."""
    given = {name: value for name, value in event.items() if value is not None}
    errors = [
        (escape_name(name), "is not a known field") for name in event if name not in rules
    ]
    errors += [(name, "is required") for name in required if name not in given]
    errors += [fault for name in rules for fault in _faults(rules[name], name, given.get(name))]
    if errors:
        raise InvalidRequest(*errors)
    return given


def _faults(rule: Callable[[object], str], name: str, value: object) -> list[tuple[str, str]]:
    try:
        if value is not None:
            rule(value)
    except InvalidValue as error:
        return [(name, str(error))]
    return []
