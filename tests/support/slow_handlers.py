"""A handler whose module takes a second to load."""

import time
from typing import Any

time.sleep(1)


def left(event: Any, context: Any) -> int:
    return int(context.get_remaining_time_in_millis())
