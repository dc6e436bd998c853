"""docs/troubleshooting.md: each message comes up for real, and what to type helps."""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import time

import pytest
from conftest import ROOT
from test_pages import read_tokens

CELLS = [
    [c.content for c in token.children if c.type == "code_inline"]
    for token in read_tokens("docs/troubleshooting.md")
    if token.type == "inline"
][5:]  # after the title, the sentence and the table's head
# In the first column; in the second, two more.
MESSAGES = [message for cell in CELLS[::3] for message in cell]
MESSAGES += ["Failed to find attribute", "not found in module"]
TYPED = [command for cell in CELLS[2::3] for command in cell]

TAKEN = "python -m http.server 8000 --bind 127.0.0.1 & sleep 1;"
ASK = "& sleep 1.5; curl -s http://127.0.0.1:8000/; wait"
LOCUST = "& sleep 1.5; cd ..; locust --headless -u 4 -r 4 -t 3s --only-summary"
OPEN_60 = """& sleep 1.5; python -c '
import socket, time
connections = [socket.create_connection(("127.0.0.1", 8000)) for _ in range(60)]
time.sleep(4)'"""
ON_WINDOWS = """python -c '
import sys
class Windows:
    def find_spec(self, name, path, target=None):
        if name == "fcntl":
            raise ModuleNotFoundError(f"No module named {name!r}")
sys.meta_path.insert(0, Windows())
from gunicorn.app.wsgiapp import run
run()' app:app"""
SCENES = {  # the message: the folder, what is typed there
    "gunicorn: command not found": ("wsgi", "PATH=/usr/bin:/bin; gunicorn app:app"),
    "Connection in use: ('127.0.0.1', 8000)": ("wsgi", f"{TAKEN} gunicorn app:app"),
    "error while attempting to bind on address ('127.0.0.1', 8000)": (
        *("asgi", f"{TAKEN} uvicorn app:app"),
    ),
    "No module named 'app'": (".", "gunicorn app:app"),
    "Worker failed to boot.": (".", "gunicorn app:app"),
    'Could not import module "app".': (".", "uvicorn app:app"),
    "Failed to find attribute": ("wsgi", "gunicorn app:application"),
    "not found in module": ("asgi", "uvicorn app:application"),
    "missing 1 required positional argument: 'send'": (
        *("asgi", f"gunicorn app:app {ASK}"),
    ),
    "missing 1 required positional argument: 'start_response'": (
        *("wsgi", f"uvicorn app:app {ASK}"),
    ),
    "takes 2 positional arguments but 3 were given": (
        *("wsgi", f"gunicorn -k asgi app:app {ASK}"),
    ),
    "ASGI 'lifespan' protocol appears unsupported.": ("asgi", "uvicorn app:app"),
    "Listening at: http://0.0.0.0:9000": ("wsgi", "PORT=9000 gunicorn app:app"),
    '"workers" flag is ignored when reloading is enabled.': (
        *("asgi", "uvicorn app:app --reload --workers 2"),
    ),
    "WORKER TIMEOUT": ("wsgi", f"gunicorn --timeout 1 app:app {OPEN_60}; wait"),
    "Perhaps out of memory?": ("wsgi", f"gunicorn --timeout 1 app:app {OPEN_60}; wait"),
    "Too many open files": (
        *("wsgi", f"(ulimit -n 40; exec gunicorn --threads 4 app:app) {OPEN_60}"),
    ),
    "No module named 'fcntl'": ("wsgi", ON_WINDOWS),
    "Nothing listens at http://127.0.0.1:8000": ("wsgi", f"true {LOCUST}"),
    "Connection refused": ("wsgi", f"timeout 3 gunicorn app:app {LOCUST}"),
    "LocustBadStatusCode(code=500)": ("asgi", f"gunicorn app:app {LOCUST}"),
}


@pytest.fixture
def said(tmp_path, free_ports):
    """Return said(folder, command, enough): what bash prints, at most ten seconds long.

    It is ended as soon as the pattern `enough` is found in it.
    """

    def said(folder, command, enough):
        path = f"{os.path.dirname(sys.executable)}:{os.environ['PATH']}"
        log = tmp_path / "log"
        with log.open("w") as output:
            process = subprocess.Popen(
                ["bash", "-c", command],
                cwd=ROOT / folder,
                env=os.environ | {"PATH": path},
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        until = time.monotonic() + 10
        while process.poll() is None and time.monotonic() < until:
            time.sleep(0.1)
            if re.search(enough, log.read_text()):
                break
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        process.wait(timeout=20)
        return log.read_text()

    return said


def test_the_table_was_read():
    assert 10 < len(CELLS) / 3 <= 15 and set(MESSAGES) == set(SCENES)


@pytest.mark.parametrize("message", MESSAGES)
def test_message_comes_up(said, message):
    assert message in said(*SCENES[message], re.escape(message))


@pytest.mark.skipif(not shutil.which("lsof"), reason="lsof is not installed")
def test_what_to_type_helps(said):
    """A server is left running, variables are set; then the table's own commands."""
    ended = "kill $(lsof -t -iTCP:8000 -sTCP:LISTEN)"
    unset, more = "unset PORT WEB_CONCURRENCY", "ulimit -n 8192"
    assert {ended, unset} <= set(TYPED) and more in TYPED
    script = f"{TAKEN} export PORT=9000 WEB_CONCURRENCY=2; {ended}; {unset}; {more};"
    shown = said("wsgi", f"{script} exec gunicorn app:app", "Booting[^\\0]*Control")
    assert "Listening at: http://127.0.0.1:8000" in shown and shown.count("Boot") == 1
