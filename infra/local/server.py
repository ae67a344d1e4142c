"""A small HTTP server that hands over requests as they came, undecoded."""

import socketserver
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any, cast

from infra.local.processes import HOST

MAX_BODY = 10 * 1024 * 1024
"""What API Gateway accepts, in bytes."""
MAX_DISCARDED = 4 * MAX_BODY
NO_BODY = {HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED}


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """`path` and `query` are still percent-encoded; header names are lower-case."""

    method: str
    path: str
    query: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    client: str = HOST
    protocol: str = "HTTP/1.1"


@dataclass(frozen=True, slots=True)
class Response:
    status: int
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = (("content-type", "application/json"),)


Answer = Callable[[HttpRequest], Response]


class BodyTooLong(Exception):
    """The body is longer than any function may be sent."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Delayed acknowledgements would cost every answer 40 ms.
    disable_nagle_algorithm = True
    wbufsize = -1
    error_content_type = "application/json"
    error_message_format = '{"message":"%(message)s"}'

    def __getattr__(self, name: str) -> Any:
        if name.startswith("do_"):
            return self._serve
        raise AttributeError(name)

    def _serve(self) -> None:
        try:
            body = b"".join(self._body())
        except BodyTooLong:
            self._refuse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "Request Too Long")
        except ValueError:
            self._refuse(HTTPStatus.BAD_REQUEST, "Bad Request")
        else:
            self._send(self._answer(body))

    def _answer(self, body: bytes) -> Response:
        path, _, query = self.path.partition("?")
        headers: dict[str, str] = {}
        for name, value in self.headers.items():
            key = name.lower()
            headers[key] = f"{headers[key]},{value}" if key in headers else value
        request = HttpRequest(
            self.command,
            path,
            query,
            headers,
            body,
            self.client_address[0],
            self.request_version,
        )
        try:
            return cast("Server", self.server).answer(request)
        except Exception:  # noqa: BLE001  whatever it is, the others want to be served
            traceback.print_exc(file=sys.stderr)
            return Response(500, b'{"message":"Internal Server Error"}')

    def _body(self) -> Iterator[bytes]:
        """The body in parts. Raises BodyTooLong when it has been read, ValueError."""
        if "chunked" in self.headers.get("transfer-encoding", "").lower():
            parts = self._chunks()
        else:
            parts = self._parts(_length(self.headers.get("content-length", "0")))
        size = 0
        for part in parts:
            size += len(part)
            if size > MAX_DISCARDED:
                break
            yield part if size <= MAX_BODY else b""
        if size > MAX_BODY:
            raise BodyTooLong

    def _parts(self, left: int) -> Iterator[bytes]:
        while left:
            part = self.rfile.read(min(left, 65_536))
            if not part:
                raise ValueError("the body ended early")
            left -= len(part)
            yield part

    def _chunks(self) -> Iterator[bytes]:
        while size := _length(self.rfile.readline(80).split(b";")[0].strip().decode(), 16):
            yield from self._parts(size)
            self.rfile.readline(3)
        while self.rfile.readline(65_536).strip():
            """Trailers say nothing that a function is told."""

    def handle_expect_100(self) -> bool:
        said = super().handle_expect_100()
        self.wfile.flush()
        return said

    def _refuse(self, status: HTTPStatus, message: str) -> None:
        self.close_connection = True
        self._send(Response(status, f'{{"message":"{message}"}}'.encode()))

    def _send(self, response: Response) -> None:
        self.send_response(response.status)
        for name, value in response.headers:
            self.send_header(name, value)
        if response.status not in NO_BODY:
            self.send_header("content-length", str(len(response.body)))
        self.send_header("connection", "close" if self.close_connection else "keep-alive")
        self.end_headers()
        if self.command != "HEAD" and response.status not in NO_BODY:
            self.wfile.write(response.body)

    def handle(self) -> None:
        # A client that hangs up is its own affair.
        with suppress(ConnectionError):
            super().handle()

    def version_string(self) -> str:
        return "kiloclaw-local"

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """What is worth a line is logged by the functions."""


class Server(ThreadingHTTPServer):
    """Serves 127.0.0.1, each connection in a thread of its own, kept alive.

    It holds its port from the start (OSError if another does) and answers after `start`.
    """

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, answer: Answer, port: int = 0) -> None:
        self.answer = answer
        super().__init__((HOST, port), _Handler)
        self._thread = Thread(target=self.serve_forever, args=(0.05,), daemon=True)

    @property
    def port(self) -> int:
        return self.server_port

    def server_bind(self) -> None:
        """Bind, without the look-up of a host name that HTTPServer does."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = HOST, self.socket.getsockname()[1]

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        if self._thread.is_alive():
            self.shutdown()
            self._thread.join()
        self.server_close()


def _length(text: str, base: int = 10) -> int:
    digits = "0123456789abcdefABCDEF" if base == 16 else "0123456789"  # noqa: PLR2004
    if not text or text.strip(digits):
        raise ValueError("a length must be a number")
    return int(text, base)
