"""Every change that the console can make, by name."""

from collections.abc import Mapping

from functions.console.changes.base import Change
from functions.console.changes.pins import EraseUser, PinUser, Unpin
from functions.console.changes.versions import Promote

ALL: tuple[type[Change], ...] = (Promote, PinUser, Unpin, EraseUser)
CHANGES: Mapping[str, type[Change]] = {kind.name: kind for kind in ALL}
