"""What the sign-in keeps between events: its connections, its settings, its telemetry."""

from collections.abc import Mapping
from dataclasses import dataclass

from functions.sign_in.issuer_client import IssuerClient
from functions.sign_in.settings import SignInSettings
from shared.kv.pending_sign_ins import PendingSignIns
from shared.kv.sessions import Sessions
from shared.kv.table import Table, connect
from shared.runtime.event import EventDependencies, Store
from shared.runtime.telemetry import Telemetry


@dataclass(frozen=True, slots=True, kw_only=True)
class SignInDependencies(EventDependencies):
    """The table of sessions, for both kinds of its items, and the issuer."""

    settings: SignInSettings
    sessions: Sessions
    pending: PendingSignIns
    issuer: IssuerClient

    @property
    def stores(self) -> Mapping[str, Store]:
        return {"SessionErrors": self.sessions.table}


def wire_sign_in(settings: SignInSettings) -> SignInDependencies:
    """Connect nothing yet."""
    table = Table(connect(), settings.sessions.table_name)
    return SignInDependencies(
        settings=settings,
        sessions=Sessions(table),
        pending=PendingSignIns(table),
        issuer=IssuerClient(settings),
        telemetry=Telemetry(),
    )
