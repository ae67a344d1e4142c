"""Sessions of people who signed in, in a DynamoDB table of their own."""

import hmac
import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from typing import Any

from shared.domain.values import Actor
from shared.kv.table import Attributes, ConditionFailed, Table

LIFE_SECONDS = 8 * 3600
IDLE_SECONDS = 3600
TOUCH_SECONDS = 60
SESSION_ID = re.compile(r"[A-Za-z0-9_-]{43}")


@dataclass(frozen=True, slots=True)
class Session:
    """A person who signed in, with the roles that they had then."""

    id: str = field(repr=False)
    actor: Actor
    roles: frozenset[str]

    @property
    def form_token(self) -> str:
        """The token that every form of this session carries."""
        return form_token(self.id)


@dataclass(frozen=True, slots=True)
class Sessions:
    """The table of sessions. A session is found by the hash of its id, which is stored nowhere.

    `expires_at` says when a session ends unless it is used, and `ends_at` when it ends in any
    case, both in seconds since the epoch. The first is the table's time to live too, which may
    delete an item days later: so `find` compares it itself.
    """

    table: Table

    def open(self, actor: Actor, roles: Iterable[str], now: datetime) -> Session:
        """Open a session with a new random id. Raises KVUnavailable."""
        session = Session(secrets.token_urlsafe(32), actor, frozenset(roles))
        started = int(now.timestamp())
        item = {
            **_key(session.id),
            "actor": {"S": actor},
            "roles": {"L": [{"S": role} for role in sorted(session.roles)]},
            "ends_at": {"N": str(started + LIFE_SECONDS)},
            "expires_at": {"N": str(started + IDLE_SECONDS)},
        }
        self.table.call("put_item", Item=item)
        return session

    def find(
        self, session_id: str | None, now: datetime, *, is_used: bool = True
    ) -> Session | None:
        """Find a session that has not ended, and note that it is used. Raises KVUnavailable.

        Where a page asks by itself the session is not used: `is_used` is False.
        """
        if session_id is None or not SESSION_ID.fullmatch(session_id):
            return None
        answer = self.table.call("get_item", Key=_key(session_id), ConsistentRead=True)
        item = answer.get("Item")
        seconds = int(now.timestamp())
        if item is None or seconds >= int(item["expires_at"]["N"]):
            return None
        if is_used and not self._touch(session_id, item, seconds):
            return None
        roles = frozenset(role["S"] for role in item["roles"]["L"])
        return Session(session_id, item["actor"]["S"], roles)

    def end(self, session_id: str) -> None:
        """Delete a session. Idempotent. Raises KVUnavailable."""
        self.table.call("delete_item", Key=_key(session_id))

    def _touch(self, session_id: str, item: Attributes, seconds: int) -> bool:
        """Move the end of an idle session, once a minute; False if it was just ended."""
        expires = min(int(item["ends_at"]["N"]), seconds + IDLE_SECONDS)
        if expires - int(item["expires_at"]["N"]) < TOUCH_SECONDS:
            return True
        try:
            self.table.call(
                "update_item",
                Key=_key(session_id),
                UpdateExpression="SET expires_at = :expires",
                ConditionExpression="attribute_exists(id)",
                ExpressionAttributeValues={":expires": {"N": str(expires)}},
            )
        except ConditionFailed:
            return False
        return True


def form_token(session_id: str) -> str:
    """Derive the token of a session's forms from its id, from which nothing leads back."""
    return hmac.new(session_id.encode(), b"kiloclaw form", sha256).hexdigest()


def _key(session_id: str) -> dict[str, Any]:
    return {"id": {"S": f"SESSION#{sha256(session_id.encode()).hexdigest()}"}}
