"""Seals: the canonical form of events, and what a link of the chain says."""

import json
from dataclasses import replace
from hashlib import sha256
from typing import Any

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.seals import (
    MAX_NUMBER,
    NO_LIMIT,
    NO_SEAL,
    Horizons,
    LoggedEvent,
    Seal,
    SealedEvent,
    canonical_json,
    find_altered_seal,
    find_bad_events,
    make_seal,
)

TEXTS = st.text(st.characters(codec="utf-8"))
NAMES = st.text(st.characters(codec="utf-8", max_codepoint=0xFFFF))
WHOLE = st.integers(-MAX_NUMBER, MAX_NUMBER)
VALUES = st.recursive(
    st.none() | st.booleans() | WHOLE | TEXTS,
    lambda inner: st.lists(inner) | st.dictionaries(NAMES, inner),
)
PLAIN: dict[str, Any] = {
    "id": 7, "transaction_id": "99", "at": "2026-11-25T00:00:00.000000Z", "actor": "ada",
    "action": "pin.set", "subject_kind": "version", "subject_id": "tag", "before": None,
    "after": None, "reason": None, "request_id": None,
}  # fmt: skip


def _event(**columns: Any) -> LoggedEvent:
    """An event; what is not given is plain."""
    return LoggedEvent(**{**PLAIN, **columns})


@given(VALUES)
def test_the_canonical_form_is_that_of_rfc_8785(value: Any) -> None:
    """What Python writes equals what a whole implementation of the standard writes."""
    assert canonical_json(value) == rfc8785.dumps(value)


@given(st.dictionaries(NAMES, VALUES) | st.none(), TEXTS)
def test_an_event_is_canonical(after: Any, reason: str) -> None:
    """Contents come as the database prints them; the order of members makes no difference."""
    text = None if after is None else json.dumps(after)
    event = _event(after=text, reason=reason)
    expected = PLAIN | {"id": "7", "after": after, "reason": reason}
    assert event.canonical() == rfc8785.dumps(expected)


@pytest.mark.parametrize(
    ("printed", "canonical"),
    [
        ("9007199254740991", "9007199254740991"),
        ("9007199254740992", '{"text":"9007199254740992"}'),
        ("-9007199254740992", '{"text":"-9007199254740992"}'),
        ("1" + "0" * 5000, f'{{"text":"1{"0" * 5000}"}}'),
        ("1.50", '{"text":"1.50"}'),
        ("1e400", '{"text":"1e400"}'),
        ('"\\u20ac\\n"', '"€\\n"'),
    ],
)
def test_no_number_is_rounded(printed: str, canonical: str) -> None:
    """A number that canonical JSON could not hold exactly is written as its text.

    It is told from a text of the same characters, such as a tag.
    """
    event = _event(before=printed)
    assert f'"before":{canonical},'.encode() in event.canonical()
    assert event.canonical() != _event(before=json.dumps(printed)).canonical()


def test_what_is_nested_too_deeply_is_read_too() -> None:
    """A forger who writes such a document is found like any other."""
    for depth in (*range(900, 1000), 5000):
        deep = "[" * depth + "]" * depth
        assert _event(before=deep).canonical() != _event(before="[]").canonical()


@pytest.mark.parametrize("column", PLAIN)
def test_every_column_counts(column: str) -> None:
    """An event that differs in any column has another canonical form."""
    other = {"id": 8, "before": "{}", "after": "{}"}.get(column, "other")
    assert _event(**{column: other}).canonical() != _event().canonical()


def _seal(horizon: int) -> Seal:
    return Seal(1, 1, 1, 1, b"", b"", 1, horizon)


@given(st.integers(1, 60), st.integers(1, 60), st.integers(0, 5), st.integers(1, 99))
def test_every_transaction_is_settled_or_open(
    horizon: int, oldest: int, running: int, transaction: int
) -> None:
    """This holds when transactions are counted on, and when a dump made them begin anew.

    Only what has ended is sealed.
    """
    newest, horizons = _seal(horizon), Horizons(oldest, oldest + running)

    def within(first: int, end: int) -> bool:
        return first <= transaction < end

    def has_begun() -> bool:
        return transaction < horizons.following or horizons.has_restarted(newest)

    is_open = [within(*span) for span in horizons.open(newest)]
    has_ended = [within(*span) for span in horizons.ended(newest)]
    assert sum(is_open) + within(*horizons.settled(newest)) == has_begun()
    assert sum(has_ended) <= sum(is_open) <= 1
    if has_begun() and sum(is_open) > sum(has_ended):
        assert oldest <= transaction < horizons.following


def test_before_the_first_seal_nothing_is_settled() -> None:
    """Every transaction there was is open, and those that have ended are to be sealed."""
    horizons = Horizons(5, 9)
    assert horizons.settled(None) == (0, 0)
    assert (horizons.ended(None), horizons.open(None)) == ([(0, 5)], [(0, 9)])
    assert Horizons(5, 9).ended(_seal(10)) == [(10, NO_LIMIT), (0, 5)]


