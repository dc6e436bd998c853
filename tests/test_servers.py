"""The applications on the real servers: who waits for whom, and what reaches a client."""

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

import pexpect
import psutil
import pytest
from pages import PAGES, inline, steps
from support import HELLO, ROOT, burst, family, serve, wait_until

pytestmark = pytest.mark.usefixtures("ports")
SYNC, THREADS = "gunicorn -w 2 {}:app", "gunicorn -w 2 --threads 2 {}:app"
UVICORN, ASGI = "uvicorn {}:app", "gunicorn -w 2 -k asgi {}:app"
WORKERS = "gunicorn {}:app -w 2 -k uvicorn_worker.UvicornWorker"
EVERY = [("wsgi", SYNC), ("wsgi", THREADS)]
EVERY += [("asgi", UVICORN), ("asgi", WORKERS), ("asgi", ASGI)]


def named_commands():
    """Return the server commands that sentences name; a page's blocks are typed anyway."""
    named = {code.content for page in PAGES for code in inline(page, "code_inline")}
    named -= {step.typed for page in PAGES for step in steps(page)}
    elsewhere = r"unix:|--uds|--lifespan|\$"  # not at port 8000, or meant to fail
    named = {c for c in named if not re.search(elsewhere, c)}
    return sorted(c for c in named if re.match(r"(gunicorn|uvicorn) .*\bapp:app", c))


@pytest.mark.parametrize("command", named_commands())
def test_a_command_that_a_page_names_starts_and_serves(command):
    folder = "asgi" if re.search(r"^uvicorn|-k (asgi|uvicorn)", command) else "wsgi"
    with serve(folder, command):
        assert urllib.request.urlopen("http://127.0.0.1:8000/").read() == HELLO


@pytest.mark.parametrize(
    "folder, command, expected",
    [
        ("wsgi", "gunicorn -w 4 slow_app:app", [1] * 4 + [2] * 4),
        ("wsgi", "gunicorn --threads 12 slow_app:app", [1] * 12),
        ("asgi", "uvicorn slow_app:app", [1] * 12),
        ("asgi", "uvicorn blocking_app:app", [1, 2]),
    ],
)
def test_many_together(folder, command, expected):
    """Steps where slots are few, none where each request has one. In whole seconds."""
    with serve(folder, command):
        assert burst(len(expected)) == expected


@pytest.mark.parametrize("launcher", ["wsgi/runfromgunicorn.py", "asgi/runfromuvicorn.py"])
def test_launcher(tmp_path, launcher):
    """From any folder it serves, reloads, survives a broken edit, and ends by Ctrl-C."""
    folder, script = launcher.split("/")
    app = tmp_path / folder / "app.py"
    shutil.copytree(ROOT / folder, tmp_path / folder)
    source = app.read_text()

    def responds(expected):
        try:
            with urllib.request.urlopen("http://127.0.0.1:8000/", timeout=1) as response:
                return response.read() == expected
        except OSError:
            return expected is None

    def edit(text):
        time.sleep(1.5)  # nobody edits faster, and gunicorn looks once a second
        app.write_text(text)

    with serve(tmp_path, [sys.executable, f"{folder}/{script}"]) as server:
        said = f"Starting {folder}/app.py at http://127.0.0.1:8000"
        assert said in server.log.read_text()
        edit(source.replace("Hello", "Howdy"))
        wait_until(lambda: responds(b"Howdy, World!\n"))
        edit("raise SystemExit(3)\n" + source)
        wait_until(lambda: responds(None))
        edit(source)
        wait_until(lambda: responds(HELLO))
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


def exchange(request):
    """Return the (status, body) of a `request` in bytes; then the server hangs up."""
    with socket.create_connection(("127.0.0.1", 8000), timeout=20) as client:
        client.sendall(request)
        response = b"".join(iter(lambda: client.recv(65536), b""))
    head, _, body = response.partition(b"\r\n\r\n")
    return int(head.split()[1]), body


HEAD = b"HTTP/1.1\r\nHost: x\r\nConnection: close\r\nUser-Agent: me\r\n"
CHUNKS = b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
REQUESTS = {
    b"GET /a%20b?x=1 " + HEAD + b"\r\n": (b"GET /a b", b"x=1", b""),
    b"POST / " + HEAD + b"Content-Length: 5\r\n\r\nabcde": (b"POST /", b"", b"abcde"),
    b"PUT /x " + HEAD + CHUNKS: (b"PUT /x", b"", b"abcde"),
}


@pytest.mark.parametrize("folder, command", EVERY)
def test_echo(folder, command):
    """Every server tells both twins the same of the same request."""
    with serve(folder, command.format("echo_app")) as server:
        for request, (line, query, body) in REQUESTS.items():
            status, response = exchange(request)
            about, _, echoed = response.partition(b"\n\n")
            expected = [line, b"query: " + query, b"user-agent: me"]
            assert status == 200 and about.split(b"\n")[:3] == expected
            assert int(about.split()[-1]) in family(server) and echoed == body


APPS = [str(path.relative_to(ROOT)) for path in ROOT.glob("[wa]sgi/*app.py")]


@pytest.mark.parametrize("path", APPS)
def test_the_commands_that_a_file_opens_with_serve_it(path):
    opening = ast.get_docstring(ast.parse((ROOT / path).read_text()))
    with contextlib.ExitStack() as servers:
        for line in opening.splitlines()[2:]:
            command, port = line.split("  ")[0], 8001 if "8001" in line else 8000
            url = f"http://127.0.0.1:{port}/{'health' if 'database' in path else ''}"
            server = servers.enter_context(serve(path[:4], command, url))
            assert server.status in (200, 426)  # 426: it wants a WebSocket


@pytest.mark.parametrize("typed", ["", "c"])
@pytest.mark.parametrize("launcher", ["wsgi/runfromgunicorn.py", "asgi/runfromuvicorn.py"])
def test_ctrl_c_stops_a_launcher_at_a_breakpoint(tmp_path, launcher, typed):
    """At the first prompt or at the second, immediately, and nothing is left of it."""
    folder = launcher[:4]
    shutil.copytree(ROOT / folder, tmp_path / folder)
    app = tmp_path / folder / "app.py"
    app.write_text(app.read_text().replace("    body =", "    breakpoint()\n    body ="))
    with (
        pexpect.spawn(sys.executable, [launcher], cwd=tmp_path, timeout=20) as terminal,
        ThreadPoolExecutor(2) as clients,
    ):
        terminal.expect("Booting worker|Application startup complete")
        with socket.socket() as probe:  # "complete" is said before anybody listens
            wait_until(lambda: not probe.connect_ex(("127.0.0.1", 8000)))
        for _ in range(2):
            clients.submit(urllib.request.urlopen, "http://127.0.0.1:8000/")
        terminal.expect_exact("(Pdb) ")
        if typed:
            terminal.sendline(typed)
            terminal.expect_exact("(Pdb) ")
        assert terminal.getecho(), "whoever is killed now leaves a mute terminal"
        terminal.sendintr()
        terminal.expect(pexpect.EOF)  # no process has this terminal any more
        assert b"Traceback" not in terminal.before
