"""The pure modules keep their laws."""

import pytest

from tests.unit.domain.properties import (
    Laws,
    pointer,
    reconciliation,
    resolution,
    rollout,
    suspicion,
    sync,
    values,
)

ALL = [
    pointer.LAWS,
    reconciliation.LAWS,
    resolution.LAWS,
    rollout.LAWS,
    suspicion.LAWS,
    sync.LAWS,
    values.LAWS,
    values.GRAMMAR_LAWS,
]


@pytest.mark.parametrize("laws", ALL, ids=str)
def test_the_laws_hold(laws: Laws) -> None:
    """Whatever is put in."""
    laws.hold()
