"""python docs/screenshot.py: takes docs/wsgi-vs-asgi.png, in about three minutes.

It does what the README tells a person to do: a server, Locust, Start; a minute later
Stop, the other server, New, Start. It needs requirements-dev.txt and Chromium or Chrome.
"""

import shutil
import sys
import tempfile
import time
from pathlib import Path

from playwright.sync_api import sync_playwright

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import compare

RUNS = [
    ("wsgi", "gunicorn -w 4 slow_app:app"),
    ("asgi", "gunicorn slow_app:app -w 4 -k uvicorn_worker.UvicornWorker"),
]
SECONDS = 75  # of each run: 100 users come within 50
BROWSERS = "chromium", "chromium-browser", "google-chrome", "chrome"
QUIET = ["--disable-background-networking", "--disable-component-update"]


def find_browser():
    """Return the path of an installed Chromium or Chrome, or None."""
    mac = "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"
    return next(filter(None, map(shutil.which, [*BROWSERS, mac])), None)


def press(page, name, kind="button"):
    """Press the button, or open the tab, of that `name`."""
    page.get_by_role(kind, name=name, exact=True).first.click()


def two_runs(page, home):
    """Load each server of RUNS from Locust's open `page`; what they print is in `home`.

    Yields when the run's charts are seen; afterwards stops it, and ends the server.
    """
    for number, (folder, command) in enumerate(RUNS):
        with compare.running(command, ROOT / folder, home) as server:
            compare.ask(server, compare.PORT)
            if number:
                press(page, "New")
            press(page, "Start")
            press(page, "Charts", "tab")
            yield
            press(page, "Stop")
            new = page.get_by_role("button", name="New", exact=True)
            new.wait_for(timeout=60_000)


def main():
    """Take the picture; a sentence instead, if something is missing."""
    found, home = find_browser(), tempfile.mkdtemp()
    if not found:
        sys.exit("No Chromium or Chrome was found: apt install chromium, for example.")
    for port in (8000, 8089):
        if not compare.is_free(port):
            sys.exit(f"Port {port} is taken. End what listens there first.")
    command = "locust -f locustfile.py"
    with (
        compare.running(command, ROOT, home) as locust,
        sync_playwright() as playwright,
    ):
        compare.ask(locust, 8089)
        options = {"args": [*QUIET, "--no-sandbox"], "executable_path": found}
        size = {"width": 1000, "height": 1100}
        browser = playwright.chromium.launch(**options)
        page = browser.new_page(viewport=size, device_scale_factor=1.5)
        page.goto("http://127.0.0.1:8089/")
        for _ in two_runs(page, home):
            time.sleep(SECONDS)
        part = {"x": 0, "y": 0, "width": 1000, "height": 680}
        page.screenshot(path=ROOT / "docs" / "wsgi-vs-asgi.png", clip=part)


if __name__ == "__main__":
    main()
