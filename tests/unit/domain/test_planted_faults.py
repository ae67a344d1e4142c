"""The laws notice when a pure module goes wrong: each fault here is one that they catch."""

from pathlib import Path
from types import ModuleType

import pytest

from tests.unit.domain.properties import (
    Laws,
    pointer,
    reconciliation,
    resolution,
    rollout,
    suspicion,
    sync,
    values,
)

FAULTS: dict[Laws, list[tuple[str, str]]] = {
    resolution.LAWS: [
        ("expires_at <= facts.now", "expires_at < facts.now"),
        ("revision < facts.mirror.revision", "revision <= facts.mirror.revision"),
        (" or pointer.revision < facts.mirror.revision", ""),
        ('facts.intent == "restart" or latest is None', 'facts.intent != "" or latest is None'),
        ("return pointer if alive else facts.mirror", "return pointer"),
        ("and image.variant == facts.variant", ""),
        ("and facts.instance.is_pinned", "and not facts.instance.is_pinned"),
        ('facts.intent != "restart"', 'facts.intent == "provision"'),
        ('("restart", "instance", _restart),', ""),
        (' and source != "pin"', ""),
        ("is_pinned=known.is_pinned", "is_pinned=False"),
        ("if image.runnable else (None,", "if image else (None,"),
        ("facts.images.get(running) or ", ""),
        ("or latest is None or not _runnable(facts, latest)", "or latest is None"),
        ("image is not None and image.runnable", "image is not None"),
    ],
    rollout.LAWS: [
        ("\\0", ""),
        ("digest[:8]", "digest[:4]"),
        ('"big"', '"little"'),
        ("bucket(salt, user_id) < percent", "bucket(salt, user_id) <= percent"),
    ],
    pointer.LAWS: [
        ("== tag else self.rollout", "!= tag else self.rollout"),
        ("replace(self, rollout=None) if ends else self", "self"),
        (
            "return pointer.promote(replacement) if",
            "return replace(pointer, latest_tag=replacement) if",
        ),
        ("type(value) is not int", "not isinstance(value, int)"),
        ("0 <= percent <= 100", "0 <= percent < 100"),
        ("        and value.isascii()\n", ""),
        ("self.fault is None and same", "same"),
    ],
    reconciliation.LAWS: [
        (
            "found.pointer.revision < mirror.revision",
            "found.pointer.revision <= mirror.revision",
        ),
        ("max(found.revision, mirror.revision) + 1", "mirror.revision + 1"),
        ("max(found.revision, mirror.revision) + 1", "max(found.revision, mirror.revision)"),
        ("rollout=None, revision=pointer.revision + 1", "rollout=None"),
        ('candidate in {None, "disabled"}', 'candidate == "disabled"'),
        ("if pointer.content != mirror.content:", "if False:"),
        ("return Plan(mirror=pointer)", "return Plan(put=pointer, mirror=pointer)"),
        ("Plan(put=mirror if mirror.latest_tag else None)", "Plan(put=mirror)"),
        ("in found.pointer.tags:", "in found.pointer.tags[:1]:"),
        ("mirror.latest_tag is None and fault", "fault"),
    ],
    sync.LAWS: [
        ("(entry.published_at, entry.image_tag)", "entry.image_tag"),
        ("len(batch.insert) >= cap", "len(batch.insert) > cap"),
        ("full = cap and ", "full = "),
        ("if row is not None and row.retired:", "if row is None and cap < 0:"),
        ("owners[entry.image_digest] = entry.image_tag", "pass"),
        ("row.variant != entry.variant", "row.variant < entry.variant"),
        ("row.image_digest not in {None, digest}", "row.image_digest != digest"),
        (
            "elif entry.openclaw_version != row.openclaw_version:",
            "else:\n        batch.update.append(entry)\n    if False:",
        ),
        ("tag in present and row.missing", "tag in present"),
        ("        if row.retired:\n            continue\n", ""),
    ],
    suspicion.LAWS: [
        ("seen >= GOOD_SHARE * good", "seen > GOOD_SHARE * good"),
        ('if run.outcome == "ok"), None)', "), None)"),
        ("BELIEVED_AFTER = 3", "BELIEVED_AFTER = 2"),
        ('PastRun("suspect_partial", seen) for', 'PastRun("suspect_partial", run.seen) for'),
    ],
    values.GRAMMAR_LAWS: [
        ("re.fullmatch(self.pattern", "re.match(self.pattern"),
        ("if text in self.reserved:", "if value is None:"),
        ("[0-9]{4}\\.", "[0-9]{4}."),
        ("\\x00\\ud800", "\\ud800"),
        ("len(text) > self.limit", "len(text) >= self.limit"),
        ("value.strip() if self.trim", "value.lstrip() if self.trim"),
    ],
    values.LAWS: [
        ("moment.astimezone(UTC).isoformat", "moment.isoformat"),
        ('timespec="microseconds")[:26]', 'timespec="auto")[:26]'),
        ("value.upper()).astimezone(UTC)", "value.upper())"),
    ],
}


def planted(module: ModuleType, right: str, wrong: str) -> ModuleType:
    """A copy of the module with the fault in it."""
    assert module.__file__ is not None
    source = Path(module.__file__).read_text()
    assert source.count(right) == 1, f"{right!r} is not once in {module.__name__}"
    copy = ModuleType(f"{module.__name__} with a fault")
    exec(compile(source.replace(right, wrong), module.__file__, "exec"), vars(copy))  # noqa: S102
    return copy


@pytest.mark.parametrize(
    ("laws", "right", "wrong"),
    [(laws, *fault) for laws, faults in FAULTS.items() for fault in faults],
    ids=str,
)
def test_a_law_is_broken(laws: Laws, right: str, wrong: str) -> None:
    """By the fault, for one of the values that are drawn for the laws."""
    copy = planted(laws.module, right, wrong)
    with pytest.raises((AssertionError, ValueError)):
        _ask(laws, copy)


def _ask(laws: Laws, copy: ModuleType) -> None:
    for value in laws.values:
        laws.check(copy, value)
