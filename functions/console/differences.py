"""What an event changed: its members before and after, side by side."""

import json
from typing import NamedTuple

from shared.catalog.audit import Event


class Difference(NamedTuple):
    """A member that differs; None where there was, or is, nothing."""

    name: str
    before: str | None
    after: str | None


def differences(event: Event) -> list[Difference]:
    """What differs, in the order of the event; of a run of the sync what it counted."""
    before, after = event.before or {}, event.after or {}
    if event.subject_kind == "sync":
        after = {name: value for name, value in after.items() if type(value) is int and value}
    shown = [
        Difference(name, _text(before.get(name)), _text(after.get(name)))
        for name in dict.fromkeys((*before, *after))
    ]
    return [one for one in shown if one.before != one.after]


def _text(value: object) -> str | None:
    match value:
        case None | "" | [] | {}:
            return None
        case bool():
            return "yes" if value else "no"
        case str():
            return value
    return json.dumps(value, ensure_ascii=False)