def test_a_seal_is_the_hash_of_the_one_before_and_its_events() -> None:
    """It is SHA-256 over that hash and one canonical array of the events."""
    events = [_event(id=number, after='{"image_tag": "v1"}') for number in (1, 2)]
    array = rfc8785.dumps(
        [PLAIN | {"id": str(number), "after": {"image_tag": "v1"}} for number in (1, 2)]
    )
    first, hashes = make_seal(None, events, 99)
    assert first.hash == sha256(bytes(32) + array).digest()
    assert hashes == [sha256(event.canonical()).digest() for event in events]
    second, _ = make_seal(first, events, 100)
    assert second.hash == sha256(first.hash + array).digest()
    assert (first.horizon, second.horizon) == (99, 100)


def test_ids_begin_anew_only_below_the_horizon() -> None:
    """A database that has had no transaction since the seal has not been loaded from a dump."""
    assert Horizons(5, 9).has_restarted(_seal(10))
    assert not Horizons(5, 10).has_restarted(_seal(10))


def _chain() -> list[tuple[Seal, list[SealedEvent]]]:
    """Three seals over the events 1 to 3, 5 and 7 (where 4 comes late), and what they cover."""
    links: list[tuple[Seal, list[SealedEvent]]] = []
    previous: Seal | None = None
    for ids in ((1, 2, 3), (5, 7), (4,)):
        events = [_event(id=event_id, actor=f"actor {event_id}") for event_id in ids]
        seal, hashes = make_seal(previous, events, 99)
        covered = [
            SealedEvent(event.id, content, event, is_late=False)
            for event, content in zip(events, hashes, strict=True)
        ]
        links.append((seal, covered))
        previous = seal
    return links


def _doubts(links: list[tuple[Seal, list[SealedEvent]]]) -> list[tuple[int, int] | None]:
    before = [None, *(seal for seal, _ in links)]
    return [
        find_altered_seal(previous, seal, covered)
        for previous, (seal, covered) in zip(before, links, strict=False)
    ]


def test_a_chain_that_nobody_touched_holds() -> None:
    """Each seal counts its events, and knows the one before."""
    links = _chain()
    assert [
        (seal.id, seal.first_event_id, seal.last_event_id, seal.events, seal.sealed_through)
        for seal, _ in links
    ] == [(1, 1, 3, 3, 3), (2, 5, 7, 2, 7), (3, 4, 4, 1, 7)]
    assert links[0][0].previous_hash == NO_SEAL
    assert [seal.previous_hash for seal, _ in links[1:]] == [seal.hash for seal, _ in links[:2]]
    assert _doubts(links) == [None] * 3
    assert [find_bad_events(covered) for _, covered in links] == [[]] * 3


@pytest.mark.parametrize(
    ("change", "bad"),
    [
        ({"event": _event(id=5, actor="forged")}, [5]),
        ({"event": None}, [5]),
        ({"hash": bytes(32)}, [5]),
        ({"is_late": True}, [5]),
    ],
)
def test_an_event_that_is_not_what_was_sealed(change: dict[str, Any], bad: list[int]) -> None:
    """It is named; the others of its seal are not."""
    _, (_, covered), _ = _chain()
    assert find_bad_events([replace(covered[0], **change), covered[1]]) == bad


@pytest.mark.parametrize(
    "changes",
    [
        {"id": 4},
        {"first_event_id": 4},
        {"last_event_id": 8},
        {"events": 3},
        {"previous_hash": bytes(32)},
        {"hash": bytes(32)},
        {"sealed_through": 9},
    ],
)
def test_a_seal_that_was_changed(changes: dict[str, Any]) -> None:
    """The seal is in doubt with all that it covers, or says it does."""
    links = _chain()
    seal, covered = links[1]
    links[1] = replace(seal, **changes), covered
    assert _doubts(links)[:2] == [None, (5, 7)]


def test_a_seal_remade_over_forged_events_is_given_away_by_the_next() -> None:
    """It holds by itself, but is not the one that the next seal followed."""
    links = _chain()
    forged = [_event(id=5, actor="forged"), _event(id=7)]
    seal, hashes = make_seal(links[0][0], forged, 99)
    pairs = zip(forged, hashes, strict=True)
    links[1] = (
        seal,
        [SealedEvent(one.id, content, one, is_late=False) for one, content in pairs],
    )
    assert _doubts(links) == [None, None, (5, 7)]


def test_a_seal_without_events_or_without_the_one_before_is_in_doubt() -> None:
    """Nothing else could say which events it covered."""
    first, second, third = _chain()
    assert find_altered_seal(first[0], second[0], []) == (5, 7)
    assert find_altered_seal(first[0], third[0], third[1]) == (4, 4)
    assert find_altered_seal(None, second[0], second[1]) == (5, 7)
