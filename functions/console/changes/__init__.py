"""Every change that the console can make, by name."""

from collections.abc import Mapping

from functions.console.changes.base import Change
from functions.console.changes.kill_switch import Disable
from functions.console.changes.many_pins import ChangeTickedPins, ImportPins
from functions.console.changes.pins import EraseUser, PinUser, Unpin
from functions.console.changes.publishing import Publish
from functions.console.changes.rollouts import Abort, Resume, RollBack, RollOut
from functions.console.changes.versions import Activate, Deprecate, EditNotes, Promote, Retire

ALL: tuple[type[Change], ...] = (
    Publish,
    Promote,
    Deprecate,
    Activate,
    Disable,
    EditNotes,
    Retire,
    RollOut,
    Resume,
    Abort,
    RollBack,
    PinUser,
    Unpin,
    EraseUser,
    ChangeTickedPins,
    ImportPins,
)
CHANGES: Mapping[str, type[Change]] = {kind.name: kind for kind in ALL}
