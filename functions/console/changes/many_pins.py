"""Changes of many pins at once, all of them or none: those that are ticked, and a file."""

from abc import abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from hashlib import sha256
from typing import Annotated, Any, Literal, Self

from pydantic import Base64Bytes, BeforeValidator, Field, model_validator

from functions.console.changes.base import Change, SeenState, Stores
from functions.console.changes.pins import AT_NEXT_START, warn_of_status
from functions.console.forms import UtcInput
from functions.console.rendering import counted
from shared.catalog.transaction import Transaction
from shared.domain.errors import BulkRejected, InvalidRequest, PinNotFound
from shared.domain.etags import IfMatch
from shared.domain.model import Initiator, Pin, PinContent
from shared.domain.values import ImageTag, UserId
from shared.usecases.bulk_pins import MOST_ITEMS, BulkItem, change_pins
from shared.usecases.pins_csv import Import, read_pins
from shared.usecases.preview import Preview
from shared.usecases.preview_bulk import preview_change_pins

NAMED = 20
"""So many of the users are named; so many of the latest events about them are looked for."""
Pins = Mapping[UserId, Pin]


class ManyPins(Change):
    """A change of the pins of many users, each named once."""

    @property
    @abstractmethod
    def users(self) -> Sequence[UserId]:
        """Whose pins it is about."""

    @abstractmethod
    def items(self, pins: Pins) -> list[BulkItem]:
        """What to do, given the present pins of these users."""

    @property
    def goes_to(self) -> str:
        return "/console/pins"

    @property
    def consequences(self) -> tuple[str, ...]:
        more = len(self.users) - NAMED
        names = ", ".join(self.users[:NAMED]) + (f" and {more:,} more" if more > 0 else "")
        return (
            AT_NEXT_START,
            "All of these changes are made, or none.",
            f"Users: {names}.",
        )

    def subjects(self, _tx: Transaction, /) -> tuple[str, ...]:
        return tuple(self.users[:NAMED])

    def seen_state(self, tx: Transaction) -> SeenState:
        pins = tx.pins.find_all(list(self.users))
        tags = {item.content.image_tag for item in self.items(pins) if item.content}
        versions = tx.versions.find_all(tags)
        return {"pins": _etag(pins), **{tag: version.etag for tag, version in versions.items()}}

    def preview(self, stores: Stores) -> Preview:
        with stores.catalog.transaction() as tx:
            items = self.items(tx.pins.find_all(list(self.users)))
        return preview_change_pins(items, "atomic", catalog=stores.catalog, kv=stores.kv)

    def act(self, stores: Stores, by: Initiator, if_match: IfMatch, /) -> Any:
        with stores.catalog.transaction() as tx:
            pins = tx.pins.find_all(list(self.users))
        if_match.check(_etag(pins))
        items = self.items(pins)
        seen = {item.user_id: _content(pins.get(item.user_id)) for item in items}
        return change_pins(items, "atomic", by=by, catalog=stores.catalog, seen=seen)


def _listed(value: object) -> object:
    """A field that is sent once is a text, one that is sent more often a list."""
    return (value,) if isinstance(value, str) else value


Users = Annotated[tuple[UserId, ...], BeforeValidator(_listed), Field(max_length=MOST_ITEMS)]


