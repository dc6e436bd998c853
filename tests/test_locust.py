"""The load test by hand: Locust's page, the hosts that people type, and nobody there."""

import json
import socket
import subprocess
import sys
import urllib.parse
import urllib.request

import pytest
from support import ROOT, serve, wait_until

LOCUST = [sys.executable, "-m", "locust"]
HEADLESS = [*LOCUST, "--headless", "-u", "4", "-r", "4", "-t", "2s", "--json"]
PAGE = "http://127.0.0.1:8089/"


def ask(path="", **form):
    """Return what Locust's page responds, to a form or without one, as text."""
    data = urllib.parse.urlencode(form).encode() if form else None
    return urllib.request.urlopen(PAGE + path, data).read().decode()


def stats():
    return json.loads(ask("stats/requests"))


@pytest.mark.parametrize(
    "folder, options",
    [(".", ["-f", "locustfile.py"]), ("wsgi", ["-f", "../locustfile.py"])],
)
def test_the_page_is_prefilled_and_for_this_machine_only(folder, options):
    """Wherever Locust is started: no locust.conf is read in wsgi/."""
    with serve(folder, [*LOCUST, *options], url=PAGE):
        assert '"host": "http://127.0.0.1:8000"' in ask()
        if folder == ".":
            assert '"num_users": 100' in ask() and '"spawn_rate": 2' in ask()
        assert '"path"' in ask()
        with pytest.raises(OSError):  # another address of this machine
            socket.create_connection(("127.0.0.2", 8089), timeout=2)


def test_the_page_says_what_to_start_if_nobody_listens():
    """For a port that nobody has, and for one that cannot be."""
    with serve(".", LOCUST, url=PAGE, expected_returncode=1) as locust:
        for host in ("http://127.0.0.1:8000", "http://127.0.0.1:99999"):
            ask("swarm", user_count=100, spawn_rate=2, host=host)
            wait_until(lambda host=host: f"Nothing listens at {host}" in ask("exceptions"))
            wait_until(lambda: stats()["state"] == "stopped")
            assert stats()["stats"][-1]["num_requests"] == 0
        log = locust.log.read_text()
        assert "Traceback" not in log and "Ramping" not in log, "users were started"
        assert "gunicorn -w 4 slow_app:app" in ask("exceptions")


def test_without_a_server_a_headless_run_fails_with_a_sentence():
    run = subprocess.run(HEADLESS, cwd=ROOT, capture_output=True, check=False, text=True)
    assert run.returncode == 1 and "Traceback" not in run.stderr
    assert run.stderr.count("Nothing listens at http://127.0.0.1:8000") == 1


@pytest.mark.parametrize("path", ["/", "/orders?x=1"])
def test_a_row_says_what_was_asked_for_and_who_responded(path):
    """Also with a host as people type it."""
    with serve("wsgi", "gunicorn -w 4 app:app"):
        command = [*HEADLESS, "--host", "http://127.0.0.1:8000/", "--path", path]
        run = subprocess.run(command, cwd=ROOT, capture_output=True, check=True, text=True)
    (row,) = json.loads(run.stdout)
    assert row["name"] == f"{path} (gunicorn)" and row["num_failures"] == 0
    assert row["num_requests"] > 0
