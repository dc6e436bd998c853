"""Signals under Locust's load: how many requests fail when workers are replaced or die."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time

import pytest
from conftest import ROOT, wait_until
from test_servers import group
from test_talking import connection

import compare


def slow(command):
    """Return the `command` with the applications that wait a second."""
    return command.replace(" app:app", " slow_app:app") + " --pid gunicorn.pid"


@pytest.fixture
def lesson(tmp_path, free_ports):
    """Return lesson(user class): copy the lesson and let Locust's users be of this class."""

    def lesson(kind):
        folder = tmp_path / "lesson"
        shutil.copytree(ROOT, folder, ignore=shutil.ignore_patterns(".*", "*.pid"))
        locustfile = folder / "locustfile.py"
        text = locustfile.read_text().replace("FastHttpUser", kind)
        locustfile.write_text(text)
        return folder

    return lesson


def under_load(folder, command, lesson, tmp_path, seconds, act):
    """Return [requests, failures] of 40 users on `command`, in `seconds`.

    When all have begun, `act(the master's id)` is called; in the end four workers run.
    """
    with compare.running(command, lesson / folder, str(tmp_path)) as server:
        compare.ask(server, 8000)
        master = int((lesson / folder / "gunicorn.pid").read_text())
        run = [sys.executable, "-m", "locust", "--headless", "--json"]
        run += ["-u", "40", "-r", "40", "-t", str(seconds)]
        pipe = subprocess.PIPE
        locust = subprocess.Popen(run, cwd=lesson, stdout=pipe, stderr=pipe)
        try:
            time.sleep(3)
            act(master)
            rows = json.loads(locust.communicate(timeout=60)[0])
        finally:
            locust.kill()
        total = [sum(r[k] for r in rows) for k in ("num_requests", "num_failures")]
        wait_until(lambda: len(workers(master)) == 4)
        return total


def workers(master):
    """Return the ids of the processes that the process `master` has started."""
    listed = subprocess.run(
        ["pgrep", "-P", str(master)], check=False, capture_output=True
    )
    return [int(pid) for pid in listed.stdout.split()]


GUNICORNS = [
    ("wsgi", "gunicorn -w 4 app:app"),
    ("wsgi", "gunicorn -w 4 --threads 25 app:app"),
    ("asgi", "gunicorn -w 4 -k asgi app:app"),
    ("asgi", "gunicorn app:app -w 4 -k uvicorn_worker.UvicornWorker"),
]


@pytest.mark.parametrize("folder, command", GUNICORNS)
def test_hup_loses_nothing(lesson, tmp_path, folder, command):
    """Five times in a row, all workers replaced each time.

    Event loops may close a connection that is about to be used again.
    """
    seen = []

    def act(master):
        for _ in range(5):
            seen.append(set(workers(master)))
            os.kill(master, signal.SIGHUP)
            time.sleep(1.2)
        seen.append(set(workers(master)))

    copy = lesson("HttpUser" if folder == "wsgi" else "FastHttpUser")
    requests, failures = under_load(folder, slow(command), copy, tmp_path, 10, act)
    assert requests > 20 and failures == 0
    assert not seen[0] & seen[-1]


@pytest.mark.parametrize(
    "folder, command, kind, least, most",
    [
        (*GUNICORNS[0], "HttpUser", 8, 10),  # one request in flight a worker
        (*GUNICORNS[3], "HttpUser", 40, 250),  # about ten a worker
        (*GUNICORNS[3], "FastHttpUser", 0, 9),  # it repeats a request once
    ],
)
def test_a_killed_worker_takes_its_requests_along(
    lesson, tmp_path, folder, command, kind, least, most
):
    """One a second, for ten seconds; in the end there are four again."""

    def act(master):
        for _ in range(10):
            os.kill(workers(master)[0], signal.SIGKILL)  # the oldest
            time.sleep(1)

    copy = lesson(kind)
    requests, failures = under_load(folder, slow(command), copy, tmp_path, 15, act)
    assert requests > 40 and least <= failures <= most


@pytest.mark.parametrize(
    "folder, command",
    [*GUNICORNS, ("asgi", "uvicorn app:app"), ("asgi", "uvicorn app:app --workers 2")],
)
def test_sigterm_finishes_what_has_begun(serve, folder, command):
    command = command.replace(" app:app", " stream_app:app")
    with serve(folder, command, answers=False) as process:
        with connection(b"GET / HTTP/1.0\r\n\r\n") as client:
            body = client.recv(1000)
            process.send_signal(signal.SIGTERM)
            body += b"".join(iter(lambda: client.recv(1000), b""))
        assert body.count(b"line") == 5
        process.wait(timeout=20)
        wait_until(lambda: not group(process.pid))


def test_a_version_that_cannot_start_is_found_by_check_config(lesson, tmp_path):
    """Sent HUP all the same, the master gives up, and nobody serves any more."""
    folder, command = lesson("HttpUser") / "wsgi", slow("gunicorn -w 4 app:app")
    check = [sys.executable, "-m", "gunicorn", "--check-config", "slow_app:app"]
    with compare.running(command, folder, str(tmp_path)) as server:
        compare.ask(server, 8000)
        assert subprocess.run(check, cwd=folder, check=False).returncode == 0
        with (folder / "slow_app.py").open("a") as app:
            app.write("(")
        assert subprocess.run(check, cwd=folder, check=False).returncode != 0
        server.send_signal(signal.SIGHUP)
        assert server.wait(timeout=20) != 0
        assert "Worker failed to boot" in server.log.read_text()
