"""What the function that signs people in keeps between events."""

from collections.abc import Mapping
from dataclasses import dataclass

from shared.kv.sessions import Sessions
from shared.kv.table import Table, connect
from shared.runtime.event import EventDependencies, Store
from shared.runtime.session_settings import SessionSettings
from shared.runtime.telemetry import Telemetry


@dataclass(frozen=True, slots=True, kw_only=True)
class SignInDependencies(EventDependencies):
    """The sessions, and the origin at which browsers see the console."""

    sessions: Sessions
    origin: str

    @property
    def stores(self) -> Mapping[str, Store]:
        return {"SessionErrors": self.sessions.table}


def wire_sign_in(settings: SessionSettings) -> SignInDependencies:
    """Connect nothing yet."""
    return SignInDependencies(
        sessions=Sessions(Table(connect(), settings.table_name)),
        origin=settings.origin,
        telemetry=Telemetry(),
    )
