"""Takes the picture of Locust's charts in the README, as a person would.

python -m figures.screenshot      takes docs/images/wsgi-vs-asgi.png, in three minutes

A server, Locust, Start; a minute later Stop, the other server, New, Start. It needs
requirements-dev.txt and Chromium or Chrome.
"""

import contextlib
import shutil
import sys
import time

from mirakuru import AlreadyRunning, HTTPExecutor
from playwright.sync_api import sync_playwright

from figures.svg import IMAGES
from launch import ROOT, leave_nothing, running

SERVERS = [  # folder, command, and where it is written on the charts: pixels from the left
    ("wsgi", "gunicorn -w 4 slow_app:app", 70),
    ("asgi", "uvicorn slow_app:app --workers 4", 390),
]
PAGE = "http://127.0.0.1:8089/"
LOCUST = [sys.executable, "-m", "locust", "-f", "locustfile.py"]
BROWSERS = "chromium", "chromium-browser", "google-chrome", "chrome"
QUIET = ["--no-sandbox", "--disable-background-networking"]
WRITE = """([words, left, top]) => {
    const label = document.createElement("div");
    label.textContent = words;
    label.style = `position: absolute; left: ${left}px; top: ${top}px; z-index: 1;
        font: 600 13px Menlo, Consolas, monospace; color: #1f2328`;
    document.body.append(label);
}"""


def find_browser():
    """Return the path of an installed Chromium or Chrome, or None."""
    mac = "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"
    return next(filter(None, map(shutil.which, [*BROWSERS, mac])), None)


@contextlib.contextmanager
def opened_page():
    """Start Locust, and yield its page in a browser (playwright's Page).

    Exits with a sentence if there is no browser, or if a Locust runs already.
    """
    path = find_browser()
    if not path:
        sys.exit("No Chromium or Chrome was found: apt install chromium, for example.")
    options = {"cwd": ROOT, "timeout": 30, "method": "GET", "expected_returncode": 1}
    locust = HTTPExecutor(LOCUST, PAGE, **options)  # 1: a request has failed
    try:
        with locust, sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=path, args=QUIET)
            size = {"width": 1000, "height": 1100}
            page = browser.new_page(viewport=size, device_scale_factor=2)
            page.goto(PAGE)
            yield page
            browser.close()
    except AlreadyRunning:
        sys.exit("Port 8089 is taken, perhaps by another Locust. Stop that first.")


def press(page, name, kind="button"):
    """Press the button, or open the tab, of that `name`."""
    page.get_by_role(kind, name=name, exact=True).first.click()


@contextlib.contextmanager
def loaded(page, folder, command):
    """Start the server, and load it from the page while the block lasts."""
    new = page.get_by_role("button", name="New", exact=True)
    print(f"{folder}$ {command}")
    with running(ROOT / folder, command):
        if new.is_visible():  # there was a run before
            new.click()
        press(page, "Start")
        press(page, "Charts", "tab")
        yield
        # The page asks Locust for figures every two seconds. If it asks while Locust is
        # stopping, it never asks again, and "New" never appears: so stop just after that.
        page.wait_for_event("response", lambda response: "stats/requests" in response.url)
        press(page, "Stop")
        new.wait_for()


def write_commands(page, charts):
    """Write on each of the charts, which are boxes in pixels, which command ran when."""
    for chart in charts:
        for _, command, left in SERVERS:
            where = [chart["x"] + left, chart["y"] + 52]
            page.evaluate(WRITE, [command, *where])


def main():
    """Take the picture, or exit with a sentence if something is missing."""
    leave_nothing()
    with opened_page() as page:
        for folder, command, _ in SERVERS:
            with loaded(page, folder, command):
                time.sleep(75)  # 100 users come within 50
        page.set_viewport_size({"width": 700, "height": 1100})  # as wide as on the page
        time.sleep(2)  # until the charts have their new width
        rates, times = (page.locator("canvas").nth(n).bounding_box() for n in (0, 1))
        write_commands(page, [rates, times])
        rates["height"] = times["y"] - rates["y"] + 260  # without the empty space below
        page.screenshot(path=IMAGES / "wsgi-vs-asgi.png", clip=rates)


if __name__ == "__main__":
    main()
