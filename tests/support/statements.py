"""How many SQL statements something takes."""

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import pytest
from psycopg import Cursor


@contextmanager
def statements() -> Generator[list[Any]]:
    """The statements of this process's connections, in the order in which they are run."""
    run: list[Any] = []
    execute = Cursor.execute

    def remembered(cursor: Any, query: Any, *args: Any, **options: Any) -> Any:
        run.append(query)
        return execute(cursor, query, *args, **options)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Cursor, "execute", remembered)
        yield run
