"""Laws: what holds of a pure module whatever is put into it.

A law takes the module as its first argument, so that it can be asked of a copy with a fault
planted in it too. Where a law needs to know what is right, it says so in words of its own and
not in the module's.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from types import ModuleType
from typing import Any

from hypothesis import Phase, given, settings
from hypothesis.strategies import SearchStrategy


@dataclass(frozen=True, eq=False)
class Laws:
    """What `check` demands of `module` for all of `over`, or for `examples` drawn from it."""

    name: str
    module: ModuleType
    over: SearchStrategy[Any] | Sequence[Any]
    check: Callable[[ModuleType, Any], None]
    examples: int = 0

    def __str__(self) -> str:
        return self.name

    def hold(self) -> None:
        """Raises AssertionError for the value that breaks a law, made small to explain it."""
        self._each(lambda value: self.check(self.module, value))

    @cached_property
    def values(self) -> list[Any]:
        """What the laws are asked about."""
        values: list[Any] = []
        self._each(values.append)
        return values

    def _each(self, use: Callable[[Any], None]) -> None:
        if isinstance(self.over, Sequence):
            for value in self.over:
                use(value)
            return

        @settings(max_examples=self.examples, phases=(Phase.generate, Phase.shrink))
        @given(self.over)
        def each(value: object) -> None:
            use(value)

        each()
