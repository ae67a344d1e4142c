"""The OpenAPI document as a page: boring HTML, no scripts, nothing from elsewhere."""

from base64 import b64encode
from hashlib import sha256
from html import escape
from typing import Any

CONTENT_TYPE = "text/html; charset=utf-8"
STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}"
    "section{border-top:1px solid #ccc;padding:.5rem 0}code{background:#f2f2f2;padding:0 .2rem}"
    "td,th{text-align:left;vertical-align:top;padding:.1rem 1rem .1rem 0}"
)
_HASH = b64encode(sha256(STYLE.encode()).digest()).decode()
HEADERS = {
    "content-security-policy": f"default-src 'none'; style-src 'sha256-{_HASH}'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
}


def render(document: dict[str, Any]) -> str:
    """One section for each operation: its parameters, body and answers."""
    title = escape(document["info"]["title"])
    sections = "".join(
        _section(method, path, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
        if isinstance(operation, dict)
    )
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f"<style>{STYLE}</style></head><body><h1>{title}</h1>"
        f'<p>The same as a document: <a href="/openapi.json">openapi.json</a></p>'
        f"{sections}</body></html>"
    )


def _section(method: str, path: str, operation: dict[str, Any]) -> str:
    parameters = [
        (f"{one['name']} ({one['in']})", one.get("description", ""))
        for one in operation.get("parameters", [])
        if "name" in one
    ]
    answers = [
        (status, answer.get("description", ""))
        for status, answer in operation["responses"].items()
    ]
    body = _schema_name(operation.get("requestBody", {}))
    return (
        f"<section><h2><code>{method.upper()} {escape(path)}</code></h2>"
        f"<p>{escape(operation.get('summary', ''))}</p>"
        + (f"<p>Body: <code>{escape(body)}</code></p>" if body else "")
        + _table("Parameter", parameters)
        + _table("Answer", answers)
        + "</section>"
    )


def _schema_name(carrier: dict[str, Any]) -> str:
    content = carrier.get("content", {}).get("application/json", {})
    return str(content.get("schema", {}).get("$ref", "")).rsplit("/", 1)[-1]


def _table(head: str, rows: list[tuple[str, str]]) -> str:
    if not rows:
        return ""
    lines = "".join(
        f"<tr><td><code>{escape(name)}</code></td><td>{escape(text)}</td></tr>"
        for name, text in rows
    )
    return (
        f"<table><thead><tr><th>{head}</th><th></th></tr></thead><tbody>{lines}</tbody></table>"
    )
