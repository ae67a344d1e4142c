"""Signing in to the local system and out of it, with a browser."""

from collections.abc import Iterator
from typing import Any, Literal

import pytest
from axe_playwright_python.sync_playwright import Axe
from markupsafe import Markup
from playwright.sync_api import Browser, Page
from werkzeug.wrappers import Request, Response

from infra.local.server import Server
from shared.http.plain_page import plain_page
from tests.support.browser import NARROW, WIDE, chromium, person
from tests.support.local_system import RunningSystem, running

REFUSED = "/console/signed-in?code=x&state=y"
WCAG = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSystem]:
    """A system without data."""
    log = tmp_path_factory.mktemp("system") / "log"
    with running(log, "--empty", "--no-schedule") as started:
        yield started


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


def fill_in(page: Page, role: str = "viewer") -> None:
    page.get_by_label("Email").fill("dana@example.com")
    page.get_by_label("Role").select_option(role)
    page.get_by_role("button", name="Sign in").click()


@pytest.mark.parametrize("scripts", [True, False])
def test_a_person_comes_and_goes(
    system: RunningSystem, browser: Browser, *, scripts: bool
) -> None:
    """They land on the page that they wanted, and after signing out see nothing of it."""
    by_name = f"http://localhost:{system.port}/console/users/acme%7C1007?intent=upgrade"
    wanted = f"{system.url}/console/users/acme%7C1007?intent=upgrade"
    with person(browser, system.url, scripts=scripts) as user:
        page = user.page
        page.goto(by_name)
        fill_in(page)
        page.wait_for_url(wanted)
        [cookie] = page.context.cookies()
        assert (cookie["name"], cookie["httpOnly"], cookie["sameSite"]) == (
            "kiloclaw",
            True,
            "Lax",
        )
        page.get_by_role("button", name="Sign out").click()
        page.get_by_role("heading", name="You are signed out").wait_for()
        assert page.url == f"{system.url}/console/sign-out"
        assert page.context.cookies() == []
        copy: Any = cookie
        page.context.add_cookies([copy])
        page.goto(wanted)
        page.get_by_role("button", name="Sign in").wait_for()


def test_another_site_cannot_sign_a_person_out(system: RunningSystem, browser: Browser) -> None:
    """A page at another port of this host gets the cookie sent along, and is refused all the
    same.
    """
    form = (
        f'<form method="post" action="{system.url}/console/sign-out"><button>Go</button></form>'
    )
    evil = Server(lambda _: Response(form, content_type="text/html"))
    evil.start()
    try:
        with person(browser, system.url) as user:
            user.sign_in()
            user.page.goto(f"http://127.0.0.1:{evil.port}/")
            user.page.get_by_role("button", name="Go").click()
            user.page.get_by_role("heading", name="You are still signed in").wait_for()
            user.go("/console")
            user.page.get_by_role("button", name="Sign out").wait_for()
            user.complaints[:] = [
                text for text in user.complaints if "status of 403" not in text
            ]
    finally:
        evil.stop()


def test_signing_out_leads_to_the_issuer(browser: Browser) -> None:
    """Browsers hold redirects after a form to its page's policy, but not what a page opens."""
    issuer = Server(lambda _: Response("<h1>Signed out there</h1>", content_type="text/html"))
    there = f"http://127.0.0.1:{issuer.port}/logout?client_id=a&logout_uri=b"
    form = '<form method="post" action="/{}"><button>Sign out</button></form>'

    def console(request: Request) -> Response:
        if request.method == "POST":
            page = plain_page("Signing you out", Markup(), then=there)
            return Response(page.html, 200, page.headers, content_type="text/html")
        policy = {"content-security-policy": "form-action 'self'"}
        return Response(form, 200, policy, content_type="text/html")

    server = Server(console)
    for each in (issuer, server):
        each.start()
    try:
        with person(browser, f"http://127.0.0.1:{server.port}", scripts=False) as user:
            user.go("/")
            user.page.get_by_role("button", name="Sign out").click()
            user.page.get_by_role("heading", name="Signed out there").wait_for()
            assert user.page.url == there
            user.complaints.clear()  # about an icon that is not there
    finally:
        for each in (issuer, server):
            each.stop()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [WIDE, NARROW])
@pytest.mark.parametrize("path", ["/console/sign-in", REFUSED, "/console/sign-out"])
def test_the_pages_are_for_everybody(
    system: RunningSystem,
    browser: Browser,
    path: str,
    width: int,
    scheme: Literal["light", "dark"],
) -> None:
    """There is nothing for axe to find, and nothing is wider than the screen."""
    with person(browser, system.url, width=width, scheme=scheme) as user:
        user.go(path)
        found: Any = Axe().run(user.page, options=WCAG)
        assert found.violations_count == 0, found.generate_report()
        assert user.page.evaluate("document.documentElement.scrollWidth") <= width
        user.complaints[:] = [text for text in user.complaints if "status of 400" not in text]
