"""Locust's page in a real browser, by the way that the README tells: two runs, two curves."""

import io
import sys
import time

import pytest
from conftest import ROOT
from PIL import Image
from playwright.sync_api import expect, sync_playwright

import compare

sys.path.insert(0, str(ROOT / "docs"))

from screenshot import QUIET, find_browser, press, two_runs

GREEN, PURPLE = (0, 202, 90), (153, 102, 204)  # requests per second; 95th percentile


@pytest.fixture(scope="module")
def browser():
    if not find_browser():
        pytest.skip("no Chromium or Chrome is installed")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=find_browser(), args=[*QUIET, "--no-sandbox"]
        )
        yield browser
        browser.close()


def heights(chart, colour):
    """Return how high, in pixels, the curve of that `colour` gets left, and right."""
    image = Image.open(io.BytesIO(chart.screenshot())).convert("RGB")
    image = image.crop((0, 50, *image.size))  # without the legend
    points = [
        (n % image.width, image.height - n // image.width)
        for n, pixel in enumerate(image.get_flattened_data())
        if all(abs(a - b) < 12 for a, b in zip(pixel, colour, strict=True))
    ]
    left = [y for x, y in points if x < 0.45 * image.width]
    right = [y for x, y in points if x > 0.65 * image.width]
    lowest = min(left + right)
    return max(left) - lowest, max(right) - lowest


def test_two_runs_and_none(browser, tmp_path, free_ports):
    with compare.running("locust -f locustfile.py", ROOT, str(tmp_path)) as locust:
        compare.ask(locust, 8089)
        page = browser.new_page(viewport={"width": 1000, "height": 1200})
        page.goto("http://127.0.0.1:8089/")
        for name, value in (("userCount", "100"), ("spawnRate", "2")):
            expect(page.locator(f"input[name={name}]")).to_have_value(value)
        host = page.locator("input[name=host]")
        expect(host).to_have_value("http://127.0.0.1:8000")

        who = iter(["/ (gunicorn)", "/ (uvicorn)"])
        for _ in two_runs(page, str(tmp_path)):
            time.sleep(16)
            press(page, "Statistics", "tab")
            expect(page.get_by_role("cell", name=next(who), exact=True)).to_be_visible()
            press(page, "Failures", "tab")
            expect(page.get_by_role("row")).to_have_count(1)  # the table's head
            press(page, "Charts", "tab")
            time.sleep(1)  # it is drawn
        rates, times = page.locator("canvas").all()[:2]
        wsgi, asgi = heights(rates, GREEN)
        assert asgi > 2 * wsgi > 0, (wsgi, asgi)
        wsgi, asgi = heights(times, PURPLE)
        assert wsgi > 2 * asgi, (wsgi, asgi)

        press(page, "New")
        press(page, "Start")
        press(page, "Exceptions", "tab")
        said = page.get_by_text("Nothing listens at http://127.0.0.1:8000")
        expect(said).to_contain_text("gunicorn -w 4 slow_app:app", timeout=10_000)


def test_two_tabs_with_one_address_wait_for_each_other(browser, serve):
    """What docs/troubleshooting.md says of browsers; with two addresses they don't."""
    with serve("asgi", "uvicorn slow_app:app"):
        for paths, least, most in ((("/1", "/2"), 1, 1.7), (("/", "/"), 1.9, 4)):
            context = browser.new_context()
            tabs = [context.new_page() for _ in paths]
            begin = time.monotonic()
            for tab, path in zip(tabs, paths, strict=True):
                tab.evaluate("u => {location = u}", f"http://127.0.0.1:8000{path}")
            for tab in tabs:
                tab.get_by_text("Hello, World!").wait_for(timeout=15_000)
            seconds = time.monotonic() - begin
            context.close()
            assert least <= seconds <= most, paths
