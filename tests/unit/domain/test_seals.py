"""Seals: the canonical form of events, and what a link of the chain says."""

import json
from typing import Any

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.seals import (
    MAX_NUMBER,
    NO_LIMIT,
    Horizons,
    LoggedEvent,
    Seal,
    canonical_json,
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
        ("9007199254740992", '"9007199254740992"'),
        ("-9007199254740992", '"-9007199254740992"'),
        ("1" + "0" * 5000, f'"1{"0" * 5000}"'),
        ("1.50", '"1.50"'),
        ("1e400", '"1e400"'),
        ('"\\u20ac\\n"', '"€\\n"'),
    ],
)
def test_no_number_is_rounded(printed: str, canonical: str) -> None:
    """A number that canonical JSON could not hold exactly is written as its text."""
    event = _event(before=printed)
    assert f'"before":{canonical},'.encode() in event.canonical()


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
