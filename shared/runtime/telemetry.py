"""Logs and metrics. They never name a user."""

from collections.abc import Generator
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from aws_lambda_powertools.metrics import Metrics, MetricUnit

from shared.domain.errors import Refused

if TYPE_CHECKING:
    from aws_lambda_powertools.logging import Logger


class Telemetry:
    """Structured log lines, and one line of metrics per event (embedded metric format).

    Every line has the request id, so that one request can be followed through all logs.
    """

    def __init__(self) -> None:
        self.metrics = Metrics()
        self._request_id: str | None = None

    @cached_property
    def logger(self) -> "Logger":
        # Imported late: provisioning starts faster without what it never uses.
        from aws_lambda_powertools.logging import Logger  # noqa: PLC0415

        return Logger()

    def count(self, name: str, number: float = 1) -> None:
        self.metrics.add_metric(name=name, unit=MetricUnit.Count, value=number)

    def seconds(self, name: str, number: float) -> None:
        self.metrics.add_metric(name=name, unit=MetricUnit.Seconds, value=number)

    def log(
        self, message: str, *, level: Literal["info", "error"] = "info", **facts: Any
    ) -> None:
        """Write a line. `facts` are numbers, codes and tags, never anything about a person."""
        write = self.logger.error if level == "error" else self.logger.info
        write(message, correlation_id=self._request_id, **facts)

    @contextmanager
    def event(self, request_id: str | None) -> Generator[None]:
        """Count refusals by name and unexpected errors; write the metrics in any case."""
        self._request_id = request_id
        try:
            yield
        except Exception as error:
            self.count(type(error).__name__ if isinstance(error, Refused) else "Unexpected")
            raise
        finally:
            if self.metrics.metric_set:
                self.metrics.add_metadata("correlation_id", request_id)
                self.metrics.flush_metrics()


def request_id(context: object) -> str | None:
    """The invocation's request id, from Lambda's context."""
    return getattr(context, "aws_request_id", None)
