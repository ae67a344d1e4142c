"""How long a run may take."""

from time import monotonic

UNLIMITED_SECONDS = 50.0
"""How long a run without a limit may ask the stores."""
POINTER_SECONDS = 5.0
"""How long after its time is up a run still begins to reconcile variants."""
FINISH_SECONDS = 3.0
"""How long the last variant and the record of the run may take."""


class TimeLimit:
    """When a run stops beginning anything new, on the monotonic clock. None: never.

    `entries_end` holds for entries and claims, `pointers_end` for pointers.
    """

    def __init__(self, seconds: float | None) -> None:
        self.entries_end: float | None = None
        self.pointers_end: float | None = None
        self.store_seconds = UNLIMITED_SECONDS
        if seconds is not None:
            self.entries_end = monotonic() + seconds
            self.pointers_end = self.entries_end + POINTER_SECONDS
            self.store_seconds = seconds + POINTER_SECONDS + FINISH_SECONDS
