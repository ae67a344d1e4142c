"""Sign-ins that people have begun and not completed, in the table of sessions."""

import secrets
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from typing import Any, Self

from shared.kv.table import Attributes, ConditionFailed, Table, texts

PENDING_SECONDS = 600


@dataclass(frozen=True, slots=True)
class PendingSignIn:
    """One sign-in: what the issuer's answer and tokens must match, and where it leads then.

    https://openid.net/specs/openid-connect-core-1_0.html, section 3.1.2.1, for state and nonce;
    https://www.rfc-editor.org/rfc/rfc7636, section 4.1, for the verifier.
    """

    next_path: str
    state: str = field(default_factory=lambda: secrets.token_urlsafe(32))
    nonce: str = field(default_factory=lambda: secrets.token_urlsafe(32))
    verifier: str = field(default_factory=lambda: secrets.token_urlsafe(48))

    @classmethod
    def parse(cls, item: Attributes) -> Self:
        return cls(*(item[name]["S"] for name in ("next_path", "state", "nonce", "verifier")))


@dataclass(frozen=True, slots=True)
class PendingSignIns:
    """Sign-ins, by the hash of an id that only the browser has that began them."""

    table: Table

    def begin(self, pending: PendingSignIn, now: datetime) -> str:
        """Keep a sign-in for ten minutes; returns its id. Raises KVUnavailable."""
        id_ = secrets.token_urlsafe(32)
        item = texts(
            next_path=pending.next_path,
            state=pending.state,
            nonce=pending.nonce,
            verifier=pending.verifier,
        )
        expires = int(now.timestamp()) + PENDING_SECONDS
        self.table.call(
            "put_item", Item={**_key(id_), **item, "expires_at": {"N": str(expires)}}
        )
        return id_

    def take(self, id_: str, state: str, now: datetime) -> PendingSignIn | None:
        """Delete and return the sign-in with this id and state, so that each is used once.

        None if there is none, or if it has expired. Raises KVUnavailable.
        """
        try:
            answer = self.table.call(
                "delete_item",
                Key=_key(id_),
                ConditionExpression="#state = :state",
                ExpressionAttributeNames={"#state": "state"},
                ExpressionAttributeValues={":state": {"S": state}},
                ReturnValues="ALL_OLD",
            )
        except ConditionFailed:
            return None
        item = answer["Attributes"]
        has_expired = now.timestamp() >= int(item["expires_at"]["N"])
        return None if has_expired else PendingSignIn.parse(item)


def _key(id_: str) -> dict[str, Any]:
    return {"id": {"S": f"SIGN_IN#{sha256(id_.encode()).hexdigest()}"}}
