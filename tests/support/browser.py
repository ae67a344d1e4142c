"""Debian's Chromium, and a person who uses the console with it."""

import shutil
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal

from playwright.sync_api import Browser, Page, sync_playwright

ARGUMENTS = (
    "--no-sandbox",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
WIDE, NARROW = 1440, 390


@dataclass(frozen=True)
class Person:
    """A page of a browser, and all that its console complained of."""

    page: Page
    url: str
    complaints: list[str] = field(default_factory=list)

    def sign_in(
        self, role: str = "admin", email: str = "dana@example.com", to: str = "/console"
    ) -> None:
        """Open a page and sign in as one does by hand, which leads back to the page."""
        self.page.goto(f"{self.url}{to}")
        self.page.get_by_label("Email").fill(email)
        self.page.get_by_label("Role").select_option(role)
        self.page.get_by_role("button", name="Sign in").click()
        self.page.wait_for_url(f"{self.url}{to}")

    def go(self, path: str) -> None:
        self.page.goto(f"{self.url}{path}")


@contextmanager
def chromium() -> Generator[Browser]:
    """Start a browser without a window."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=list(ARGUMENTS)
        )
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def person(
    browser: Browser,
    url: str,
    *,
    width: int = WIDE,
    scripts: bool = True,
    scheme: Literal["light", "dark"] = "light",
) -> Generator[Person]:
    """Open a browser's page for somebody new. Fails if its console complained of anything."""
    context = browser.new_context(
        viewport={"width": width, "height": 1000},
        java_script_enabled=scripts,
        color_scheme=scheme,
    )
    page = context.new_page()
    page.set_default_timeout(10_000)
    user = Person(page, url)
    page.on("console", lambda message: user.complaints.append(message.text))
    page.on("pageerror", lambda error: user.complaints.append(str(error)))
    try:
        yield user
    finally:
        context.close()
    assert user.complaints == []
