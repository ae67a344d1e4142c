"""One event of a function: its deadline, its metrics and the errors of its stores."""

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from math import inf
from typing import ClassVar, Protocol

from shared.deadline import Deadline
from shared.runtime.telemetry import Telemetry

EVENT_SECONDS = 6.0


class Store(Protocol):
    """A store that keeps an event's deadline and collects the codes of its error answers."""

    deadline: Deadline
    errors: list[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class EventDependencies:
    """Where logs and metrics go, and the stores, which each kind of function names itself."""

    catalog_seconds: ClassVar[float] = inf

    telemetry: Telemetry

    @property
    def stores(self) -> Mapping[str, Store]:
        """What shares an event's deadline, by the metric that counts its errors."""
        raise NotImplementedError

    @contextmanager
    def event(self, request_id: str | None, seconds: float = EVENT_SECONDS) -> Generator[None]:
        """Set the event's deadline; at its end write its metrics and the stores' errors."""
        deadline = Deadline(seconds, self.catalog_seconds)
        for store in self.stores.values():
            store.deadline = deadline
        with self.telemetry.event(request_id):
            try:
                yield
            finally:
                for metric, store in self.stores.items():
                    self._report(metric, store.errors)

    def _report(self, metric: str, errors: list[str]) -> None:
        """Count a store's error answers, including those that the event got by without."""
        if errors:
            self.telemetry.count(metric, len(errors))
            codes = sorted(set(errors))
            self.telemetry.log("a store answered with errors", level="error", codes=codes)
            errors.clear()
