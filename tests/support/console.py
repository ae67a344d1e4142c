"""The console's handler in this process, as a person with a browser sees it."""

import json
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property
from html.parser import HTMLParser
from typing import Any, cast
from urllib.parse import urlencode
from xml.etree.ElementTree import Element

import pytest

from functions.console import handler
from shared.domain.roles import Role
from shared.http.cookies import ConsoleCookie
from shared.http.forms import FORM_TOKEN
from shared.kv import KV
from shared.kv.sessions import Session
from shared.runtime.dependencies import ConsoleDependencies
from tests.support.admin_api import EMAIL, Reply, event_of, reply, sandbox
from tests.support.failing_clients import closed_database, unreachable
from tests.support.http_requests import http_request
from tests.support.stores import Stores, make_session_table

ORIGIN = "http://127.0.0.1:8080"
VOID = {"br", "col", "hr", "img", "input", "link", "meta"}
"""Elements without an end tag: https://html.spec.whatwg.org/#void-elements."""
INLINE = {"a", "abbr", "b", "code", "del", "em", "ins", "span", "strong", "time"}
Fields = Mapping[str, str | list[str]]


class _Tree(HTMLParser):
    """Parses a page strictly: every element is closed, and in its place."""

    def __init__(self) -> None:
        super().__init__()
        self.root = Element("page")
        self._open = [self.root]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = [name for name, _ in attrs]
        assert len(names) == len(set(names)), f"<{tag}> has an attribute twice"
        element = Element(tag, {name: value or "" for name, value in attrs})
        self._open[-1].append(element)
        if tag not in VOID:
            self._open.append(element)

    def handle_endtag(self, tag: str) -> None:
        closed = self._open.pop()
        assert closed.tag == tag, f"</{tag}> ends <{closed.tag}>"

    def handle_data(self, data: str) -> None:
        parent = self._open[-1]
        if len(parent):
            parent[-1].tail = (parent[-1].tail or "") + data
        else:
            parent.text = (parent.text or "") + data

    def close(self) -> None:
        super().close()
        assert self._open == [self.root], f"<{self._open[-1].tag}> is not closed"


def text_of(element: Element) -> str:
    """The element's text as one line; what stands on lines of its own is set apart."""
    return " ".join("".join(_texts(element)).split())


def _texts(element: Element) -> Iterator[str]:
    yield element.text or ""
    for child in element:
        gap = "" if child.tag in INLINE else " "
        yield from (gap, *_texts(child), gap, child.tail or "")


@dataclass(frozen=True)
class Page:
    """An answer of the console, read as a browser reads it."""

    reply: Reply

    @property
    def status(self) -> int:
        return self.reply.status

    @property
    def location(self) -> str:
        """Where it leads."""
        return self.reply.headers["location"]

    @property
    def html(self) -> str:
        return self.reply.body.decode()

    @cached_property
    def tree(self) -> Element:
        """The page's elements, for `find` and `iterfind`. Fails on HTML that does not nest."""
        parser = _Tree()
        parser.feed(self.html)
        parser.close()
        return parser.root

    @property
    def main(self) -> Element:
        found = self.tree.find(".//main")
        assert found is not None
        return found

    @property
    def text(self) -> str:
        """What the page says beside the bar at the top."""
        return text_of(self.main)

    @property
    def title(self) -> str:
        return text_of(next(self.tree.iter("title")))

    @property
    def heading(self) -> str:
        return text_of(next(self.tree.iter("h1")))

    @property
    def links(self) -> list[tuple[str, str]]:
        """Text and address of each link of the page's own."""
        return [(text_of(one), one.get("href", "")) for one in self.main.iter("a")]

    @property
    def addresses(self) -> list[str]:
        return [address for _, address in self.links]

    def rows(self, table: int = 0) -> list[list[str]]:
        """The texts of a table's cells, row by row, without its head."""
        body = list(self.main.iter("tbody"))[table]
        return [[text_of(cell) for cell in row] for row in body]

    def forms(self, action: str) -> list[dict[str, str]]:
        """The fields of each form that is sent there, as filled in on the page."""
        found = [one for one in self.main.iter("form") if one.get("action") == action]
        return [_fields(form) for form in found]


