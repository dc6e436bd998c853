"""The same start for every test: no variable of the reader's, nobody at the ports."""

import contextlib
import os
import re
import shlex
import signal
import socket
import sys
import time
import uuid

import psutil
import pytest

from launch import Server

MARK = "STARTED_BY_TEST"
STARTS = {"subprocess.Popen", "os.forkpty", "os.fork", "os.posix_spawn", "os.system"}
started = []  # filled when this process starts another one
sys.addaudithook(lambda event, _: started.append(event) if event in STARTS else None)


def pytest_configure():
    """Let no variable and no way of starting the tests matter; this .venv comes first."""
    obeyed = re.compile(rf"{Server.obeyed.pattern}|LOCUST_.*|MAKE.*")
    for name in filter(obeyed.fullmatch, [*os.environ]):
        del os.environ[name]
    for kind in (signal.SIGINT, signal.SIGHUP, signal.SIGQUIT):
        # A job in the background, or under nohup, has them ignored by all it starts.
        if signal.getsignal(kind) is signal.SIG_IGN:
            signal.signal(kind, signal.SIG_DFL)
    os.environ["PATH"] = f"{os.path.dirname(sys.executable)}:{os.environ['PATH']}"


@pytest.fixture(scope="session")
def ports():
    """Stand in the head of a test file that starts servers."""


def pytest_collection_finish(session):
    """Exit with a sentence if somebody else's server would be tested."""
    if not any("ports" in item.fixturenames or "walkthrough" in item.nodeid
               for item in session.items):  # fmt: skip
        return
    for port in (8000, 8080, 8089):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                pytest.exit(
                    f"Port {port} is taken. Stop what listens there, or on Linux type: "
                    "unshare -rn sh -c 'ip link set lo up; make test'",
                    returncode=1,
                )


def marked(mark):
    """Return the processes with the `mark` in their environment."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):  # another user's, or it has just exited
            if process.environ().get(MARK) == mark:
                found.append(process)
    return found


@pytest.fixture(autouse=True)
def nothing_is_left(monkeypatch):
    """Kill what a test has started and has not stopped; it fails, and no other one.

    What several tests share was started before, and does not have this mark.
    """
    mark = str(uuid.uuid4())
    monkeypatch.setenv(MARK, mark)
    started.clear()
    yield
    until, names = time.monotonic() + 3, set()
    while started and (left := marked(mark)):
        if time.monotonic() > until:
            for process in left:
                with contextlib.suppress(psutil.Error):
                    names.add(shlex.join(process.cmdline()))
                    process.kill()
        time.sleep(0.1)
    if names:
        pytest.fail("The test left what is now killed:\n" + "\n".join(names), pytrace=False)
