"""Requests as the local HTTP server hands them over."""

from collections.abc import Mapping
from urllib.parse import unquote

from werkzeug.datastructures import Headers
from werkzeug.test import EnvironBuilder
from werkzeug.wrappers import Request


def http_request(
    method: str,
    path: str,
    query: str = "",
    headers: Mapping[str, str] | None = None,
    body: bytes = b"",
) -> Request:
    """A request whose path and query are sent as they are written here, byte by byte."""
    builder = EnvironBuilder(method=method, headers=Headers(headers), data=body)
    environ = builder.get_environ() | {
        "RAW_URI": _as_wsgi(f"{path}?{query}" if query else path),
        "PATH_INFO": _as_wsgi(unquote(path)),
        "QUERY_STRING": _as_wsgi(query),
        "SERVER_PORT": "8080",
        "REMOTE_ADDR": "127.0.0.1",
    }
    return Request(environ)


def _as_wsgi(text: str) -> str:
    """The encoding that WSGI asks for (PEP 3333)."""
    return text.encode().decode("latin-1")
