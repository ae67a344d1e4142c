"""The Runtime API of one Lambda environment: its process gets events and returns answers."""

import json
import threading
import time
from dataclasses import dataclass
from queue import Empty, SimpleQueue

from werkzeug.wrappers import Request, Response

from infra.local.server import Server

PREFIX = "/2018-06-01/runtime/"


@dataclass(frozen=True, slots=True)
class InvocationResult:
    """The outcome of an event. With `error` the payload is Lambda's error object."""

    payload: bytes
    error: bool = False
    timed_out: bool = False

    @classmethod
    def failed(cls, kind: str, message: str, *, timed_out: bool = False) -> "InvocationResult":
        error = {"errorType": kind, "errorMessage": message}
        return cls(json.dumps(error).encode(), error=True, timed_out=timed_out)


@dataclass(frozen=True, slots=True)
class InvocationEvent:
    """An event on its way to a process. `deadline` is in seconds since the epoch."""

    request_id: str
    payload: bytes
    deadline: float


class RuntimeApi:
    """Serves one process; https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html."""

    def __init__(self, function_arn: str) -> None:
        self.failed = False
        """True when the process could not load its handler and is about to exit."""
        self.loaded = threading.Event()
        """Set when the process asks for its first event."""
        self._arn = function_arn
        self._events: SimpleQueue[InvocationEvent | None] = SimpleQueue()
        self._answers: SimpleQueue[InvocationResult] = SimpleQueue()
        self._server = Server(self._answer)
        self._server.start()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self._server.port}"

    def give(self, event: InvocationEvent) -> None:
        self._events.put(event)

    def take(self, seconds: float) -> InvocationResult | None:
        """The answer to the last event, or None after `seconds`."""
        try:
            return self._answers.get(timeout=seconds)
        except Empty:
            return None

    def close(self) -> None:
        # A request for the next event may be waiting.
        self._events.put(None)
        self._server.stop()

    def _answer(self, request: Request) -> Response:
        call = request.path.removeprefix(PREFIX)
        if call == "invocation/next":
            return self._next()
        if not call.endswith(("/response", "/error")):
            return Response("{}", 404)
        self.failed = call == "init/error"
        error = call.endswith("/error")
        self._answers.put(InvocationResult(request.get_data(), error=error))
        return Response('{"status":"OK"}', 202)

    def _next(self) -> Response:
        self.loaded.set()
        event = self._events.get()
        if event is None:
            return Response("{}", 410)
        trace = f"Root=1-{int(time.time()):08x}-{event.request_id.replace('-', '')[:24]}"
        headers = {
            "Lambda-Runtime-Aws-Request-Id": event.request_id,
            "Lambda-Runtime-Deadline-Ms": str(int(event.deadline * 1000)),
            "Lambda-Runtime-Invoked-Function-Arn": self._arn,
            "Lambda-Runtime-Trace-Id": f"{trace};Sampled=0",
        }
        return Response(event.payload, 200, headers, content_type="application/json")
