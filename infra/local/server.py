"""The HTTP server of the local system: Werkzeug's, with connections that are kept open."""

import socket
import sys
import time
import traceback
from collections.abc import Callable
from threading import Thread
from typing import Any, cast

from werkzeug.exceptions import HTTPException, RequestEntityTooLarge
from werkzeug.serving import ThreadedWSGIServer, WSGIRequestHandler
from werkzeug.wrappers import Request, Response

from infra.local.processes import HOST

MAX_BODY = 10 * 1024 * 1024
"""What API Gateway accepts, in bytes."""
MAX_READ = 4 * MAX_BODY
"""A longer body is read up to here, so that the client is there to read the refusal."""

Answer = Callable[[Request], Response]
AccessLog = Callable[[Request, Response, float], None]
"""Called after each answer, with the seconds that it took."""


def message(status: int, text: str) -> Response:
    """A JSON answer in API Gateway's own words."""
    return Response(f'{{"message":"{text}"}}', status, content_type="application/json")


class RequestHandler(WSGIRequestHandler):
    """Reads a whole request and writes the whole answer.

    Werkzeug's own method closes the connection after each answer; API Gateway does not.
    """

    protocol_version = "HTTP/1.1"
    # With Nagle's algorithm each answer waits 40 ms for a delayed acknowledgement.
    disable_nagle_algorithm = True
    error_content_type = "application/json"
    error_message_format = '{"message":"Bad Request"}'

    def run_wsgi(self) -> None:
        began = time.monotonic()
        server = cast("Server", self.server)
        try:
            request = _read(self.make_environ())
        except RequestEntityTooLarge:
            self._refuse(413, "Request Too Long")
        except (HTTPException, ValueError):
            self._refuse(400, "Bad Request")
        else:
            response = server.respond(request)
            self._send(response)
            server.access_log(request, response, time.monotonic() - began)

    def _refuse(self, status: int, text: str) -> None:
        """Answer a request that was not read to its end: nothing can follow it."""
        self.close_connection = True
        self._send(message(status, text))

    def _send(self, response: Response) -> None:
        environ = {"REQUEST_METHOD": self.command}
        self.send_response(response.status_code)
        for name, value in response.get_wsgi_headers(environ):
            self.send_header(name, value)
        self.send_header("Connection", "close" if self.close_connection else "keep-alive")
        self.end_headers()
        self.wfile.write(b"".join(response.get_app_iter(environ)))

    def version_string(self) -> str:
        return "kiloclaw-local"

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Print nothing: `Server.access_log` does."""

    def log(self, type: str, message: str, *args: Any) -> None:  # noqa: A002
        """Print nothing about a request that cannot be read."""


class Server(ThreadedWSGIServer):
    """Serves 127.0.0.1, each connection in a thread of its own.

    It holds its port from the beginning (OSError if another program does) and answers after
    `start`.
    """

    def __init__(self, answer: Answer, port: int = 0) -> None:
        self.answer = answer
        self.access_log: AccessLog = lambda *_: None
        with socket.create_server((HOST, port), backlog=self.request_queue_size) as listener:
            super().__init__(HOST, port, _no_app, RequestHandler, fd=listener.fileno())
        self._thread = Thread(target=self.serve_forever, args=(0.05,), daemon=True)

    def respond(self, request: Request) -> Response:
        """The answer to a request; a bare 500 if there is none."""
        try:
            return self.answer(request)
        except Exception:  # noqa: BLE001  other requests must still be served
            traceback.print_exc(file=sys.stderr)
            return message(500, "Internal Server Error")

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        if self._thread.is_alive():
            self.shutdown()
            self._thread.join()
        self.server_close()


def _read(environ: dict[str, Any]) -> Request:
    """The request with its body. Raises RequestEntityTooLarge, HTTPException, ValueError."""
    request = Request(environ)
    request.max_content_length = MAX_READ
    if environ.get("CONTENT_LENGTH", "0").strip("0123456789"):
        raise ValueError("the length is not a number")
    if len(request.get_data()) > MAX_BODY:
        raise RequestEntityTooLarge
    return request


def _no_app(*_: object) -> list[bytes]:
    """The server needs a WSGI application, which `RequestHandler` never calls."""
    raise NotImplementedError
