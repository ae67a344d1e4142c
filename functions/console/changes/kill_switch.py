"""The kill switch: disable a version, and say what happens to its users."""

from collections.abc import Sequence

from functions.console.changes.base import SeenState
from functions.console.changes.versions import EditVersion
from functions.console.rendering import counted
from shared.catalog.transaction import Transaction
from shared.domain.model import Version
from shared.domain.values import ImageTag
from shared.usecases.disable import VersionChange


class Disable(EditVersion):
    """Take a version out of service everywhere. A replacement wins over `force`."""

    name = "disable"
    done = "It is disabled: no instance starts with it any more."
    dangerous = True

    replacement: ImageTag | None = None
    force: bool = False

    @property
    def title(self) -> str:
        return f"Disable {self.image_tag}"

    @property
    def button(self) -> str:
        return "Disable"

    @property
    def wanted(self) -> VersionChange:
        return VersionChange("disabled", replacement=self.replacement, force=self.force)

    @property
    def consequences(self) -> tuple[str, ...]:
        later = "It can be activated again."
        if self.replacement:
            later += f" What moved to {self.replacement} then stays there."
        return (
            "No instance starts with it from now on. What runs now is not stopped.",
            later,
        )

    def warnings(self, tx: Transaction) -> Sequence[str]:
        version = tx.versions.get(self.image_tag)
        pins, running = tx.pins.count(self.image_tag), tx.fleet.count(self.image_tag)
        return [
            *self._warn_of_moves(version),
            *self._warn_of_pins(pins),
            *_warn_of_instances(running),
        ]

    def _warn_of_moves(self, version: Version) -> list[str]:
        if self.replacement is None:
            return []
        if version.is_latest:
            return [f"{self.replacement} becomes the latest of {version.variant} in its place."]
        if version.rollout_percent is not None:
            return ["Its rollout ends: everybody gets the latest."]
        return []

    def _warn_of_pins(self, pins: int) -> list[str]:
        if pins and self.replacement:
            return [
                f"{counted(pins, 'pin')} will move to {self.replacement}, and not back later."
            ]
        if pins and self.force:
            users = "until it is enabled again, their users get what everybody gets"
            return [f"{counted(pins, 'pin')} will be suspended: {users}."]
        return []

    def seen_state(self, tx: Transaction) -> SeenState:
        return {**super().seen_state(tx), "pins": str(tx.pins.count(self.image_tag))}


def _warn_of_instances(running: int) -> list[str]:
    if not running:
        return []
    verb = "runs" if running == 1 else "run"
    return [f"{counted(running, 'instance')} {verb} it now, until the next start."]
