"""Logs and metrics: what happened, never to whom."""

from collections.abc import Generator
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING

from aws_lambda_powertools.metrics import Metrics, MetricUnit

from shared.domain.errors import Refused

if TYPE_CHECKING:
    from aws_lambda_powertools.logging import Logger


class Telemetry:
    """Structured log lines, and metrics in the embedded metric format, one line an event."""

    def __init__(self) -> None:
        self.metrics = Metrics()

    @cached_property
    def logger(self) -> "Logger":
        # Imported late: provisioning starts faster without what it never uses.
        from aws_lambda_powertools.logging import Logger  # noqa: PLC0415

        return Logger()

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
