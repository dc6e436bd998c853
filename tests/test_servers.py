"""The applications on the real servers: what starts, reloads, and reaches a client."""

import ast
import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection

import pexpect
import psutil
import pytest
from pages import PAGES, inline, steps
from support import HELLO, ROOT, family, serve, status, wait_until

pytestmark = pytest.mark.usefixtures("ports")
SYNC, THREADS = "gunicorn -w 2 {}:app", "gunicorn -w 2 --threads 2 {}:app"
UVICORN, ASGI = "uvicorn {}:app", "gunicorn -w 2 -k asgi {}:app"
WORKERS = "gunicorn {}:app -w 2 -k uvicorn_worker.UvicornWorker"
EVERY = [("wsgi", SYNC), ("wsgi", THREADS)]
EVERY += [("asgi", UVICORN), ("asgi", WORKERS), ("asgi", ASGI)]


def commands():
    """Return (folder, command lines) of what README's table lists and what no page types.

    The latter are those that a file opens with, or that a page names in a sentence. A
    page's blocks are typed by `make walkthrough`, but not on macOS.
    """
    typed = {step.typed for page in PAGES for step in steps(page)}
    found = {}
    for page in PAGES:
        for code in inline(page, "code_inline"):
            line = code.content
            named = re.match(r"(gunicorn|uvicorn) .*\bapp:app", line)
            fails = re.search(r"unix:|--uds|--lifespan|\$", line)  # at port 8000, or at all
            if named and not fails and (page == "README.md" or line not in typed):
                is_asgi = re.search(r"^uvicorn|-k (asgi|uvicorn)", line)
                found["asgi" if is_asgi else "wsgi", line] = [line]
    for path in sorted(ROOT.glob("[wa]sgi/*app.py")):
        opening = ast.get_docstring(ast.parse(path.read_text())).splitlines()[2:]
        lines = [line.split("  ")[0] for line in opening]
        if not {*lines} <= typed:
            found[path.parent.name, lines[-1]] = lines
    return [(folder, lines) for (folder, _), lines in found.items()]


@pytest.mark.parametrize("folder, lines", commands(), ids=str)
def test_a_command_that_nobody_types_starts_and_serves(folder, lines):
    with contextlib.ExitStack() as servers:
        for line in lines:
            port = 8001 if "8001" in line else 8000
            servers.enter_context(serve(folder, line, f"http://127.0.0.1:{port}/"))
        assert status() == 200


@pytest.mark.parametrize("launcher", ["wsgi/runfromgunicorn.py", "asgi/runfromuvicorn.py"])
def test_launcher(tmp_path, launcher):
    """From any folder it serves, survives a broken edit, reloads, and ends by Ctrl-C."""
    folder = launcher[:4]
    app = tmp_path / folder / "app.py"
    shutil.copytree(ROOT / folder, tmp_path / folder)
    source = app.read_text()

    def responds(expected):
        try:
            with urllib.request.urlopen("http://127.0.0.1:8000/", timeout=1) as response:
                return response.read() == expected
        except OSError:
            return False

    def edit(text):
        time.sleep(0.5)  # until the watcher has noted when the file was changed last
        app.write_text(text)

    with serve(tmp_path, [sys.executable, launcher]) as server:
        said = f"Starting {folder}/app.py at http://127.0.0.1:8000"
        assert said in server.log.read_text()
        wait_until(lambda: responds(HELLO))
        edit("print('broken', flush=True)\nraise SystemExit(3)\n" + source)
        wait_until(lambda: "broken" in server.log.read_text())
        edit(source.replace("Hello", "Howdy"))
        wait_until(lambda: responds(b"Howdy, World!\n"))
        members = family(server)
        os.killpg(server.process.pid, signal.SIGINT)  # as a terminal does
        assert server.process.wait(timeout=20) == 0
        wait_until(lambda: not any(map(psutil.pid_exists, members)))


def test_a_worker_may_stand_at_a_breakpoint():
    """gunicorn's default timeout would end it after 30 seconds."""
    code = "from runfromgunicorn import FromPython; print(FromPython().cfg.timeout)"
    command = [sys.executable, "-c", code]
    run = subprocess.run(command, cwd=ROOT / "wsgi", check=True, capture_output=True)
    assert run.stdout == b"0\n"


REQUESTS = [  # the first two lines of what is responded, and its end
    ("GET", "/a%20b?x=1", None, b"GET /a b\nquery: x=1\n", b""),
    ("POST", "/", b"abcde", b"POST /\nquery: \n", b"abcde"),
    ("PUT", "/x", [b"abc", b"de"], b"PUT /x\nquery: \n", b"abcde"),  # in chunks
]


@pytest.mark.parametrize("folder, command", EVERY)
def test_echo(folder, command):
    """Every server tells both twins the same of the same request."""
    with serve(folder, command.format("echo_app")) as server:
        for method, path, body, opening, end in REQUESTS:
            client = HTTPConnection("127.0.0.1", 8000, timeout=20)
            with contextlib.closing(client):
                client.request(method, path, body, {"User-Agent": "me"})
                about, _, echoed = client.getresponse().read().partition(b"\n\n")
            process = int(about.split()[-1])
            assert about == opening + b"user-agent: me\nprocess: %d" % process
            assert process in family(server) and echoed == end


@pytest.mark.parametrize("typed", ["", "c"])
@pytest.mark.parametrize("launcher", ["wsgi/runfromgunicorn.py", "asgi/runfromuvicorn.py"])
def test_ctrl_c_stops_a_launcher_at_a_breakpoint(tmp_path, launcher, typed):
    """At the first prompt or at the second, immediately, and nothing is left of it."""
    folder = launcher[:4]
    shutil.copytree(ROOT / folder, tmp_path / folder)
    app = tmp_path / folder / "app.py"
    app.write_text(app.read_text().replace("    body =", "    breakpoint()\n    body ="))
    with (
        ThreadPoolExecutor(2) as clients,  # they end after the terminal
        pexpect.spawn(sys.executable, [launcher], cwd=tmp_path, timeout=20) as terminal,
    ):
        terminal.expect("Booting worker|Application startup complete")
        with socket.socket() as probe:  # "complete" is said before anybody listens
            wait_until(lambda: not probe.connect_ex(("127.0.0.1", 8000)))
        for _ in range(2):
            clients.submit(urllib.request.urlopen, "http://127.0.0.1:8000/", timeout=60)
        terminal.expect_exact("(Pdb) ")
        if typed:
            terminal.sendline(typed)
            terminal.expect_exact("(Pdb) ")
        assert terminal.getecho(), "whoever is killed now leaves a mute terminal"
        terminal.sendintr()
        terminal.expect(pexpect.EOF)  # no process has this terminal any more
        assert b"Traceback" not in terminal.before
