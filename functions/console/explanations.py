"""The trace of a decision in words: every rule, what it said, and which one decided."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from shared.domain.resolution import RULES, RuleName, Step
from shared.usecases.explanation import Explanation

SENTENCES: Mapping[RuleName, Mapping[str, str]] = {
    "pin": {
        "applied": "The pin to {pin} applies; {end}.",
        "none": "there is none",
        "expired": "the pin to {pin} has ended",
        "suspended": "the pin to {pin} is suspended, because that version is disabled",
    },
    "restart": {
        "instance": "No pin decides, so {running} stays.",
        "intent_provision": "this is no restart",
        "intent_upgrade": "this is no restart",
        "instance_was_pinned": "a pin chose {running}, so it does not stay by itself",
        "no_instance": "nothing runs yet",
        "instance_unknown": "neither store knows what runs",
        "instance_disabled": "{running} is disabled",
    },
    "rollout": {
        "in_rollout": "The user is among the {percent} % who get {candidate}.",
        "not_in_rollout": "the user is not among them",
        "no_candidate": "none is running",
        "candidate_disabled": "the candidate is disabled",
        "rollout_held": "it is held, so nobody gets the candidate",
    },
    "latest": {
        "latest": "Everybody of the variant {variant} gets {latest}.",
        "no_latest": "the variant {variant} has none",
        "latest_disabled": "it is disabled",
    },
    "keep": {
        "instance": "Nothing else may run, so {running} stays.",
        "no_instance": "nothing runs yet",
        "instance_unknown": "neither store knows what runs",
        "instance_disabled": "{running} is disabled",
        "catalog_unavailable": "The catalog does not answer, so {running} stays.",
    },
}
"""What each code of a rule means. A rule that decided gets a whole sentence."""
TITLES: Mapping[RuleName, str] = {
    "pin": "Pin",
    "restart": "Restart keeps what runs",
    "rollout": "Rollout",
    "latest": "Latest",
    "keep": "Otherwise keep what runs",
}
NOT_ASKED: Mapping[RuleName, str] = {
    "pin": "not asked: the pin decides",
    "restart": "not asked: a restart keeps what runs",
    "rollout": "not asked: the rollout decides",
    "latest": "not asked: latest decides",
    "keep": "not asked",
}
"""What to say of the other rules, by the rule that decided."""
UNREAD = "the KV did not answer, so nobody knows what runs"


@dataclass(frozen=True, slots=True)
class Line:
    """A rule as the page shows it."""

    decides: bool
    title: str
    text: str


def explain_rules(explanation: Explanation) -> list[Line]:
    """Say of every rule in turn what it said, or that it was not asked."""
    steps = {step.rule: step for step in explanation.decision.trace}
    decided = next((step.rule for step in steps.values() if step.matched), None)
    names = _names(explanation)
    return [_line(rule, steps.get(rule), decided, explanation, names) for rule, *_ in RULES]


def describe_step(step: Step, names: Mapping[str, object]) -> str:
    """Say what a rule said; a code that is new here appears as it is."""
    sentence = SENTENCES[step.rule].get(step.code)
    return sentence.format_map(names) if sentence else step.code.replace("_", " ")


def _line(
    rule: RuleName,
    step: Step | None,
    decided: RuleName | None,
    explanation: Explanation,
    names: Mapping[str, object],
) -> Line:
    title = _title(rule, explanation)
    if step is None:
        is_lost = not explanation.facts.catalog_up
        lost = "cannot be asked without the catalog"
        return Line(
            decides=False, title=title, text=lost if is_lost else NOT_ASKED[decided or "keep"]
        )
    if step.code == "no_instance" and not explanation.facts.record_read:
        return Line(decides=False, title=title, text=UNREAD)
    return Line(step.matched, title, describe_step(step, names))


def _title(rule: RuleName, explanation: Explanation) -> str:
    pointer = explanation.pointer
    if rule == "pin" and explanation.decision.pin_state == "applied":
        return "Pinned"
    if rule == "rollout" and pointer.rollout:
        held = ", held" if pointer.rollout.held else ""
        return f"Rollout of {pointer.candidate_tag} to {pointer.rollout.percent} %{held}"
    if rule == "latest" and pointer.latest_tag:
        return f"Latest, {pointer.latest_tag}"
    return TITLES[rule]


def _names(explanation: Explanation) -> dict[str, object]:
    """The names that sentences use. Those that a sentence does not use may be None."""
    facts, pointer = explanation.facts, explanation.pointer
    return {
        "pin": facts.pin.image_tag if facts.pin else None,
        "end": _end(facts.pin.expires_at if facts.pin else None),
        "running": facts.running,
        "candidate": pointer.candidate_tag,
        "percent": pointer.rollout.percent if pointer.rollout else None,
        "latest": pointer.latest_tag,
        "variant": facts.variant,
    }


def _end(moment: datetime | None) -> str:
    if moment is None:
        return "it has no end"
    return f"it ends on {moment.astimezone(UTC):%Y-%m-%d at %H:%M} UTC"
