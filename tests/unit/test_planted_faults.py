"""The laws notice when a pure module goes wrong: each fault here is one that they catch."""

from pathlib import Path
from types import ModuleType

import pytest

from tests.unit.laws import Laws, resolution

FAULTS: list[tuple[Laws, str, str]] = [
    (resolution.LAWS, "expires_at <= facts.now", "expires_at < facts.now"),
    (resolution.LAWS, "revision < facts.mirror.revision", "revision <= facts.mirror.revision"),
    (resolution.LAWS, "return pointer if alive else facts.mirror", "return pointer"),
    (resolution.LAWS, "image.variant == facts.variant", "image.variant"),
    (resolution.LAWS, "and facts.instance.is_pinned", "and not facts.instance.is_pinned"),
    (resolution.LAWS, 'facts.intent != "restart"', 'facts.intent == "provision"'),
    (resolution.LAWS, '("rollout", "rollout", _rollout),', '("rollout", "latest", _rollout),'),
    (resolution.LAWS, ' and source != "pin"', ""),
    (resolution.LAWS, "is_pinned=known.is_pinned", "is_pinned=False"),
    (
        resolution.LAWS,
        "return (image, code) if image.runnable",
        "return (image, code) if image",
    ),
    (resolution.LAWS, "facts.images.get(running) or ", ""),
    (resolution.LAWS, "or latest is None or not _runnable(facts, latest)", "or latest is None"),
    (
        resolution.LAWS,
        "if facts.instance else facts.running_tag\n    if",
        "if facts.instance else None\n    if",
    ),
    (resolution.LAWS, "is not None and image.runnable", "is not None"),
]


def planted(module: ModuleType, right: str, wrong: str) -> ModuleType:
    """A copy of the module with the fault in it."""
    assert module.__file__ is not None
    source = Path(module.__file__).read_text()
    assert source.count(right) == 1, f"{right!r} is not once in {module.__name__}"
    copy = ModuleType(f"{module.__name__} with a fault")
    exec(compile(source.replace(right, wrong), module.__file__, "exec"), vars(copy))  # noqa: S102
    return copy


@pytest.mark.parametrize(("laws", "right", "wrong"), FAULTS)
def test_a_law_is_broken(laws: Laws, right: str, wrong: str) -> None:
    """By the fault, within the examples that the laws are asked for."""
    copy = planted(laws.module, right, wrong)
    with pytest.raises(AssertionError):
        laws.hold_in(copy, explain=False)
