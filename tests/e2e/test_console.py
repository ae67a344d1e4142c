"""The console in a browser, against the local system: what an administrator comes to do."""

import time
from collections.abc import Iterator
from itertools import product
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, expect

from tests.support.browser import NARROW, WIDE, Person, chromium, person
from tests.support.local_system import RunningSystem, running

USER = "acme|1010"
ANOTHER_USER = "acme|1011"
PAGES = (
    "/console",
    "/console/versions",
    "/console/versions/2026.10.3-r1",
    "/console/variants/default",
    "/console/publish",
    "/console/pins",
    "/console/instances",
    f"/console/users/{USER}",
    "/console/users/nobody@example.com",
    "/console/sync",
    "/console/audit",
    "/console/search?q=2026",
    "/console/nothing-here",
)
WCAG = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]}


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSystem]:
    with running(tmp_path_factory.mktemp("console") / "log", "--no-schedule") as started:
        yield started


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


def provisioned(system: RunningSystem, user_id: str) -> Any:
    path = "/2015-03-31/functions/provisioning/invocations"
    return system.call("POST", path, {"user_id": user_id, "intent": "upgrade"}).json


def publish(system: RunningSystem, variant: str, *tags: str) -> None:
    """Publish versions of a variant of the test's own; the first becomes latest."""
    for tag in tags:
        version = {
            "image_tag": tag,
            "openclaw_version": "2026.11.1",
            "variant": variant,
            "set_latest": tag == tags[0],
        }
        path = "/v1/versions"
        assert system.call("POST", path, version, system.bearer("admin")).status == 201


def upgraded(system: RunningSystem, variant: str, users: list[str]) -> dict[str, str]:
    """Upgrade the users' instances; return which tag each runs."""
    path = "/2015-03-31/functions/provisioning/invocations"
    starts = {
        user: {"user_id": user, "variant": variant, "intent": "upgrade"} for user in users
    }
    return {
        user: system.call("POST", path, start).json["image_tag"]
        for user, start in starts.items()
    }


def report_failure(system: RunningSystem, user: str, tag: str) -> Any:
    path = "/2015-03-31/functions/provisioning/invocations"
    failure = {"user_id": user, "intent": "report", "image_tag": tag, "outcome": "failed"}
    return system.call("POST", path, failure | {"start_id": f"start-of-{user}"}).json


def reload_until(user: Person, path: str, text: str) -> None:
    """Load a page until it says so: counts of instances are seconds behind."""
    give_up = time.monotonic() + 20
    user.go(path)
    while text not in user.page.get_by_role("main").inner_text():
        assert time.monotonic() < give_up, text
        user.page.reload()


def confirm(user: Person, button: str) -> None:
    """Press the button of the page that shows what would change."""
    expect(user.page.get_by_role("heading", name="What would change")).to_be_visible()
    user.page.get_by_role("main").get_by_role("button", name=button, exact=True).click()


def fits(user: Person) -> bool:
    """Whether the page needs no scrolling to the side."""
    return bool(user.page.evaluate("document.documentElement.scrollWidth <= innerWidth"))


@pytest.mark.parametrize(
    ("name", "width", "scripts"), [(USER, WIDE, True), (ANOTHER_USER, NARROW, False)]
)
def test_a_new_administrator_pins_a_user_and_undoes_it(
    system: RunningSystem, browser: Browser, name: str, width: int, *, scripts: bool
) -> None:
    """Find a user, see why it runs what it runs, pin it, see it work, undo it, find both."""
    with person(browser, system.url, width=width, scripts=scripts) as user:
        page = user.page
        user.sign_in()
        page.get_by_label("Find a user, a tag or a version").fill(name)
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", level=1)).to_have_text(name)
        expect(page.locator(".decides")).to_contain_text("Restart keeps what runs")

        page.get_by_label("Version", exact=True).select_option("2026.9.20-r1")
        page.get_by_label("Reason").fill("crash on start, ticket 4411")
        page.get_by_role("button", name="Pin").click()
        expect(page.get_by_role("main")).to_contain_text("1 user would get another image")
        confirm(user, "Pin")
        expect(page.get_by_role("status").first).to_contain_text("The pin is set")
        assert ("done=" in page.url) != scripts
        assert (page.get_by_role("button", name="Copy").count() > 0) == scripts
        expect(page.locator(".decides")).to_contain_text("2026.9.20-r1")
        assert provisioned(system, name)["image_tag"] == "2026.9.20-r1"

        page.get_by_role("button", name="Unpin").click()
        confirm(user, "Unpin")
        assert provisioned(system, name)["image_tag"] == "2026.10.3-r1"
        page.get_by_role("link", name="Audit", exact=True).click()
        expect(page.get_by_role("main")).to_contain_text("crash on start, ticket 4411")
        expect(page.get_by_role("main")).to_contain_text("unpinned")
        assert width == WIDE or fits(user)