def _fields(form: Element) -> dict[str, str]:
    inputs = {
        one.get("name", ""): one.get("value", "")
        for one in form.iter("input")
        if one.get("type") not in {"checkbox", "radio"} or "checked" in one.attrib
    }
    texts = {one.get("name", ""): one.text or "" for one in form.iter("textarea")}
    selects = {one.get("name", ""): _selected(one) for one in form.iter("select")}
    return inputs | texts | selects


def _selected(select: Element) -> str:
    options = list(select.iter("option"))
    chosen = [one for one in options if "selected" in one.attrib] or options[:1]
    return chosen[0].get("value", "") if chosen else ""


@dataclass(frozen=True)
class Person:
    """Somebody with a browser; `session` is None before the sign-in."""

    stores: Stores
    wired: Callable[[], ConsoleDependencies]
    session: Session | None = None

    def signed_in(self, *roles: Role, actor: str = EMAIL) -> "Person":
        """The same browser with a new session."""
        now = datetime.now(UTC)
        return replace(self, session=self.wired().sessions.open(actor, roles, now))

    def without_kv(self) -> "Person":
        """The same person while the KV is down. Sessions are in a table of their own."""
        deps = replace(self.wired(), kv=KV(unreachable(), self.stores.table))
        return replace(self, wired=lambda: deps)

    def without_catalog(self) -> "Person":
        """The same person while Postgres is down."""
        deps = replace(self.wired(), database=closed_database())
        return replace(self, wired=lambda: deps)

    @property
    def token(self) -> str:
        """What every form of the session carries."""
        assert self.session is not None
        return self.session.form_token

    def get(self, path: str, status: int = 200) -> Page:
        """A page; the path is sent as it is written here."""
        page = self.send("GET", path)
        assert page.status == status, page.html
        return page

    def post(self, path: str, fields: Fields | None = None, **headers: str) -> Page:
        """The answer to a form with the session's token, unless `fields` have another."""
        sent = {FORM_TOKEN: self.token} | dict(fields or {})
        body = urlencode({name: sent[name] for name in sent if sent[name] != []}, doseq=True)
        kind = {"content-type": "application/x-www-form-urlencoded", "origin": ORIGIN}
        return self.send("POST", path, body.encode(), kind | headers)

    def confirm(self, name: str, fields: Fields, **more: str) -> Page:
        """Make a change: send its form, then the one that confirms; `more` is filled in."""
        address = f"/console/changes/{name}"
        shown = self.post(address, fields)
        assert shown.status == 200, shown.text
        [filled] = shown.forms(address)
        return self.post(address, filled | more)

    def follow(self, page: Page) -> Page:
        """The page to which an answer leads."""
        assert page.status == 303, page.html
        return self.get(page.location)

    def send(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
    ) -> Page:
        """One request as it is written here."""
        target, _, query = path.partition("?")
        cookie = ConsoleCookie.of(ORIGIN).name
        signed = {"cookie": f"{cookie}={self.session.id}"} if self.session else {}
        request = http_request(method, target, query, signed | dict(headers or {}), body)
        event = json.loads(json.dumps(event_of(request, None)))
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(handler, "dependencies", self.wired)
            return Page(reply(json.dumps(handler.handler(event, None)).encode()))


@contextmanager
def console_on(stores: Stores, **environ: str) -> Generator[Person]:
    """Somebody at the console of a new sandbox over these stores, signed in as admin."""
    settings: dict[str, Any] = {
        "SESSION_TABLE_NAME": make_session_table(stores.client),
        "CONSOLE_ORIGIN": ORIGIN,
    }
    with sandbox(handler, stores, "console", **(settings | environ)) as wired:
        console = cast("Callable[[], ConsoleDependencies]", wired)
        yield Person(stores, console).signed_in("admin")
