"""Changes of one user: pin, unpin, erase."""

from collections.abc import Sequence
from typing import Any

from functions.console.changes.base import Change, SeenState, Stores
from functions.console.forms import UtcInput
from functions.console.rendering import quote_path
from shared.catalog.transaction import Transaction
from shared.catalog.version_pages import VersionFilter
from shared.domain.errors import PinNotFound
from shared.domain.etags import IfMatch
from shared.domain.model import Initiator, Pin, Status, Version
from shared.domain.values import ImageTag, UserId
from shared.usecases import pins
from shared.usecases.preview import Preview
from shared.usecases.preview_users import preview_erasure, preview_pin, preview_unpin

MOST_CHOICES = 200
AT_NEXT_START = "It works at the next start of the instance. Nothing is restarted now."


def find_pinnable(tx: Transaction) -> list[Version]:
    """Find the newest versions that may be pinned, the newest first."""
    statuses: tuple[Status, ...] = ("active", "deprecated")
    found = [
        version
        for status in statuses
        for version in tx.versions.page(
            VersionFilter(status), "published_at", "desc", None, MOST_CHOICES
        )
    ]
    found.sort(key=lambda version: (version.published_at, version.image_tag), reverse=True)
    return found[:MOST_CHOICES]


class UserChange(Change):
    """A change of one user, who is its subject."""

    user_id: UserId

    @property
    def goes_to(self) -> str:
        return f"/console/users/{quote_path(self.user_id)}"

    def subjects(self, _tx: Transaction) -> tuple[str, ...]:
        return (self.user_id,)


class PinUser(UserChange):
    """Pin a user to a version, in place of any pin before."""

    name = "pin"
    done = "The pin is set. It works at the next start."

    image_tag: ImageTag
    expires_at: UtcInput | None = None

    @property
    def title(self) -> str:
        return f"Pin {self.user_id} to {self.image_tag}"

    @property
    def button(self) -> str:
        return "Pin"

    @property
    def consequences(self) -> tuple[str, ...]:
        end = "without an end: it stays until somebody unpins the user"
        if self.expires_at is not None:
            end = f"until {self.expires_at:%Y-%m-%d %H:%M} UTC"
        return (AT_NEXT_START, f"The pin holds {end}.")

    def warnings(self, tx: Transaction) -> Sequence[str]:
        version, pin = tx.versions.get(self.image_tag), tx.pins.find(self.user_id)
        return (*warn_of_status(version), *_warn_of_replacing(pin, self.image_tag))

    def seen_state(self, tx: Transaction) -> SeenState:
        pin, version = tx.pins.find(self.user_id), tx.versions.get(self.image_tag)
        return {"pin": pin.etag if pin else None, "version": version.etag}

    def preview(self, stores: Stores) -> Preview:
        return preview_pin(
            self.user_id,
            self.image_tag,
            catalog=stores.catalog,
            kv=stores.kv,
            expires_at=self.expires_at,
        )

    def act(self, stores: Stores, by: Initiator, if_match: IfMatch) -> Any:
        return pins.put_pin(
            self.user_id,
            self.image_tag,
            by=by,
            catalog=stores.catalog,
            expires_at=self.expires_at,
            if_match=if_match,
        )


class Unpin(UserChange):
    """Remove a user's pin."""

    name = "unpin"
    done = "The pin is removed. The next start decides anew."
    dangerous = True

    @property
    def title(self) -> str:
        return f"Unpin {self.user_id}"

    @property
    def button(self) -> str:
        return "Unpin"

    @property
    def consequences(self) -> tuple[str, ...]:
        return (AT_NEXT_START, "The next start decides as for a user without a pin.")

    def warnings(self, tx: Transaction) -> Sequence[str]:
        pin = tx.pins.find(self.user_id)
        reason = f" Its reason was: {pin.reason}" if pin and pin.reason else ""
        return [f"The pin to {pin.image_tag} will be removed.{reason}"] if pin else []

    def seen_state(self, tx: Transaction) -> SeenState:
        pin = tx.pins.find(self.user_id)
        if pin is None:
            raise PinNotFound("the user has no pin")
        return {"pin": pin.etag}

    def preview(self, stores: Stores) -> Preview:
        return preview_unpin(self.user_id, catalog=stores.catalog, kv=stores.kv)

    def act(self, stores: Stores, by: Initiator, if_match: IfMatch) -> Any:
        return pins.remove_pin(self.user_id, by=by, catalog=stores.catalog, if_match=if_match)


class EraseUser(UserChange):
    """Forget a person."""

    name = "erase"
    done = "The person is erased. The audit log no longer identifies them."
    dangerous = True
    takes_reason = False

    @property
    def title(self) -> str:
        return f"Erase {self.user_id}"

    @property
    def button(self) -> str:
        return "Erase this person"

    @property
    def must_type(self) -> str:
        return self.user_id

    @property
    def consequences(self) -> tuple[str, ...]:
        return (
            "This cannot be undone.",
            "Deleted: the pin, the record of what the instance runs, and the name in the log.",
            "Deleted too: stored answers to earlier calls about the person.",
            "Kept: what was done, when and by whom. The log names the person no more.",
            "A running instance goes on. When it starts again, it starts as a new user.",
        )

    def seen_state(self, tx: Transaction) -> SeenState:
        pin = tx.pins.find(self.user_id)
        return {"pin": pin.etag if pin else None}

    def preview(self, stores: Stores) -> Preview:
        return preview_erasure(self.user_id, catalog=stores.catalog, kv=stores.kv)

    def act(self, stores: Stores, by: Initiator, _if_match: IfMatch) -> Any:
        pins.erase_user(self.user_id, by=by, catalog=stores.catalog, kv=stores.kv)


def warn_of_status(version: Version) -> list[str]:
    """Say of a deprecated version that it is one."""
    if version.status != "deprecated":
        return []
    return [
        f"{version.image_tag} is deprecated. The pin is honoured, but look for a newer one."
    ]


def _warn_of_replacing(pin: Pin | None, tag: ImageTag) -> list[str]:
    if pin is None or pin.image_tag == tag:
        return []
    return [f"It takes the place of the pin to {pin.image_tag} that {pin.pinned_by} set."]