def test_the_overview_reads_itself_again(system: RunningSystem, browser: Browser) -> None:
    """What others do appears on a page that is left open, after a while."""
    with person(browser, system.url) as user:
        user.page.clock.install()
        user.sign_in()
        main = user.page.get_by_role("main")
        expect(main).not_to_contain_text("live-1")
        publish(system, "live", "live-1")
        user.page.clock.fast_forward("00:20")
        expect(main).to_contain_text("live-1")


def test_the_latest_is_killed_with_a_replacement(
    system: RunningSystem, browser: Browser
) -> None:
    """Before the kill switch one sees whom it moves; afterwards nobody runs the version."""
    with person(browser, system.url) as user:
        page = user.page
        user.sign_in()
        user.go("/console/versions/2026.10.3-gpu-r1")
        page.get_by_label("Replacement", exact=True).select_option("2026.10.9-gpu-r1")
        page.get_by_role("button", name="Disable").click()
        expect(page.get_by_role("main")).to_contain_text("would get another image")
        sample = page.locator(".sample a").first.inner_text()
        confirm(user, "Disable")
        expect(page.get_by_role("main")).to_contain_text("disabled")
    assert provisioned(system, sample)["image_tag"] == "2026.10.9-gpu-r1"


def test_a_rollout_from_its_preview_to_its_end(system: RunningSystem, browser: Browser) -> None:
    """Start at 10 %, raise, be held by failures, abort, promote another, roll back, kill."""
    first, bad, other = "walk-1", "walk-2", "walk-3"
    publish(system, "walk", first, bad, other)
    users = [f"walker-{number}" for number in range(40)]
    upgraded(system, "walk", users)
    with person(browser, system.url) as user:
        page, main = user.page, user.page.get_by_role("main")
        user.sign_in(to="/console/variants/walk")
        page.get_by_label("Candidate").select_option(bad)
        page.get_by_label("10 %", exact=True).check()
        page.get_by_role("button", name="Roll out").click()
        expect(main).to_contain_text("estimate")
        confirm(user, "Roll out to 10 %")
        expect(main).to_contain_text("to 10 % of the users")

        page.get_by_label("50 %", exact=True).check()
        page.get_by_role("button", name="Change the share").click()
        confirm(user, "Roll out to 50 %")
        told = upgraded(system, "walk", users)
        members = [one for one, tag in told.items() if tag == bad]
        reload_until(user, f"/console/versions/{bad}", f"{len(members)} instances")
        held = [report_failure(system, one, bad)["held"] for one in members[:3]]
        assert held == [False, False, True]
        assert bad not in upgraded(system, "walk", users).values()

        user.go("/console")
        page.get_by_role("button", name="Sync now").click()
        user.go("/console/variants/walk")
        expect(main).to_contain_text("Held by its brake")
        expect(main).to_contain_text("3 of 3 starts failed")
        page.get_by_role("button", name="Abort").click()
        confirm(user, "Abort the rollout")
        expect(main).to_contain_text("None: everybody gets latest.")

        page.get_by_label("Version", exact=True).select_option(other)
        page.get_by_role("button", name="Promote").click()
        confirm(user, "Promote")
        user.go("/console/variants/walk")
        page.get_by_role("button", name=f"Roll back to {first}").click()
        confirm(user, "Roll back")
        assert set(upgraded(system, "walk", users).values()) == {first}

        put = {"image_tag": bad}
        system.call("PUT", f"/v1/users/{users[0]}/pin", put, system.bearer("admin"))
        user.go(f"/console/versions/{bad}")
        page.get_by_label("Replacement", exact=True).select_option(other)
        page.get_by_role("button", name="Disable").click()
        confirm(user, "Disable")
        user.go(f"/console/users/{users[0]}")
        expect(page.locator(".decides")).to_contain_text(other)

        user.go("/console/audit?subject=walk")
        expect(main).to_contain_text("aborted the rollout of walk")
    verified = system.get("/v1/audit/verification", **system.bearer("viewer")).json
    assert verified["ok"] is True


