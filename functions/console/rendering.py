"""Pages from templates: escaped, strict about what is missing, and never kept by a browser."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode

import humanize
from aws_lambda_powertools.event_handler import Response
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from functions.console import words
from functions.console.differences import differences
from functions.console.forms import FilledForm
from shared.domain.errors import Refused
from shared.domain.values import parse_moment
from shared.http.auth import Caller
from shared.http.problems import PROBLEMS, problem_headers
from shared.kv.sessions import Session

FOLDER = Path(__file__).parent
HTML = "text/html; charset=utf-8"
POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
SECURITY = {
    "content-security-policy": POLICY,
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cache-control": "no-store",
}
ASSETS = {
    "console.css": "text/css; charset=utf-8",
    "console.js": "text/javascript; charset=utf-8",
    "icon.svg": "image/svg+xml",
}
FOR_EVER = {"cache-control": "public, max-age=31536000, immutable"}
"""An asset's address has its content's hash, so it never changes."""
NAVIGATION = (
    ("/console", "Overview"),
    ("/console/versions", "Versions"),
    ("/console/pins", "Pins"),
    ("/console/instances", "Instances"),
    ("/console/sync", "Sync"),
    ("/console/audit", "Audit"),
)

SECTIONS = {
    "/console/versions": ["/console/versions", "/console/variants", "/console/publish"],
    "/console/instances": ["/console/instances", "/console/users"],
}
"""The sections that have pages with other paths too."""


class PageContext(NamedTuple):
    """What every page shows besides its own content; `session` is None before the sign-in."""

    session: Session | None
    path: str
    request_id: str


@dataclass(frozen=True, slots=True)
class Asset:
    """A file that pages refer to, with the address that names its content."""

    name: str
    content: str

    @property
    def address(self) -> str:
        mark = sha256(self.content.encode()).hexdigest()[:12]
        return f"/console/assets/{mark}/{self.name}"


def render(
    template: str, context: PageContext, *, status: int = 200, **content: Any
) -> Response[str]:
    """Answer with a page. `content` are the template's variables."""
    html = (
        templates()
        .get_template(template)
        .render(**({"done": None, "filled": FilledForm()} | content), **_everywhere(context))
    )
    return Response(status, HTML, html, dict(SECURITY))


def show_refusal(refusal: Refused, context: PageContext) -> Response[str]:
    """Answer with a page that says what was refused and what to do next."""
    status, title = PROBLEMS[refusal.code]
    answer = render(
        "refused.html",
        context,
        status=status,
        title=title,
        refusal=refusal,
        advice=words.advice(refusal),
    )
    answer.headers.update(problem_headers(refusal.code, refusal.facts))
    return answer


def redirect(path: str, **query: str) -> Response[str]:
    """Lead to another page of the console, which the browser then reads by GET."""
    location = f"{path}?{urlencode(query)}" if query else path
    return Response(303, headers={"location": location, "cache-control": "no-store"})


@cache
def assets() -> dict[str, Asset]:
    texts = {name: (FOLDER / "assets" / name).read_text("utf-8") for name in ASSETS}
    return {name: Asset(name, text) for name, text in texts.items()}


def asset_address(name: str) -> str:
    return assets()[name].address


@cache
def templates() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(FOLDER / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.filters |= {
        "ago": relative_time,
        "number": humanize.intcomma,
        "share": share,
        "duration": duration,
        "differences": differences,
        "local_time": local_time,
        "path": quote_path,
        "users": lambda count: counted(count, "user"),
        "counted": counted,
        "query_string": query_string,
        "sentence": words.sentence,
        "exact": exact_time,
        "user_path": lambda user_id: f"/console/users/{quote_path(user_id)}",
    }
    return environment


def quote_path(text: str) -> str:
    """Percent-encode a tag or a user id for a path. Slashes stay: user ids may have some."""
    return quote(text, safe="/:@!$&'()*+,;=~")


def query_string(given: Mapping[str, object]) -> str:
    """Make a query string of what is given and not None or empty."""
    text = urlencode({name: value for name, value in given.items() if value not in {None, ""}})
    return f"?{text}" if text else ""


def relative_time(moment: datetime | str | None, now: datetime | None = None) -> Markup:
    """Say how long ago or ahead a time is; the exact one appears on hover."""
    if moment is None:
        return Markup("never")
    at = parse_moment(moment) if isinstance(moment, str) else moment
    text = humanize.naturaltime((now or datetime.now(UTC)) - at)
    text = "just now" if text == "now" else text
    exact = f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
    return Markup('<time datetime="{}" title="{}">{}</time>').format(
        at.isoformat(), exact, text
    )


def exact_time(moment: datetime | str) -> str:
    """Write a time out, to the minute."""
    at = parse_moment(moment) if isinstance(moment, str) else moment
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def local_time(moment: datetime | None) -> str:
    """A time in UTC as a `datetime-local` field takes it."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S") if moment else ""


def share(part: int, whole: int) -> str:
    """A share in whole percent; what is there but less than one percent shows as `<1 %`."""
    percent = 100 * part / whole if whole else 0
    return "<1 %" if 0 < percent < 1 else f"{percent:.0f} %"


def duration(milliseconds: int) -> str:
    """`45 ms`, `1.2 s`."""
    seconds = milliseconds / 1000
    return f"{seconds:.1f} s" if seconds >= 1 else f"{milliseconds} ms"


def counted(count: int, noun: str) -> str:
    """`1 user`, `1,248 users`."""
    return f"{humanize.intcomma(count)} {noun}{'' if count == 1 else 's'}"


def _everywhere(context: PageContext) -> dict[str, Any]:
    session = context.session
    caller = Caller(session.actor, session.roles) if session else None
    return {
        "navigation": [
            (path, name, _is_within(context.path, path)) for path, name in NAVIGATION
        ],
        "caller": caller,
        "may_change": caller is not None and caller.may("admin"),
        "may_publish": caller is not None and caller.may("publisher"),
        "form_token": session.form_token if session else "",
        "path": context.path,
        "words": words,
        "asset": asset_address,
        "request_id": context.request_id,
    }


def _is_within(path: str, section: str) -> bool:
    """Whether a page belongs to a section: it is below it, or has another path of it."""
    if section == "/console":
        return path == section
    return any(
        path == one or path.startswith(f"{one}/") for one in SECTIONS.get(section, [section])
    )
