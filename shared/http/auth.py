"""Who asks and what they may do, read from the claims that API Gateway has verified."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from shared.domain.roles import ROLES, Role
from shared.domain.values import TEXT_BREAKERS, Actor

SCOPE = "kiloclaw/"
"""A role that a pipeline's token has for scope: of the user pool's resource server."""
DECODINGS = 8


@dataclass(frozen=True, slots=True)
class Caller:
    """A person or a machine with a valid token."""

    actor: Actor
    roles: frozenset[str]

    def may(self, role: Role) -> bool:
        """Admins may do all; no other role contains another."""
        return not self.roles.isdisjoint({role, "admin"})


def read_caller(claims: Mapping[str, Any] | None) -> Caller | None:
    """The caller, or None where the claims name nobody.

    An access token of Cognito has no `email`; its subject stands in.
    """
    claims = claims or {}
    names = (claims.get("email"), claims.get("sub"))
    named = [name for name in names if isinstance(name, str) and name]
    if not named or TEXT_BREAKERS.search(named[0]):
        return None
    roles = parse_groups(claims.get("cognito:groups")) | parse_scope(claims.get("scope"))
    return Caller(named[0], roles)


def parse_groups(groups: object) -> frozenset[str]:
    """The roles among the groups.

    API Gateway's JWT authorizer renders a list as `[admin viewer]`; a JSON list and plain text
    parted by spaces or commas are read too.
    """
    if isinstance(groups, str):
        groups = _parted(groups.strip())
    if not isinstance(groups, list):
        return frozenset()
    return frozenset(ROLES).intersection(group for group in groups if isinstance(group, str))


def parse_scope(scope: object) -> frozenset[str]:
    """`publisher`, where the scopes (parted by spaces: RFC 6749, section 3.3) grant it.

    That role alone: a pipeline proves itself with a secret, administrators sign in.
    """
    granted = scope.split(" ") if isinstance(scope, str) else []
    return frozenset({"publisher"} if f"{SCOPE}publisher" in granted else ())


def _parted(text: str) -> object:
    if not text.startswith("["):
        return re.split(r"[\s,]+", text)
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text.removeprefix("[").removesuffix("]").split()


def is_under(root: str, path: str) -> bool:
    """Does the path lead below `/{root}`, or would it for any server that tidies paths?

    Extra slashes, backslashes, dot segments, capitals and repeated percent-encoding count.
    """
    for _ in range(DECODINGS):
        path = unquote(path)
    parts = [
        part for part in re.split(r"[/\\]", path.casefold()) if part.strip() not in {"", "."}
    ]
    resolved: list[str] = []
    for part in parts:
        if part != "..":
            resolved.append(part)
        elif resolved:
            resolved.pop()
    return root in {*parts[:1], *resolved[:1]}
