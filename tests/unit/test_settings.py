"""What the environment tells a function."""

import pytest

from shared.edge.settings import SettingMissing, Settings

STORES = {"DATABASE_CONNINFO": "host=db", "TABLE_NAME": "kiloclaw"}


def test_the_least() -> None:
    """Two stores, and defaults for what may be chosen."""
    expected = Settings("host=db", "kiloclaw", sync_max_new=5, publisher_may_promote=True)
    assert Settings.stores(STORES) == expected
    assert Settings.sync(STORES) == expected
    assert Settings.admin_api(STORES) == expected


def test_what_may_be_chosen() -> None:
    """Each by the functions that it concerns."""
    environ = STORES | {"SYNC_MAX_NEW": "0", "PUBLISHER_MAY_PROMOTE": "off"}
    assert Settings.stores(environ) == Settings("host=db", "kiloclaw")
    assert Settings.sync(environ) == Settings("host=db", "kiloclaw", sync_max_new=0)
    assert Settings.admin_api(environ) == Settings(
        "host=db", "kiloclaw", sync_max_new=0, publisher_may_promote=False
    )
    assert Settings.admin_api(STORES | {"PUBLISHER_MAY_PROMOTE": "on"}).publisher_may_promote


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DATABASE_CONNINFO", ""),
        ("TABLE_NAME", ""),
        *(("SYNC_MAX_NEW", value) for value in ("", "-1", "five", "5.0", " 5", "٥", "²")),
        *(("PUBLISHER_MAY_PROMOTE", value) for value in ("", "true", "ON", "0")),
    ],
)
def test_what_cannot_be_read(name: str, value: str) -> None:
    """Is named rather than guessed."""
    with pytest.raises(SettingMissing, match=name):
        Settings.admin_api(STORES | {name: value})


@pytest.mark.parametrize("name", STORES)
def test_what_is_missing(name: str) -> None:
    """Is named."""
    environ = {other: value for other, value in STORES.items() if other != name}
    with pytest.raises(SettingMissing, match=f"{name} is not set"):
        Settings.stores(environ)