class ChangeTickedPins(ManyPins):
    """Unpin users, move them to another version, or give their pins an end."""

    name = "change-pins"
    done = "The pins are changed. It works at the next start of each instance."

    op: Literal["unpin", "move", "end"]
    user_id: Users = ()
    image_tag: ImageTag | None = None
    expires_at: UtcInput | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        """Raises InvalidRequest for what the operation lacks."""
        if not self.user_id:
            raise InvalidRequest(("pins", "must be ticked first"))
        if self.op == "move" and self.image_tag is None:
            raise InvalidRequest(("image_tag", "is required"))
        if self.op == "end" and self.expires_at is None:
            raise InvalidRequest(("expires_at", "is required"))
        return self

    @property
    def users(self) -> Sequence[UserId]:
        return sorted(set(self.user_id))

    @property
    def title(self) -> str:
        who = counted(len(self.users), "user")
        if self.op == "unpin":
            return f"Unpin {who}"
        if self.op == "move":
            return f"Move the pins of {who} to {self.image_tag}"
        return f"Let the pins of {who} end on {self.expires_at:%Y-%m-%d %H:%M} UTC"

    @property
    def button(self) -> str:
        return {"unpin": "Unpin", "move": "Move", "end": "Set the end"}[self.op]

    @property
    def is_dangerous(self) -> bool:
        return self.op == "unpin"

    @property
    def consequences(self) -> tuple[str, ...]:
        kept = "The pins keep their reasons, unless you give another one here."
        return super().consequences if self.op == "unpin" else (*super().consequences, kept)

    def warnings(self, tx: Transaction, /) -> Sequence[str]:
        version = (
            tx.versions.find(self.image_tag) if self.op == "move" and self.image_tag else None
        )
        missing = len(self.users) - len(tx.pins.find_all(list(self.users)))
        gone = (
            [f"Left out, because they have no pin any more: {counted(missing, 'user')}."]
            if missing
            else []
        )
        return [*(warn_of_status(version) if version else []), *gone]

    def items(self, pins: Pins) -> list[BulkItem]:
        if not pins:
            raise PinNotFound("none of these users has a pin")
        return [
            BulkItem(user_id, self._content(pins[user_id]), self.reason)
            for user_id in self.users
            if user_id in pins
        ]

    def _content(self, pin: Pin) -> PinContent | None:
        """What becomes of a pin. It keeps its reason unless a new one is given."""
        reason = self.reason or pin.reason
        if self.op == "unpin":
            return None
        if self.op == "move":
            return PinContent(self.image_tag or pin.image_tag, reason, pin.expires_at)
        return PinContent(pin.image_tag, reason, self.expires_at)


class ImportPins(ManyPins):
    """Set the pins of a file. Pins that are as the file says are left alone."""

    name = "import"
    done = "The pins are as the file says. They work at the next start of each instance."
    takes_reason = False

    file: Base64Bytes | None = None
    csv: str | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        """Raises InvalidRequest, whose errors name the lines."""
        if not self.file and not self.csv:
            raise InvalidRequest(("file", "must be chosen, or its text pasted"))
        if self.content.faults:
            raise InvalidRequest(*_name_faults(self.content))
        if not self.content.items:
            raise InvalidRequest(("file", "has no pins"))
        return self

    @cached_property
    def content(self) -> Import:
        # A browser sends pasted lines with CR LF.
        return read_pins(self.file or (self.csv or "").replace("\r\n", "\n").encode())

    @property
    def users(self) -> Sequence[UserId]:
        return [item.user_id for item in self.content.items]

    @property
    def title(self) -> str:
        return f"Import the pins of {counted(len(self.users), 'user')}"

    @property
    def button(self) -> str:
        return "Import"

    def warnings(self, tx: Transaction, /) -> Sequence[str]:
        pins = tx.pins.find_all(list(self.users))
        changed = self.items(pins)
        new = sum(item.user_id not in pins for item in changed)
        same = len(self.users) - len(changed)
        kinds = f"{new:,} new, {len(changed) - new:,} replaced, {same:,} left as they are"
        return [f"Of the pins in the file: {kinds}."]

    def items(self, pins: Pins) -> list[BulkItem]:
        return [
            item
            for item in self.content.items
            if item.content != _content(pins.get(item.user_id))
        ]

    def preview(self, stores: Stores) -> Preview:
        """Raises InvalidRequest, whose errors name the lines of the pins that are refused."""
        try:
            return super().preview(stores)
        except BulkRejected as rejected:
            errors: Any = rejected.facts["errors"]
            lines = dict(zip(self.users, self.content.lines, strict=True))
            raise InvalidRequest(
                *((f"line {lines[error['user_id']]}", error["message"]) for error in errors)
            ) from None


def _name_faults(read: Import) -> Iterable[tuple[str, str]]:
    return (
        (f"line {fault.line}" + (f", {fault.column}" if fault.column else ""), fault.message)
        for fault in read.faults
    )


def _content(pin: Pin | None) -> PinContent | None:
    return pin.content if pin else None


def _etag(pins: Pins) -> str:
    """Name the state of all these pins."""
    states = sorted((user_id, pin.etag) for user_id, pin in pins.items())
    return sha256(repr(states).encode()).hexdigest()
