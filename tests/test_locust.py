"""The load test by hand: Locust's page, the hosts that people type, and who responds."""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from unittest import mock

import pytest
from support import ROOT, responding, serve, wait_until

with mock.patch.dict(os.environ, LOCUST_SKIP_MONKEY_PATCH="1"):  # not this process
    from locustfile import Visitor

pytestmark = pytest.mark.usefixtures("ports")
LOCUST = [sys.executable, "-m", "locust"]
HEADLESS = [*LOCUST, "--headless", "-u", "4", "-r", "4", "--json"]
PAGE = "http://127.0.0.1:8089/"


def ask(path="", **form):
    """Return what Locust's page responds, to a form or without one, as text."""
    data = urllib.parse.urlencode(form).encode() if form else None
    return urllib.request.urlopen(PAGE + path, data).read().decode()


def load(options):
    """Load a server for two seconds; return Locust's only row."""
    how = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen([*HEADLESS, *options], cwd=ROOT, **how) as locust:
        # Locust's own -t counts from when its import began.
        assert any("All users spawned" in line for line in locust.stderr)
        time.sleep(2)
        locust.terminate()
        (row,) = json.loads(locust.communicate(timeout=20)[0])
    return row


def test_the_page_is_prefilled_and_for_this_machine_only():
    """Wherever Locust is started; and it says what to start if nobody listens."""
    with serve("wsgi", [*LOCUST, "-f", "../locustfile.py"], url=PAGE) as locust:
        assert '"host": "http://127.0.0.1:8000"' in ask() and '"path"' in ask()
        assert '"num_users": 100' in ask() and '"spawn_rate": 2' in ask()
        with pytest.raises(OSError):  # another address of this machine
            socket.create_connection(("127.0.0.2", 8089), timeout=2)
        for host in ("http://127.0.0.1:8000", "http://127.0.0.1:99999"):
            ask("swarm", user_count=100, spawn_rate=2, host=host)
            wait_until(lambda host=host: f"Nothing listens on {host}" in ask("exceptions"))
            wait_until(lambda: json.loads(ask("stats/requests"))["state"] == "stopped")
            assert json.loads(ask("stats/requests"))["stats"][-1]["num_requests"] == 0
        log = locust.log.read_text()
        assert "Traceback" not in log and "Ramping" not in log, "users were started"
        assert "gunicorn -w 4 slow_app:app" in ask("exceptions")


def test_without_a_server_a_headless_run_fails_with_a_sentence():
    run = subprocess.run(HEADLESS, cwd=ROOT, capture_output=True, check=False, text=True)
    assert run.returncode == 1 and "Traceback" not in run.stderr
    assert run.stderr.count("Nothing listens on http://127.0.0.1:8000") == 1


NEEDS = """
def app(environ, start_response):
    found = [environ["PATH_INFO"], environ["QUERY_STRING"], environ.get("HTTP_A")]
    good = found == ["/orders", "x=1", "b:c"] and environ.get("HTTP_B") == "2"
    start_response("200 OK" if good else "404 Not Found", [])
    return []
"""


def leave(listener):
    """Let Locust see that somebody listens, and listen no more."""
    listener.accept()[0].close()
    listener.close()


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    """Return Locust's rows of four servers that were loaded together."""
    folder = tmp_path_factory.mktemp("shop")
    (folder / "main.py").write_text(NEEDS)
    moved = b"HTTP/1.1 302 Found\r\nServer: me\r\nLocation: http://192.0.2.1/\r\n\r\n"
    runs = [
        "--host| 127.0.0.1:8000/ |--path|orders?x=1|--header|A: b:c|--header|B:2",
        "--host|http://127.0.0.1:9001",
        "--host|http://127.0.0.1:9002",
        "--host|http://127.0.0.1:9003",
    ]
    with (
        serve(folder, "gunicorn --threads 4 main:app"),
        responding(b"HTTP/1.1 200 OK\r\n\r\n", 9001),
        responding(moved, 9002),
        ThreadPoolExecutor() as pool,
        socket.create_server(("127.0.0.1", 9003)) as listener,
    ):
        pool.submit(leave, listener)
        return [*pool.map(load, [line.split("|") for line in runs])]


def test_a_row_says_what_was_asked_for_and_who_responded(rows):
    """With headers, and a host as people type it."""
    assert rows[0]["name"] == "/orders?x=1 (gunicorn)"
    assert rows[0]["num_requests"] > rows[0]["num_failures"] == 0


def test_a_response_without_headers_is_one_and_nobody_pauses(rows):
    assert rows[1]["name"] == "/ (unnamed)" and rows[1]["num_failures"] == 0
    assert rows[1]["num_requests"] > 40


def test_a_redirect_is_a_failure_and_not_followed(rows):
    assert rows[2]["name"] == "/ (me)"
    assert rows[2]["num_failures"] == rows[2]["num_requests"] > 0


def test_whoever_is_refused_pauses(rows):
    """Four users, for two seconds."""
    assert rows[3]["name"] == "/ (no response)"
    assert 4 <= rows[3]["num_failures"] == rows[3]["num_requests"] <= 40


def test_a_long_queue_is_no_failure():
    assert Visitor.network_timeout == Visitor.connection_timeout == 600
