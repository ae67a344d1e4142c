"""The trace of a decision in words."""

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from functions.console.explanations import SENTENCES, explain_rules
from shared.domain.model import Image, Instance, Intent
from shared.domain.pointer import Pointer, Rollout, StoredPointer
from shared.domain.resolution import Facts, PinFact, decide
from shared.usecases.explanation import Explanation

NOW = datetime(2026, 11, 1, tzinfo=UTC)
RULE = re.compile(r"^\| \d \| `(\w+)` \|.*\|([^|]*)\|$", re.MULTILINE)
DOCUMENT = Path("docs/architecture.md")
IMAGES = {
    tag: Image(tag, None, "2026.11.1", "default", "active") for tag in ("old", "new", "next")
}
RECORD = Instance("ada", "old", None, "2026.11.1", "default", "latest", False, "", "")  # noqa: FBT003
ROLLOUT = Rollout("next", 40, "salt")


def documented_codes() -> dict[str, set[str]]:
    """The codes of each rule, as the documents list them."""
    rows = RULE.findall(DOCUMENT.read_text())
    return {rule: set(re.findall("`([a-z_]+)`", codes)) for rule, codes in rows}


def lines(facts: Facts) -> list[tuple[bool, str]]:
    """What the page says of the rules: which one decides, and title and text of each."""
    found = explain_rules(Explanation(facts, decide(facts)))
    return [(line.decides, f"{line.title} {line.text}") for line in found]


def test_every_code_has_its_sentence() -> None:
    """The codes that the documents list are those that have words, rule by rule."""
    codes = documented_codes()
    assert len(codes) == 5
    assert {rule: set(words) for rule, words in SENTENCES.items()} == codes


def test_the_pin_decides() -> None:
    """The other rules are named with what they stand for, and were not asked."""
    pinned = Facts(
        "ada", "restart", NOW, pin=PinFact("old", None), mirror=Pointer(3, "new", ROLLOUT),
        images=IMAGES, instance=RECORD, record_read=True,
    )  # fmt: skip
    assert lines(pinned) == [
        (True, "Pinned The pin to old applies; it has no end."),
        (False, "Restart keeps what runs not asked: the pin decides"),
        (False, "Rollout of next to 40 % not asked: the pin decides"),
        (False, "Latest, new not asked: the pin decides"),
        (False, "Otherwise keep what runs not asked: the pin decides"),
    ]


@pytest.mark.parametrize(
    ("intent", "expected"),
    [
        ("restart", "No pin decides, so old stays."),
        ("upgrade", "Everybody of the variant default gets new."),
    ],
)
def test_latest_and_restart(intent: Intent, expected: str) -> None:
    """A restart keeps what runs; an upgrade takes the latest."""
    pointer = Pointer(3, "new")
    facts = Facts(
        "ada", intent, NOW, pin=None, mirror=pointer, stored=StoredPointer(pointer),
        images=IMAGES, instance=RECORD, record_read=True,
    )  # fmt: skip
    [decides] = [text for is_it, text in lines(facts) if is_it]
    assert decides.endswith(expected)


def test_a_store_that_is_down() -> None:
    """What could not be asked, and what nobody knows, is told apart from what is not there."""
    without_catalog = Facts("ada", "restart", NOW, catalog_up=False, instance=RECORD)
    assert lines(without_catalog)[0] == (False, "Pin cannot be asked without the catalog")
    assert lines(without_catalog)[4] == (
        True, "Otherwise keep what runs The catalog does not answer, so old stays.",
    )  # fmt: skip
    without_kv = Facts("ada", "restart", NOW, mirror=Pointer(3, "new"), images=IMAGES)
    assert "the KV did not answer" in lines(without_kv)[1][1]
    nothing = Facts("ada", "restart", NOW, record_read=True)
    assert not any(decides for decides, _ in lines(nothing))
    assert "nothing runs yet" in lines(nothing)[1][1]
