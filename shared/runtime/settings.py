"""Settings from environment variables, read when first needed, never at import."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Self

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from shared.runtime.session_settings import SessionSettings
from shared.runtime.variables import SettingMissing, switch, text, whole_number

DEFAULT_MAX_NEW = 5


def database_iam(environ: Mapping[str, str]) -> bool:
    """Whether to sign in to the database with IAM tokens: only if DATABASE_IAM is `on`.

    Anybody who reads a token can use it, so it is sent only to a server whose certificate is
    verified. Host and user must be given, because the signature contains them.
    """
    if not switch(environ, "DATABASE_IAM", default=False):
        return False
    try:
        parts = conninfo_to_dict(text(environ, "DATABASE_CONNINFO"))
    except psycopg.ProgrammingError:
        raise SettingMissing("DATABASE_CONNINFO cannot be read") from None
    if parts.get("sslmode") != "verify-full" or not (parts.get("host") and parts.get("user")):
        raise SettingMissing(
            "DATABASE_CONNINFO must have host, user and sslmode=verify-full with DATABASE_IAM"
        )
    return True


@dataclass(frozen=True, slots=True)
class Settings:
    """Where the stores are, and what operators may choose.

    `conninfo` is libpq's, without a password. `sync_max_new` is the most new versions that one
    sync run takes in; 0 means no cap.
    """

    conninfo: str
    table_name: str
    database_iam: bool = False
    sync_max_new: int = DEFAULT_MAX_NEW
    publisher_may_promote: bool = False

    @classmethod
    def stores(cls, environ: Mapping[str, str]) -> Self:
        """Read the settings of functions with nothing to choose."""
        return cls(
            text(environ, "DATABASE_CONNINFO"),
            text(environ, "TABLE_NAME"),
            database_iam=database_iam(environ),
        )

    @classmethod
    def sync(cls, environ: Mapping[str, str]) -> Self:
        return replace(
            cls.stores(environ),
            sync_max_new=whole_number(environ, "SYNC_MAX_NEW", DEFAULT_MAX_NEW),
        )

    @classmethod
    def admin_api(cls, environ: Mapping[str, str]) -> Self:
        return replace(
            cls.sync(environ),
            publisher_may_promote=switch(environ, "PUBLISHER_MAY_PROMOTE", default=False),
        )


@dataclass(frozen=True, slots=True)
class ConsoleSettings:
    """What the admin API needs, and where the sessions are."""

    admin: Settings
    sessions: SessionSettings

    @classmethod
    def read(cls, environ: Mapping[str, str]) -> Self:
        return cls(Settings.admin_api(environ), SessionSettings.read(environ))


@dataclass(frozen=True, slots=True)
class CatalogSettings:
    """Where the database is. `conninfo` is libpq's, without a password."""

    conninfo: str
    database_iam: bool

    @classmethod
    def read(cls, environ: Mapping[str, str]) -> Self:
        return cls(text(environ, "DATABASE_CONNINFO"), database_iam(environ))


@dataclass(frozen=True, slots=True)
class MigrateSettings:
    """Where the database is. `setup_conninfo` is for creating roles; None: others do that."""

    conninfo: str
    database_iam: bool
    setup_conninfo: str | None

    @classmethod
    def read(cls, environ: Mapping[str, str]) -> Self:
        conninfo = text(environ, "DATABASE_CONNINFO")
        setup_user = environ.get("DATABASE_SETUP_USER")
        return cls(
            conninfo,
            database_iam(environ),
            make_conninfo(conninfo, user=setup_user) if setup_user else None,
        )
