"""What every change has: fields, a preview, the state from which it starts, and the act."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict

from shared.catalog.transaction import Catalog, Transaction
from shared.domain.etags import IfMatch
from shared.domain.model import Initiator
from shared.domain.roles import Role
from shared.domain.values import Reason
from shared.kv import KV
from shared.runtime.settings import Settings
from shared.usecases.preview import Preview

SeenState = Mapping[str, str | None]
"""The states of rows by what they are called; None where there is no row."""


@dataclass(frozen=True, slots=True)
class Stores:
    """The two stores that a change needs."""

    catalog: Catalog
    kv: KV


class Change(BaseModel, ABC):
    """A change as a form describes it: previewed and confirmed first, then made.

    A subclass has the form's fields, and says in words what it does.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: ClassVar[str]
    """The last part of its address, `/console/changes/{name}`."""
    done: ClassVar[str]
    """What the next page says once it is made."""
    requires: ClassVar[Role] = "admin"
    """The role that its form needs."""
    dangerous: ClassVar[bool] = False
    """Whether it takes something away that does not come back by itself."""

    takes_reason: ClassVar[bool] = True
    """Whether the log has a place for the reason."""

    reason: Reason | None = None

    @property
    @abstractmethod
    def title(self) -> str:
        """What it does, as a heading: `Promote 2026.11.3-r2`."""

    @property
    @abstractmethod
    def button(self) -> str:
        """What its button says: `Promote`."""

    @property
    def is_dangerous(self) -> bool:
        """Whether its button is red."""
        return self.dangerous

    @property
    @abstractmethod
    def goes_to(self) -> str:
        """The page to show once it is made."""

    @property
    def goes_back_to(self) -> str:
        """The page to go back to instead."""
        return self.goes_to

    def role(self, _settings: Settings, /) -> Role:
        """Return the role that this very change needs."""
        return self.requires

    @abstractmethod
    def subjects(self, tx: Transaction, /) -> tuple[str, ...]:
        """The tags, variants and users whose latest events tell what has changed meanwhile."""

    @property
    def consequences(self) -> tuple[str, ...]:
        """What else to know before: what cannot be undone, and when it works."""
        return ()

    @property
    def must_type(self) -> str | None:
        """What a person must type to confirm; None: the button is enough."""
        return None

    def warnings(self, _tx: Transaction, /) -> Sequence[str]:
        """What to know before, as things are now."""
        return ()

    @abstractmethod
    def seen_state(self, tx: Transaction) -> SeenState:
        """Read the states on which the preview rests. The first is what `if_match` is about."""

    @abstractmethod
    def preview(self, stores: Stores) -> Preview:
        """Say whom it would move. Raises what `act` would raise."""

    @abstractmethod
    def act(self, stores: Stores, by: Initiator, if_match: IfMatch, /) -> Any:
        """Make the change."""


def hash_state(seen: SeenState) -> str:
    """Hash what a person saw, for the form that confirms."""
    return sha256(repr(sorted(seen.items())).encode()).hexdigest()
