"""Locust's page in a real browser, by the way that the README tells: two runs, and none."""

import time

import pytest
from playwright.sync_api import expect

from figures.screenshot import SERVERS, find_browser, loaded, opened_page, press

needs_browser = pytest.mark.skipif(
    not find_browser(), reason="no Chromium or Chrome is installed"
)


@needs_browser
def test_two_runs_and_none():
    with opened_page() as page:
        for name, value in (("userCount", "100"), ("spawnRate", "2")):
            expect(page.locator(f"input[name={name}]")).to_have_value(value)
        host = page.locator("input[name=host]")
        expect(host).to_have_value("http://127.0.0.1:8000")

        for folder, command, _ in SERVERS:
            with loaded(page, folder, command):
                time.sleep(6)
                press(page, "Statistics", "tab")
                name = f"/ ({command.split()[0]})"
                expect(page.get_by_role("cell", name=name, exact=True)).to_be_visible()
                press(page, "Failures", "tab")
                expect(page.get_by_role("row")).to_have_count(1)  # the table's head
                press(page, "Charts", "tab")
                expect(page.locator("canvas").first).to_be_visible()

        press(page, "New")
        press(page, "Start")
        press(page, "Exceptions", "tab")
        message = page.get_by_text("Nothing listens on http://127.0.0.1:8000")
        expect(message).to_contain_text("gunicorn -w 4 slow_app:app", timeout=30_000)
