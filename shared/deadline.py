"""How long one event may take."""

from collections.abc import Generator
from contextlib import contextmanager
from math import inf
from time import monotonic


class Deadline:
    """The time of one event, shared by both stores.

    `seconds` is for the whole event; `catalog_seconds` for all its waits for Postgres together,
    so that a Postgres that is down leaves time to ask the KV.
    """

    def __init__(self, seconds: float = inf, catalog_seconds: float = inf) -> None:
        self._end = monotonic() + seconds
        self._catalog_left = catalog_seconds

    @property
    def left(self) -> float:
        """Seconds until the event must end; negative when it is over."""
        return self._end - monotonic()

    @property
    def catalog_left(self) -> float:
        """Seconds that Postgres may still be waited for."""
        return min(self._catalog_left, self.left)

    @contextmanager
    def waiting_for_catalog(self) -> Generator[None]:
        """Count the time inside as a wait for Postgres."""
        started = monotonic()
        try:
            yield
        finally:
            self._catalog_left -= monotonic() - started

    def extend_catalog(self, seconds: float) -> None:
        """Let Postgres be waited for at least this long, within the event's own time."""
        self._catalog_left = max(self._catalog_left, seconds)

    def extend(self, seconds: float) -> None:
        """Allow at least this much from now, for work that is known to take long."""
        self._end = max(self._end, monotonic() + seconds)
        self._catalog_left = max(self._catalog_left, seconds)
