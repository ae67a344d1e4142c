"""The pure modules keep their laws."""

import pytest

from tests.unit import laws
from tests.unit.laws import resolution

ALL = [resolution.LAWS]


@pytest.mark.parametrize("laws", ALL, ids=str)
def test_the_laws_hold(laws: laws.Laws) -> None:
    """Whatever is put in."""
    laws.hold_in(laws.module)
