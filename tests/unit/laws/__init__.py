"""Laws: what holds of a pure module whatever is put into it.

A law takes the module as its first argument, so that it can be asked of a copy with a fault
planted in it too. Where a law needs to know what is right, it says so in words of its own and
not in the module's.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from types import ModuleType
from typing import Any

from hypothesis import Phase, given, settings
from hypothesis.strategies import SearchStrategy


@dataclass(frozen=True)
class Laws:
    """What `check` demands of `module` for each of `examples` values that are drawn."""

    module: ModuleType
    drawn: SearchStrategy[Any]
    check: Callable[[ModuleType, Any], None]
    examples: int

    def __str__(self) -> str:
        return f"{self.check.__module__.rpartition('.')[2]}"

    def hold(self) -> None:
        """Raises AssertionError for the value that breaks a law, made small to explain it."""
        self._draw(lambda value: self.check(self.module, value))

    @cached_property
    def values(self) -> list[Any]:
        """What is drawn; the same in every run."""
        values: list[Any] = []
        self._draw(values.append)
        return values

    def _draw(self, use: Callable[[Any], None]) -> None:
        @settings(max_examples=self.examples, phases=(Phase.generate, Phase.shrink))
        @given(self.drawn)
        def each(value: object) -> None:
            use(value)

        each()
