"""What functions read from their environment."""

import pytest

from shared.runtime.settings import ConsoleSettings, MigrateSettings, Settings
from shared.runtime.variables import SettingMissing

HERE = "host=h dbname=d user=u"
VERIFIED = f"{HERE} sslmode=verify-full"
STORES = {"DATABASE_CONNINFO": HERE, "TABLE_NAME": "images"}
IAM = {"DATABASE_IAM": "on"}


def test_unset_choices_are_the_careful_ones() -> None:
    """Only the stores must be named; every other setting has a careful default."""
    assert Settings.admin_api(STORES) == Settings(
        HERE, "images", database_iam=False, sync_max_new=5, publisher_may_promote=False
    )


@pytest.mark.parametrize("origin", ["https://example.com", "http://127.0.0.1:8080"])
def test_the_console_knows_its_origin(origin: str) -> None:
    """It has the admin API's settings, and those of sessions."""
    sessions = {"SESSION_TABLE_NAME": "sessions", "CONSOLE_ORIGIN": origin}
    read = ConsoleSettings.read(STORES | sessions)
    assert read.admin == Settings.admin_api(STORES)
    assert (read.sessions.table_name, read.sessions.origin) == ("sessions", origin)


@pytest.mark.parametrize(
    "origin", ["", "example.com", "https://example.com/", "https://Example.com", "ftp://a"]
)
def test_a_wrong_origin_is_named(origin: str) -> None:
    """A browser would never send such a text, so every post would be refused."""
    sessions = {"SESSION_TABLE_NAME": "sessions", "CONSOLE_ORIGIN": origin}
    with pytest.raises(SettingMissing, match="CONSOLE_ORIGIN"):
        ConsoleSettings.read(STORES | sessions)


def test_choices_are_read() -> None:
    """Each variable reaches its setting."""
    chosen = {
        "SYNC_MAX_NEW": "0",
        "PUBLISHER_MAY_PROMOTE": "on",
        "DATABASE_CONNINFO": VERIFIED,
    }
    assert Settings.admin_api(STORES | IAM | chosen) == Settings(
        VERIFIED, "images", database_iam=True, sync_max_new=0, publisher_may_promote=True
    )
    assert Settings.sync(STORES | chosen).sync_max_new == 0
    assert Settings.stores(STORES | chosen).sync_max_new == 5


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"TABLE_NAME": ""}, "TABLE_NAME"),
        ({"DATABASE_CONNINFO": ""}, "DATABASE_CONNINFO"),
        ({"SYNC_MAX_NEW": "-1"}, "SYNC_MAX_NEW"),
        ({"SYNC_MAX_NEW": "٣"}, "SYNC_MAX_NEW"),
        ({"SYNC_MAX_NEW": ""}, "SYNC_MAX_NEW"),
        ({"PUBLISHER_MAY_PROMOTE": "yes"}, "PUBLISHER_MAY_PROMOTE"),
        ({"DATABASE_IAM": "true"}, "DATABASE_IAM"),
    ],
)
def test_what_cannot_be_read_is_named(changed: dict[str, str], named: str) -> None:
    """A start that fails says which variable to mend."""
    with pytest.raises(SettingMissing, match=named):
        Settings.admin_api(STORES | changed)


@pytest.mark.parametrize(
    "conninfo",
    [
        HERE,
        f"{HERE} sslmode=require",
        f"{HERE} sslmode=verify-ca",
        "host=h dbname=d sslmode=verify-full",
        "dbname=d user=u sslmode=verify-full",
        "secret without a meaning",
    ],
)
def test_a_token_goes_to_a_verified_server_only(conninfo: str) -> None:
    """With IAM, weaker TLS or a missing name is refused before any connection."""
    with pytest.raises(SettingMissing, match="DATABASE_CONNINFO") as refused:
        Settings.stores(STORES | IAM | {"DATABASE_CONNINFO": conninfo})
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    ("environ", "setup"),
    [
        ({}, None),
        ({"DATABASE_SETUP_USER": ""}, None),
        ({"DATABASE_SETUP_USER": "master"}, "user=master dbname=d host=h"),
    ],
)
def test_roles_are_set_up_as_another_user(environ: dict[str, str], setup: str | None) -> None:
    """The set-up user connects to the same server, and without one nothing is set up."""
    read = MigrateSettings.read({"DATABASE_CONNINFO": HERE} | environ)
    assert (read.conninfo, read.database_iam, read.setup_conninfo) == (HERE, False, setup)
