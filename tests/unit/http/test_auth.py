"""Who asks: what is read from claims, and which paths need them."""

from urllib.parse import quote

import pytest

from shared.domain.roles import Role
from shared.http.auth import Caller, is_under, parse_groups, read_caller


@pytest.mark.parametrize(
    ("groups", "roles"),
    [
        ("[admin viewer]", {"admin", "viewer"}),
        ("[admin]", {"admin"}),
        ("[]", set()),
        ("[ ]", set()),
        (" [viewer] ", {"viewer"}),
        ("admin", {"admin"}),
        ("viewer,publisher", {"viewer", "publisher"}),
        ("viewer publisher\tadmin", {"viewer", "publisher", "admin"}),
        ('["admin", "cooks"]', {"admin"}),
        (["admin", 1, None, ["viewer"]], {"admin"}),
        ("[administrator superadmin]", set()),
        ("[Admin]", set()),
        ("[admin", {"admin"}),
        ("admin]", set()),
        ("[1]", set()),
        ("[" * 9999, set()),
        ("", set()),
        (None, set()),
        (1, set()),
        ({"admin": True}, set()),
    ],
)
def test_groups(groups: object, roles: set[str]) -> None:
    """Groups may be API Gateway's text, JSON or plain text; an unknown name is no role."""
    assert parse_groups(groups) == roles


@pytest.mark.parametrize(
    ("claims", "actor"),
    [
        ({"email": "ana@example.com", "sub": "1"}, "ana@example.com"),
        ({"sub": "1"}, "1"),
        ({"email": "", "sub": "1"}, "1"),
        ({"email": ["ana"], "sub": "1"}, "1"),
        ({"email": "ana\ud800", "sub": "1"}, None),
        ({"sub": "a\0"}, None),
        ({"sub": 1}, None),
        ({}, None),
        (None, None),
    ],
)
def test_actors(claims: dict[str, object] | None, actor: str | None) -> None:
    """The actor is the address, else the subject; unstorable text names nobody."""
    caller = read_caller(claims)
    assert (caller and caller.actor) == actor


@pytest.mark.parametrize(
    ("role", "may"),
    [
        ("viewer", {"viewer"}),
        ("publisher", {"publisher"}),
        ("admin", {"viewer", "publisher", "admin"}),
        (None, set()),
    ],
)
def test_rights(role: Role | None, may: set[Role]) -> None:
    """An admin may do all, and a publisher may not even read."""
    caller = Caller("ana", frozenset([role] if role else []))
    roles: tuple[Role, ...] = ("viewer", "publisher", "admin")
    assert {wanted for wanted in roles if caller.may(wanted)} == may


def encoded(text: str, times: int) -> str:
    for _ in range(times):
        text = quote(text, safe="")
    return text


@pytest.mark.parametrize(
    "path",
    [
        "/v1", "/v1/", "/v1/pins", "//v1/pins", "/./v1", "/V1/pins", "v1", "/v1\\pins", "\\v1",
        "/docs/../v1/pins", "/v1/../docs", "/../v1", "/%76%31/pins", "/ /v1", "/%2e/v1",
        "/docs/%2e%2e/v1", encoded("/v1/pins", 1), encoded("/v1/pins", 7),
    ],
)  # fmt: skip
def test_below_the_root(path: str) -> None:
    """A path under the root is recognised however it is spelled."""
    assert is_under("v1", path)


@pytest.mark.parametrize(
    "path", ["", "/", "/docs", "/openapi.json", "/v10", "/docs/v1", "/v2/v1", "/v1.json", "/.."]
)
def test_elsewhere(path: str) -> None:
    """A path that only resembles the root is not under it."""
    assert not is_under("v1", path)


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
    assert (caller.actor, set(caller.roles)) == ("5ab8", roles)


def test_a_scope_adds_to_groups() -> None:
    """A scope adds its role to what groups grant."""
    claims = {"sub": "5ab8", "cognito:groups": "[viewer]", "scope": "kiloclaw/publisher"}
    caller = read_caller(claims)
    assert caller is not None
    assert caller.roles == {"viewer", "publisher"}
    assert not caller.may("admin")
