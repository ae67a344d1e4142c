"""Seals of the audit log: what they are computed from, and how a forgery is found.

The hash of a seal is SHA-256 over the hash of the seal before and the canonical JSON of its
events (RFC 8785). So a seal says what the whole log was up to its own events.
"""

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256

NO_SEAL = bytes(32)
"""Stands for the hash of the seal before the first."""

MAX_NUMBER = 2**53 - 1
"""The largest whole number that canonical JSON has as a number."""
MAX_DIGITS = len(str(-MAX_NUMBER))

_encode = json.JSONEncoder(
    ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":")
).encode


@dataclass(frozen=True, slots=True)
class LoggedEvent:
    """An event as the database prints it: `at` in RFC 3339, UTC, with microseconds.

    `before` and `after` are the texts of JSON documents.
    """

    id: int
    transaction_id: str
    at: str | None
    actor: str
    action: str
    subject_kind: str
    subject_id: str
    before: str | None
    after: str | None
    reason: str | None
    request_id: str | None

    def canonical(self) -> bytes:
        """Write the event as canonical JSON. Ids are texts, for they have 64 bits.

        Documents that are nested more deeply than Python can read are none of ours: they are
        written as their texts.
        """
        try:
            return self._written(_document)
        except RecursionError:
            return self._written(_as_text)

    def _written(self, read: Callable[[str | None], object]) -> bytes:
        content = {
            "id": str(self.id), "transaction_id": self.transaction_id, "at": self.at,
            "actor": self.actor, "action": self.action,
            "subject_kind": self.subject_kind, "subject_id": self.subject_id,
            "before": read(self.before), "after": read(self.after),
            "reason": self.reason, "request_id": self.request_id,
        }  # fmt: skip
        return canonical_json(content)


def canonical_json(content: object) -> bytes:
    """Write JSON by RFC 8785.

    Python's own encoder does that for what events hold: no fractions, no whole numbers that a
    double cannot hold, and names of members within Unicode's basic plane.
    """
    return _encode(content).encode()


def _document(text: str | None) -> object:
    """Read JSON. A number that canonical JSON might round is an object with its text.

    No event holds such an object or such a number, so neither passes for what an event held.
    """
    return None if text is None else _decode(text)


def _whole(text: str) -> object:
    if len(text) > MAX_DIGITS or abs(int(text)) > MAX_NUMBER:
        return _as_text(text)
    return int(text)


def _as_text(text: str | None) -> object:
    return {"text": text}


_decode = json.JSONDecoder(parse_int=_whole, parse_float=_as_text).decode


def hash_event(event: LoggedEvent) -> bytes:
    return sha256(event.canonical()).digest()


def hash_events(previous_hash: bytes, contents: Iterable[bytes]) -> bytes:
    """Compute a seal's hash from the canonical JSON of each of its events, in order."""
    return sha256(previous_hash + b"[" + b",".join(contents) + b"]").digest()


@dataclass(frozen=True, slots=True)
class Seal:
    """A link of the chain. The comments of the table say what its columns mean."""

    id: int
    first_event_id: int
    last_event_id: int
    events: int
    previous_hash: bytes
    hash: bytes
    sealed_through: int
    horizon: int


Span = tuple[int, int]
"""Ids of transactions: from the first one up to, and without, the second."""

NO_LIMIT = 2**64 - 1
"""No transaction gets so far."""


@dataclass(frozen=True, slots=True)
class Horizons:
    """Which transactions there were when a statement began.

    Each below `oldest` had ended, and none had an id from `following` on.
    """

    oldest: int
    following: int

    def has_restarted(self, newest: Seal | None) -> bool:
        """Whether ids have begun anew since that seal: the database was loaded from a dump."""
        return newest is not None and self.following < newest.horizon

    def ended(self, newest: Seal | None) -> list[Span]:
        """Transactions that have ended, and that the seals up to `newest` do not settle."""
        return self._since(newest, self.oldest)

    def open(self, newest: Seal | None) -> list[Span]:
        """All transactions that the seals up to `newest` do not settle."""
        return self._since(newest, self.following)

    def settled(self, newest: Seal | None) -> Span:
        """Transactions whose every event is in a seal up to `newest`."""
        first = self.following if self.has_restarted(newest) else 0
        return first, newest.horizon if newest else 0

    def _since(self, newest: Seal | None, end: int) -> list[Span]:
        start = newest.horizon if newest else 0
        if self.has_restarted(newest):
            return [(start, NO_LIMIT), (0, end)]
        return [(start, end)]


def make_seal(
    previous: Seal | None, events: Sequence[LoggedEvent], horizon: int
) -> tuple[Seal, list[bytes]]:
    """Make the seal behind `previous` over these events, and the hash of each of them."""
    contents = [event.canonical() for event in events]
    previous_hash = previous.hash if previous else NO_SEAL
    first, last = events[0].id, events[-1].id
    seal = Seal(
        id=previous.id + 1 if previous else 1,
        first_event_id=first,
        last_event_id=last,
        events=len(events),
        previous_hash=previous_hash,
        hash=hash_events(previous_hash, contents),
        sealed_through=_sealed_through(previous, last),
        horizon=horizon,
    )
    return seal, [sha256(content).digest() for content in contents]


@dataclass(frozen=True, slots=True)
class SealedEvent:
    """What a seal covers: the id of an event, and the hash that it had then.

    `event` is what has that id now, None if nothing has. `is_late` says that an earlier seal
    had passed the id before the event's transaction began: it was inserted with an old id.
    """

    id: int
    hash: bytes
    event: LoggedEvent | None
    is_late: bool


def find_bad_events(covered: Sequence[SealedEvent]) -> list[int]:
    """List the events that are not what they were when they were sealed."""
    return [one.id for one in covered if _is_bad(one)]


def find_altered_seal(
    previous: Seal | None, seal: Seal, covered: Sequence[SealedEvent]
) -> tuple[int, int] | None:
    """Find the first and the last event of a seal that is not what it was; None if all is well.

    A seal that is itself in order, but whose link is broken, says that it is the one before
    that was rewritten.
    """
    if not (_holds(seal, covered) and _counts(previous, seal)):
        ids = [one.id for one in covered] or [seal.first_event_id, seal.last_event_id]
        return ids[0], ids[-1]
    if _follows(previous, seal):
        return None
    rewritten = previous if previous and previous.id == seal.id - 1 else seal
    return rewritten.first_event_id, rewritten.last_event_id


def _is_bad(covered: SealedEvent) -> bool:
    event = covered.event
    return event is None or covered.is_late or hash_event(event) != covered.hash


def _holds(seal: Seal, covered: Sequence[SealedEvent]) -> bool:
    """Whether the seal says of these events what they are."""
    contents = [one.event.canonical() for one in covered if one.event]
    return (
        len(covered) == seal.events
        and (covered[0].id, covered[-1].id) == (seal.first_event_id, seal.last_event_id)
        and hash_events(seal.previous_hash, contents) == seal.hash
    )


def _counts(previous: Seal | None, seal: Seal) -> bool:
    return seal.sealed_through == _sealed_through(previous, seal.last_event_id)


def _sealed_through(previous: Seal | None, last: int) -> int:
    return max(last, previous.sealed_through) if previous else last


def _follows(previous: Seal | None, seal: Seal) -> bool:
    """Whether the seal is the link behind `previous`."""
    expected = (previous.id + 1, previous.hash) if previous else (1, NO_SEAL)
    return (seal.id, seal.previous_hash) == expected
