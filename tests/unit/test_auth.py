"""Who asks, and what they may do, from a token's claims."""

import pytest

from shared.edge.auth import read_caller


@pytest.mark.parametrize(
    ("scope", "roles"),
    [
        ("kiloclaw/publisher", {"publisher"}),
        ("openid kiloclaw/publisher email", {"publisher"}),
        ("openid email", set()),
        ("kiloclaw/admin kiloclaw/viewer", set()),
        ("publisher", set()),
        ("other/kiloclaw/publisher", set()),
        ("kiloclaw/publisher2", set()),
        ("kiloclaw/Publisher", set()),
        ("[kiloclaw/publisher]", set()),
        (["kiloclaw/publisher"], set()),
        ("", set()),
        (None, set()),
        (7, set()),
    ],
)
def test_a_pipelines_scope_is_the_role_publisher(scope: object, roles: set[str]) -> None:
    """The scope of our resource server grants that one role; nothing like it grants any."""
    caller = read_caller({"sub": "5ab8", "token_use": "access", "scope": scope})
    assert caller is not None
    assert caller.actor == "5ab8"
    assert caller.roles == roles


def test_a_scope_adds_to_groups() -> None:
    """What groups grant stays."""
    claims = {"sub": "5ab8", "cognito:groups": "[viewer]", "scope": "kiloclaw/publisher"}
    caller = read_caller(claims)
    assert caller is not None
    assert caller.roles == {"viewer", "publisher"}
    assert not caller.may("admin")
