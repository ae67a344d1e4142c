"""A small page without scripts or files, for what is shown outside the console."""

import base64
from hashlib import sha256
from typing import NamedTuple

from markupsafe import Markup

STYLE = """
:root { color-scheme: light dark; --page: #f7f8fa; --card: #fff; --line: #dfe3e8;
  --edge: #8791a0; --text: #1a2230; --muted: #57616f; --accent: #1d5fd1; --on: #fff;
  --bad: #a3201a; }
@media (prefers-color-scheme: dark) { :root { --page: #0f141b; --card: #181e27; --line: #2c3441;
  --edge: #7c8797; --text: #e9edf3; --muted: #9fa9b8; --accent: #82b1ff; --on: #0d1420;
  --bad: #ff9a90; } }
* { box-sizing: border-box; }
body { margin: 0; min-height: 100vh; display: grid; place-items: center; padding: 1rem;
  background: var(--page); color: var(--text);
  font: 1rem/1.5 system-ui, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; }
main { width: 100%; max-width: 25rem; padding: 2rem; background: var(--card);
  border: 1px solid var(--line); border-radius: .5rem; }
.brand { margin: 0 0 1.5rem; color: var(--muted); font-weight: 700; }
h1 { margin: 0 0 .5rem; font-size: 1.375rem; line-height: 1.25; }
p { margin: 0 0 1.25rem; }
p:last-child { margin-bottom: 0; }
.muted { color: var(--muted); font-size: .875rem; overflow-wrap: anywhere; }
.bad { color: var(--bad); font-weight: 600; }
a { color: var(--accent); }
label { display: block; margin-bottom: .25rem; font-size: .875rem; font-weight: 600; }
input, select, button, .button { display: block; width: 100%; min-height: 2.75rem;
  padding: .5rem .75rem; font: inherit; border: 1px solid var(--edge); border-radius: .375rem; }
input, select { margin-bottom: 1.25rem; color: var(--text); background: var(--page); }
button, .button { color: var(--on); background: var(--accent);
  border-color: var(--accent); font-weight: 600; text-align: center; text-decoration: none;
  cursor: pointer; }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
"""
STYLE_HASH = base64.b64encode(sha256(STYLE.encode()).digest()).decode()
PAGE = Markup("""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title} · KiloClaw versions</title>
{refresh}<style>{style}</style>
</head>
<body>
<main>
<p class="brand">KiloClaw versions</p>
<h1>{title}</h1>
{content}
</main>
</body>
</html>
""")
REFRESH = Markup('<meta http-equiv="refresh" content="0; url={}">\n')


class PlainPage(NamedTuple):
    """A page's text, and the headers with which it is safe to send."""

    html: str
    headers: dict[str, str]


def plain_page(
    title: str, content: Markup, *, form_action: str = "'none'", then: str | None = None
) -> PlainPage:
    """Make a page. `form_action` names where its form may lead, redirects included.

    `then` is an address that the browser opens at once. A redirect could not lead there after a
    form was sent: the policy of the form's page would hold for it.
    """
    html = PAGE.format(
        title=title,
        content=content,
        refresh=Markup() if then is None else REFRESH.format(then),
        style=Markup(STYLE),  # noqa: S704  a constant
    )
    policy = (
        f"default-src 'none'; style-src 'sha256-{STYLE_HASH}'; form-action {form_action}; "
        "base-uri 'none'; frame-ancestors 'none'"
    )
    headers = {
        "content-security-policy": policy,
        "referrer-policy": "no-referrer",
        "cache-control": "no-store",
        "x-content-type-options": "nosniff",
    }
    return PlainPage(str(html), headers)
