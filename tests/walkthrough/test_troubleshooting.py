"""docs/troubleshooting.md: each message comes up for real."""

import contextlib
import os
import re
import signal
import sys
import tempfile
from itertools import pairwise

import pexpect
import pytest
from pages import tokens
from support import ROOT

LINES = [t.children for t in tokens("docs/troubleshooting.md") if t.type == "inline"]
BOLD = [b for line in LINES for a, b in pairwise(line) if a.type == "strong_open"]
MESSAGES = [b.content for b in BOLD if b.type == "code_inline"]

PATH = f"{os.path.dirname(sys.executable)}:{os.environ['PATH']}"
TAKEN = "python -m http.server 8000 --bind 127.0.0.1 & sleep 1;"
LISTENS = "& until (echo > /dev/tcp/127.0.0.1/8000) 2> /dev/null; do sleep 0.1; done;"
ASK = f"{LISTENS} curl -s http://127.0.0.1:8000/"
ASKED = (
    f"(true {LISTENS} curl -s http://127.0.0.1:8000/) &"  # so that a server can come last
)
CTRL_C = "(sleep {}; kill -INT -- -$$) & exec"  # to all processes of the terminal
BURST = f"{LISTENS} python ../burst.py"
SILENT = f"{LISTENS} timeout 5 python ../nginx/silent_clients.py 60"
LOCUST = "cd ..; locust --headless -u 4 -r 4 -t 3s --only-summary"
STOPS = "sed 's/^    body = .*/&; breakpoint()/' app.py > $TMPDIR/stops.py; cd $TMPDIR;"
ON_WINDOWS = """python -c '
import sys
class Windows:
    def find_spec(self, name, path, target=None):
        if name == "fcntl":
            raise ModuleNotFoundError(f"No module named {name!r}")
sys.meta_path.insert(0, Windows())
import gunicorn.app.wsgiapp'"""
MOVED = """sed "1s,.*,#!/moved/.venv/bin/python," $(command -v gunicorn) > $TMPDIR/gunicorn
chmod +x $TMPDIR/gunicorn; $TMPDIR/gunicorn"""
SCENES = {  # the message, and what is typed where; `python -S` knows no installed packages
    "gunicorn: command not found": "wsgi$ PATH=/usr/bin:/bin; gunicorn app:app",
    "No module named 'gunicorn'": "wsgi$ python -S runfromgunicorn.py",
    "No module named 'uvicorn'": "asgi$ python -S runfromuvicorn.py",
    "bad interpreter": f"wsgi$ {MOVED}",
    "No module named 'fcntl'": f"wsgi$ {ON_WINDOWS}",
    "No module named 'app'": "$ gunicorn app:app",
    "Worker failed to boot.": "$ gunicorn app:app",
    'Could not import module "app".': "$ uvicorn app:app",
    "Failed to find attribute": "wsgi$ gunicorn app:application",
    "not found in module": "asgi$ uvicorn app:application",
    "Connection in use: ('127.0.0.1', 8000)": f"wsgi$ {TAKEN} gunicorn app:app",
    "error while attempting to bind on address ('127.0.0.1', 8000)": (
        f"asgi$ {TAKEN} uvicorn app:app"
    ),
    "Address already in use": f"asgi$ {TAKEN} uvicorn app:app --reload",
    "port 8000 is taken by process": f"$ {TAKEN} python compare.py",
    "It was paused by Ctrl-Z.": f"$ {TAKEN} kill -STOP $!; python compare.py",
    "Can't connect to ('192.0.2.1', 8000)": "wsgi$ gunicorn --bind 192.0.2.1:8000 app:app",
    "Address already in use: ('127.0.0.1', 8089)": (
        f"$ {TAKEN.replace('8000', '8089')} locust"
    ),
    "Could not find 'locustfile.py'": "wsgi$ locust -f locustfile.py",
    "No usable temporary directory found": "wsgi$ ulimit -f 0; gunicorn app:app",
    "Listening at: http://0.0.0.0:9000": "wsgi$ PORT=9000 gunicorn app:app",
    '"workers" flag is ignored when reloading is enabled.': (
        "asgi$ uvicorn app:app --reload --workers 2"
    ),
    "You must pass the application as an import string": (
        "asgi$ python -c 'import app, uvicorn; uvicorn.run(app.app, workers=2)'"
    ),
    "(Pdb)": f"wsgi$ {STOPS} {ASKED} gunicorn stops:app",
    "bdb.BdbQuit": f"wsgi$ {STOPS} gunicorn stops:app {ASK}",
    "missing 1 required positional argument: 'send'": f"asgi$ gunicorn app:app {ASK}",
    "missing 1 required positional argument: 'start_response'": (
        f"wsgi$ uvicorn app:app {ASK}"
    ),
    "takes 2 positional arguments but 3 were given": (
        f"wsgi$ gunicorn -k asgi app:app {ASK}"
    ),
    "Invalid HTTP request received.": (
        f"asgi$ uvicorn app:app {LISTENS} curl -sk https://127.0.0.1:8000/"
    ),
    "Invalid request from ip=127.0.0.1": (
        f"wsgi$ gunicorn app:app {LISTENS} curl -sk https://127.0.0.1:8000/"
    ),
    "No supported WebSocket library detected.": (
        f"asgi$ uvicorn websocket_app:app --ws none {LISTENS} "
        "python -m websockets ws://127.0.0.1:8000/"
    ),
    "Unsupported upgrade request.": f"asgi$ uvicorn app:app {ASK} --http2",
    "does not start with SCRIPT_NAME": f"wsgi$ SCRIPT_NAME=/api gunicorn app:app {ASK}",
    "WORKER TIMEOUT": f"asgi$ gunicorn -k asgi --timeout 1 blocking_app:app {BURST} 6",
    "Perhaps out of memory?": f"wsgi$ gunicorn --timeout 1 app:app {SILENT}",
    "Child process [1234] died": (
        "asgi$ uvicorn app:app --workers 2 & sleep 2; kill -KILL $(pgrep -P $!); wait"
    ),
    "Exceeded concurrency limit.": (
        f"asgi$ uvicorn slow_app:app --limit-concurrency 2 {BURST} 4"
    ),
    "Connection reset by peer": (
        f"wsgi$ gunicorn slow_app:app {BURST} 4 & sleep 2; kill %1; wait"
    ),
    "Remote end closed connection without response": (
        f"wsgi$ gunicorn slow_app:app {BURST} 3 & sleep 1.5; "
        "kill -KILL $(pgrep -P $(jobs -p %1)); wait"
    ),
    "QueuePool limit of size": (
        f"asgi$ uvicorn fastapi_database_app:app {BURST} 60 /declared"
    ),
    "Too many open files": (
        f"wsgi$ (ulimit -n 40; exec gunicorn --threads 4 app:app) {SILENT}"
    ),
    "Connection refused. Does a server run there?": "$ python burst.py",
    "Nothing listens on http://127.0.0.1:8000.": f"wsgi$ {LOCUST}",
    "It has exited by itself, with code": "$ python compare.py 'asgi$ uvicorn nothing:app'",
    "It has stopped by itself.": (
        "$ python compare.py 'asgi$ uvicorn app:app --limit-max-requests 300'"
    ),
    "Nothing listens on port 8000 after 20 seconds.": (
        "$ python compare.py 'asgi$ uvicorn app:app --port 8001'"
    ),
    "is no good: 404.": (
        "$ python compare.py 'asgi$ uvicorn fastapi_app:app' --path /nothing"
    ),
    "LocustBadStatusCode(code=500)": f"asgi$ gunicorn app:app {LISTENS} {LOCUST}",
    "SSL: WRONG_VERSION_NUMBER": (
        f"wsgi$ gunicorn app:app {LISTENS} {LOCUST} --host https://127.0.0.1:8000"
    ),
    "ASGI 'lifespan' protocol appears unsupported.": "asgi$ uvicorn app:app",
    "Control socket listening at": "wsgi$ GUNICORN_CMD_ARGS= HOME=$TMPDIR gunicorn app:app",
    "Bad file descriptor": (
        f"asgi$ {CTRL_C.format(5)} gunicorn -w 2 -k uvicorn_worker.UvicornWorker app:app"
    ),
    "was sent SIGINT!": (
        f"asgi$ {CTRL_C.format(5)} gunicorn -w 2 -k uvicorn_worker.UvicornWorker app:app"
    ),
    "SystemExit: 0": (
        f"wsgi$ (true {ASK} & sleep 0.5; kill -INT -- -$$) & exec gunicorn slow_app:app"
    ),
    "KeyboardInterrupt": f"$ {CTRL_C.format(5)} locust",
    "Shutting down (exit code 1)": f"wsgi$ {LOCUST}",
    "Waiting for connections to close.": (
        f"asgi$ uvicorn stream_app:app {LISTENS} "
        "curl -sN http://127.0.0.1:8000/ & sleep 2; kill %1; wait"
    ),
}


