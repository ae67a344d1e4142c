"""Make the pictures of the console in docs/images, from a local system with its demo data."""

import tempfile
from pathlib import Path

from tests.support.browser import chromium, person
from tests.support.local_system import running

FOLDER = Path(__file__).parents[1] / "docs" / "images"
PAGES = {
    "overview": "/console",
    "user": "/console/users/acme%7C1007",
    "variant": "/console/variants/default",
}
HEIGHT = 1100
"""Pictures end here: what is below the first screen is on the page itself."""


def main() -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as folder,
        running(Path(folder) / "log") as system,
        chromium() as browser,
        person(browser, system.url) as user,
    ):
        user.page.set_viewport_size({"width": 1280, "height": HEIGHT})
        user.sign_in()
        for name, path in PAGES.items():
            user.go(path)
            user.page.screenshot(path=FOLDER / f"{name}.png")
            print(FOLDER / f"{name}.png")


if __name__ == "__main__":
    main()
