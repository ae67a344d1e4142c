"""Laws: what holds of a pure module whatever is put into it.

A law takes the module as its first argument, so that it can be asked of a copy with a fault
planted in it too. Where a law needs to know what is right, it says so in words of its own and
not in the module's.
"""

from collections.abc import Callable
from dataclasses import dataclass
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
        return self.module.__name__

    def hold_in(self, module: ModuleType, *, explain: bool = True) -> None:
        """Raises AssertionError for the example that breaks a law, made small to explain it."""
        phases = (Phase.generate, Phase.shrink) if explain else (Phase.generate,)

        @settings(max_examples=self.examples, phases=phases, report_multiple_bugs=False)
        @given(self.drawn)
        def every_law_holds(value: object) -> None:
            self.check(module, value)

        every_law_holds()