def test_what_changed_since_the_preview_is_not_overrun(
    system: RunningSystem, browser: Browser
) -> None:
    """A change is refused, with what happened meanwhile, if its preview no longer holds."""
    with person(browser, system.url) as user:
        user.sign_in()
        user.go("/console/versions/2026.10.9-r1")
        user.page.get_by_role("button", name="Promote").click()
        admin = system.bearer("admin")
        for tag in ("2026.9.28-r1", "2026.10.3-r1"):
            system.call("POST", f"/v1/versions/{tag}/promote", {}, admin)
        confirm(user, "Promote")
        expect(user.page.get_by_role("alert")).to_contain_text("Nothing was changed")
        expect(user.page.get_by_role("alert")).to_contain_text("2026.9.28-r1")
        assert [complaint for complaint in user.complaints if "412" in complaint]
        user.complaints.clear()
    versions = system.call("GET", "/v1/variants/default", headers=admin).json
    assert versions["latest"]["image_tag"] == "2026.10.3-r1"


def test_a_viewer_sees_everything_and_can_change_nothing(
    system: RunningSystem, browser: Browser
) -> None:
    """Pages show a viewer no button of a change, and the server refuses one sent by hand."""
    with person(browser, system.url) as user:
        user.sign_in("viewer", "vera@example.com")
        for path in PAGES[:-1]:
            user.go(path)
            assert user.page.locator("form[method=post]").count() == 1, path  # signing out
        sent = user.page.evaluate(
            """() => fetch("/console/changes/unpin", {method: "POST", body: new URLSearchParams(
                {form_token: document.querySelector("[name=form_token]").value, user_id: "x"})})
                .then(answer => answer.status)"""
        )
        assert sent == 403
        user.complaints.clear()


def test_who_signs_out_is_signed_out(system: RunningSystem, browser: Browser) -> None:
    """The session is gone, in another tab too."""
    with person(browser, system.url) as user:
        user.sign_in()
        user.page.get_by_role("button", name="Sign out").click()
        expect(user.page.get_by_role("main")).to_contain_text("signed out")
        user.go("/console/pins")
        expect(user.page.get_by_role("button", name="Sign in")).to_be_visible()


@pytest.mark.parametrize(("width", "scheme"), [*product((WIDE, NARROW), ("light", "dark"))])
def test_every_page_is_accessible(
    system: RunningSystem, browser: Browser, width: int, scheme: Any
) -> None:
    """No page breaks a rule of WCAG 2.2 AA that axe can find, or is wider than the screen."""
    axe = Axe()
    wrong: dict[str, list[tuple[str, list[str]]]] = {}
    with person(browser, system.url, width=width, scheme=scheme) as user:
        user.sign_in()
        for path in PAGES:
            user.go(path)
            found = axe.run(user.page, options=WCAG)
            faults = [
                (rule["id"], [node["html"] for node in rule["nodes"]])
                for rule in found.response["violations"]
            ]
            wrong |= {path: faults} if faults else {}
            assert fits(user), path
        assert wrong == {}
        assert all("404" in complaint for complaint in user.complaints)
        user.complaints.clear()
