"""Logs and metrics: what happened, never to whom."""

from collections.abc import Generator
from contextlib import contextmanager

from aws_lambda_powertools.logging import Logger
from aws_lambda_powertools.metrics import Metrics, MetricUnit

from shared.domain.errors import Refused


class Telemetry:
    """Structured log lines, and metrics in the embedded metric format, one line an event."""

    def __init__(self) -> None:
        self.logger = Logger()
        self.metrics = Metrics()

    def count(self, name: str, number: float = 1) -> None:
        self.metrics.add_metric(name=name, unit=MetricUnit.Count, value=number)

    @contextmanager
    def event(self) -> Generator[None]:
        """Count what the domain refuses, and write the metrics whatever happens."""
        try:
            yield
        except Refused as refusal:
            self.count(type(refusal).__name__)
            raise
        finally:
            if self.metrics.metric_set:
                self.metrics.flush_metrics()
