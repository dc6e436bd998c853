"""docs/troubleshooting.md: each message comes up for real."""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import pytest
from pages import tokens
from support import ROOT

# What stands in the first column, in code; of a row in which nothing is printed, nothing.
CELLS = [t for t in tokens("docs/troubleshooting.md") if t.type == "inline"][5::3]
MESSAGES = [c.content for t in CELLS for c in t.children if c.type == "code_inline"]

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
OF_ANOTHER = """folder=$(mktemp -d); cp nginx.conf $folder; cd $folder
chmod 777 .; touch access.log; chmod 0 access.log
[ $(id -u) = 0 ] && as='setpriv --reuid 65534 --regid 65534 --clear-groups'
$as nginx -p . -c nginx.conf -e stderr"""
SCENES = {  # the message, and what is typed where
    "gunicorn: command not found": "wsgi$ PATH=/usr/bin:/bin; gunicorn app:app",
    "Connection in use: ('127.0.0.1', 8000)": f"wsgi$ {TAKEN} gunicorn app:app",
    "error while attempting to bind on address ('127.0.0.1', 8000)": f"asgi$ {TAKEN} uvicorn app:app",
    "Address already in use": f"asgi$ {TAKEN} uvicorn app:app --reload",
    "Address already in use: ('127.0.0.1', 8089)": f"$ {TAKEN.replace('8000', '8089')} locust",
    "Could not find 'locustfile.py'": "wsgi$ locust -f locustfile.py",
    "No module named 'app'": "$ gunicorn app:app",
    "Worker failed to boot.": "$ gunicorn app:app",
    'Could not import module "app".': "$ uvicorn app:app",
    "Failed to find attribute": "wsgi$ gunicorn app:application",
    "not found in module": "asgi$ uvicorn app:application",
    "missing 1 required positional argument: 'send'": f"asgi$ gunicorn app:app {ASK}",
    "missing 1 required positional argument: 'start_response'": f"wsgi$ uvicorn app:app {ASK}",
    "takes 2 positional arguments but 3 were given": f"wsgi$ gunicorn -k asgi app:app {ASK}",
    "ASGI 'lifespan' protocol appears unsupported.": "asgi$ uvicorn app:app",
    "Listening at: http://0.0.0.0:9000": "wsgi$ PORT=9000 gunicorn app:app",
    '"workers" flag is ignored when reloading is enabled.': "asgi$ uvicorn app:app --reload --workers 2",
    "WORKER TIMEOUT": f"wsgi$ gunicorn --timeout 1 app:app {OPEN_60}; wait",
    "Perhaps out of memory?": f"wsgi$ gunicorn --timeout 1 app:app {OPEN_60}; wait",
    "Too many open files": f"wsgi$ (ulimit -n 40; exec gunicorn --threads 4 app:app) {OPEN_60}",
    "No module named 'fcntl'": f"wsgi$ {ON_WINDOWS}",
    'open() "./access.log" failed (13: Permission denied)': f"nginx$ {OF_ANOTHER}",
    "Nothing listens at http://127.0.0.1:8000": f"wsgi$ true {LOCUST}",
    "Connection refused": f"wsgi$ timeout 3 gunicorn app:app {LOCUST}",
    "LocustBadStatusCode(code=500)": f"asgi$ gunicorn app:app {LOCUST}",
    "SSL: WRONG_VERSION_NUMBER": f"wsgi$ gunicorn app:app {LOCUST} --host https://127.0.0.1:8000",
}


def test_every_message_has_its_scene():
    assert set(MESSAGES) == set(SCENES)


@pytest.mark.parametrize("message", SCENES)
def test_a_message_comes_up(message):
    """At most half a minute after the command was typed."""
    folder, command = SCENES[message].split("$ ", 1)
    path = f"{os.path.dirname(sys.executable)}:{os.environ['PATH']}:/usr/sbin"
    if folder == "nginx" and not shutil.which("nginx", path=path):
        pytest.skip("nginx is not installed")
    with tempfile.TemporaryFile("w+") as output:
        process = subprocess.Popen(
            ["bash", "-c", command],
            cwd=ROOT / folder,
            env=os.environ | {"PATH": path},
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
        until = time.monotonic() + 30
        while time.monotonic() < until:
            time.sleep(0.1)
            output.seek(0)
            text = output.read()
            if message in text or process.poll() is not None:
                break
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        process.wait(timeout=30)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        output.seek(0)
        assert message in output.read()
        assert not re.search(r"syntax error near", text)
