"""What the handler needs of its environment."""

import pytest


@pytest.fixture(autouse=True)
def _namespace(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """A service of its own for each test: Powertools keeps loggers by it."""
    monkeypatch.setenv("POWERTOOLS_METRICS_NAMESPACE", "KiloClaw")
    monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", request.node.name)