def test_every_message_has_its_scene():
    without, unused = set(MESSAGES) - set(SCENES), set(SCENES) - set(MESSAGES)
    assert not without, "messages of the page that no scene brings up"
    assert not unused, "scenes of messages that the page no longer names"


@pytest.mark.parametrize("message", SCENES)
def test_a_message_comes_up(message):
    """At most half a minute after the command was typed."""
    folder, command = SCENES[message].split("$ ", 1)
    says = re.escape(message).replace("1234", r"\d+")
    if message == "bad interpreter":
        says += "|required file not found"  # as bash calls it since 5.2
    with tempfile.TemporaryDirectory() as temp:
        env = os.environ | {"PATH": PATH, "TMPDIR": temp, "NO_COLOR": "1"}
        env["GUNICORN_CMD_ARGS"] = "--no-control-socket"  # it would stay in the home folder
        how = {"env": env, "encoding": "utf-8", "codec_errors": "replace"}
        shell = pexpect.spawn("bash", ["-c", command], cwd=ROOT / folder, **how)
        try:
            found = shell.expect([says, pexpect.EOF, pexpect.TIMEOUT], timeout=30)
        finally:
            with contextlib.suppress(ProcessLookupError):  # it has ended by itself
                os.killpg(shell.pid, signal.SIGKILL)
            shell.close(force=True)
    if found:
        said = shell.before.replace("\r\n", "\n")
        pytest.fail(
            f"{message!r} is not in what this printed:\n{command}\n---\n{said}", False
        )
