"""The Runtime API of one Lambda environment: how its process gets events and gives answers."""

import json
import threading
import time
from dataclasses import dataclass
from queue import Empty, SimpleQueue

from infra.local.server import HttpRequest, Response, Server

PREFIX = "/2018-06-01/runtime/"
ACCEPTED = Response(202, b'{"status":"OK"}')


@dataclass(frozen=True, slots=True)
class Invocation:
    """What became of an event. With `error` the payload is Lambda's error object."""

    payload: bytes
    error: bool = False
    timed_out: bool = False

    @classmethod
    def failed(cls, kind: str, message: str, *, timed_out: bool = False) -> "Invocation":
        error = {"errorType": kind, "errorMessage": message}
        return cls(json.dumps(error).encode(), error=True, timed_out=timed_out)


@dataclass(frozen=True, slots=True)
class Event:
    request_id: str
    payload: bytes
    deadline: float


class RuntimeApi:
    """Serves one process; https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html."""

    def __init__(self, function_arn: str) -> None:
        self.failed = False
        """The process could not even load its handler, and is about to exit."""
        self.loaded = threading.Event()
        """Set when the process asks for its first event."""
        self._arn = function_arn
        self._events: SimpleQueue[Event | None] = SimpleQueue()
        self._answers: SimpleQueue[Invocation] = SimpleQueue()
        self._server = Server(self._answer)
        self._server.start()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self._server.port}"

    def give(self, event: Event) -> None:
        self._events.put(event)

    def take(self, seconds: float) -> Invocation | None:
        """The answer to the event given last, if it comes within `seconds`."""
        try:
            return self._answers.get(timeout=seconds)
        except Empty:
            return None

    def close(self) -> None:
        # Somebody may be waiting for an event that never comes.
        self._events.put(None)
        self._server.stop()

    def _answer(self, request: HttpRequest) -> Response:
        call = request.path.removeprefix(PREFIX)
        if call == "invocation/next":
            return self._next()
        if call.endswith("/response"):
            self._answers.put(Invocation(request.body))
            return ACCEPTED
        if call.endswith("/error"):
            self.failed = call == "init/error"
            self._answers.put(Invocation(request.body, error=True))
            return ACCEPTED
        return Response(404, b"{}")

    def _next(self) -> Response:
        self.loaded.set()
        event = self._events.get()
        if event is None:
            return Response(410, b"{}")
        trace = f"Root=1-{int(time.time()):08x}-{event.request_id.replace('-', '')[:24]}"
        headers = (
            ("content-type", "application/json"),
            ("Lambda-Runtime-Aws-Request-Id", event.request_id),
            ("Lambda-Runtime-Deadline-Ms", str(int(event.deadline * 1000))),
            ("Lambda-Runtime-Invoked-Function-Arn", self._arn),
            ("Lambda-Runtime-Trace-Id", f"{trace};Sampled=0"),
        )
        return Response(200, event.payload, headers)
