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
"""The prefix of scopes that are roles: the name of the user pool's resource server."""
DECODINGS = 8


@dataclass(frozen=True, slots=True)
class Caller:
    """A person or a machine with a valid token."""

    actor: Actor
    roles: frozenset[str]

    def may(self, role: Role) -> bool:
        """Whether the caller has this role. Admins may do everything."""
        return not self.roles.isdisjoint({role, "admin"})


def read_caller(claims: Mapping[str, Any] | None) -> Caller | None:
    """Return the caller, or None if the claims name nobody.

    An access token of Cognito has no `email`; then the subject is the actor.
    """
    claims = claims or {}
    names = (claims.get("email"), claims.get("sub"))
    named = [name for name in names if isinstance(name, str) and name]
    if not named or TEXT_BREAKERS.search(named[0]):
        return None
    roles = parse_groups(claims.get("cognito:groups")) | parse_scope(claims.get("scope"))
    return Caller(named[0], roles)


def parse_groups(groups: object) -> frozenset[str]:
    """Return the roles among the groups.

    API Gateway's JWT authorizer passes a list as the text `[admin viewer]`. A JSON list, and
    text separated by spaces or commas, are read too.
    """
    if isinstance(groups, str):
        groups = _parted(groups.strip())
    if not isinstance(groups, list):
        return frozenset()
    return frozenset(ROLES).intersection(group for group in groups if isinstance(group, str))


def parse_scope(scope: object) -> frozenset[str]:
    """Return the role `publisher` if the scopes grant it, else none.

    Scopes are separated by spaces (RFC 6749, section 3.3). They grant no other role: pipelines
    have a secret, administrators sign in.
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
    """Whether the path leads below `/{root}`, however a server might normalise it.

    So it sees through extra slashes, backslashes, dot segments, capitals and repeated
    percent-encoding.
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
