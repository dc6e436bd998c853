"""launch.py: a server serves or a sentence says why not, and nothing of it stays."""

import contextlib
import functools
import io
import os
import re
import resource
import shutil
import signal
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import psutil
import pytest
from support import ROOT, responding, serve, wait_until

import burst
import launch

pytestmark = pytest.mark.usefixtures("ports")
HTTP = "python -m http.server 8000 --bind 127.0.0.1"


def test_an_import_changes_nothing(monkeypatch):
    code = """
import os, signal, sys
signals = signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT
def state():
    return dict(os.environ), [*sys.path], {s: signal.getsignal(s) for s in signals}
before = state()
import burst, compare, launch
assert state() == before"""
    monkeypatch.setenv("PORT", "1")
    monkeypatch.setenv("PORTAL_KEY", "x")
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


def test_a_server_obeys_its_command_line_only(monkeypatch):
    """And its programs are those of the environment, also if that is not active."""
    obeyed = {"PORT", "WEB_CONCURRENCY", "GUNICORN_CMD_ARGS", "UVICORN_PORT"}
    for name in obeyed | {"PORTAL_KEY"}:
        monkeypatch.setenv(name, "1")
    monkeypatch.setenv("PATH", "/bin")
    passed = launch.Server("gunicorn", "127.0.0.1", 8000).envvars
    assert passed["PORTAL_KEY"] == "1" and not obeyed & {*passed}
    assert passed["PATH"] == f"{os.path.dirname(sys.executable)}:/bin"


@pytest.mark.parametrize("soft, wanted, allowed", [(100, 150, 150), (100, 50, 100)])
def test_allow_files_raises_the_limit_and_never_lowers_it(soft, wanted, allowed):
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, before[1]))
    try:
        launch.allow_files(wanted)
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (allowed, before[1])
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


class Impatient(launch.Server):
    def __init__(self, *args, timeout, **how):
        super().__init__(*args, timeout=3, **how)


@pytest.fixture
def impatient(monkeypatch):
    """Let nobody wait for twenty seconds, or two for a connection."""
    connect = functools.partial(socket.create_connection, timeout=0.5)
    quick = SimpleNamespace(create_connection=lambda where, timeout: connect(where))
    monkeypatch.setattr(launch, "socket", quick)
    monkeypatch.setattr(launch, "Server", Impatient)
    monkeypatch.setattr(burst, "LONGEST_CONNECT", 1)
    monkeypatch.setattr(
        launch, "ask", lambda url, headers, timeout: burst.ask(url, headers, 1)
    )


def refusal(command, folder=ROOT):
    """Return with which words launch.py refuses the server."""
    with pytest.raises(SystemExit) as end, launch.running(folder, command):
        pass
    return end.value.code


LISTEN = "import socket, sys; s = socket.create_server(('127.0.0.1', 8000))\n"
READ = "while not (c := s.accept()[0]).recv(9999): pass\n"  # who only looks says nothing


@pytest.mark.parametrize(
    "code, message",
    [
        (f"{LISTEN}{READ}c.recv(1)", "8000/ is no good: no response within 1 s."),
        (f"{LISTEN}{READ}c.close(); s.accept()", "is no good: Remote end closed"),
        (f"{LISTEN}{READ}sys.exit(1)", "is no good: Remote end closed"),
        ("import sys; sys.exit(3)", "It has exited by itself, with code 3."),
        ("print('Bye')", "listens on port 8000 after 20 seconds. It said:\n    Bye"),
    ],
)
def test_a_server_that_does_not_serve_is_refused(impatient, tmp_path, code, message):
    (tmp_path / "server.py").write_text(code)
    assert message in refusal("python server.py", tmp_path)


@pytest.mark.parametrize(
    "command, text, message",
    [
        ("gunicorn main:app", "def (", r'main.py", line 1\n(.*\n)+ +SyntaxError'),
        ("gunicorn main:app", "import tiem", "No module named 'tiem'"),
        ("gunicorn main:app", "", "Failed to find attribute 'app' in 'main'"),
        ("uvicorn main:app", "def (", "It has exited by itself, with code 1."),
        ("uvicorn main:app", "app = lambda: 0", "is no good: 500."),
        ("nosuch main:app", "", "Nothing was started: No such file or directory: nosuch"),
    ],
)
def test_a_flaw_is_told_in_the_servers_words(tmp_path, command, text, message):
    (tmp_path / "main.py").write_text(text)
    said = refusal(command, tmp_path)
    assert re.search(message, said) and "launch.py" not in said, said


def test_only_a_servers_last_words_are_told():
    """Up to two lines after the first error, and without colours."""
    log = b"\x1b[31mhello\x1b[0m\n" * 100_000
    assert launch.said(io.BytesIO(log)) == "\n    ".join([" It said:", *["hello"] * 8])
    log += b"  File x\nSyntaxError: y\nFailed\nthe cure\nmore\n"
    assert launch.said(io.BytesIO(log)).endswith(
        "    hello\n      File x\n    SyntaxError: y\n    Failed\n    the cure"
    )
    assert launch.said(io.BytesIO()) == ""


def test_a_stranger_on_the_port_is_not_taken_for_the_server():
    """He comes after launch.py has looked; its own server listens somewhere else."""

    def listen():
        wait_until(launch.started)
        with responding(b"HTTP/1.1 200 OK\r\n\r\n"):
            wait_until(lambda: not launch.started())

    with ThreadPoolExecutor() as pool:
        stranger = pool.submit(listen)
        said = refusal("python -m http.server 9000 --bind 127.0.0.1")
        stranger.result()
    who = f"another program listens on port 8000: process {os.getpid()}"
    assert f"Not this, but {who}" in said


@pytest.mark.parametrize("paused", [False, True])
def test_a_taken_port_names_its_process_and_what_stops_it(paused):
    with serve(".", HTTP) as server:
        pid = server.process.pid
        if paused:
            os.kill(pid, signal.SIGSTOP)
        said = refusal("gunicorn main:app")
        assert f"port 8000 is taken by process {pid}:\n    python -m http.server" in said
        assert f"ype: kill {'-KILL ' if paused else ''}{pid}" in said
        assert server.process.poll() is None


def test_a_full_queue_is_a_taken_port(impatient):
    with (
        contextlib.ExitStack() as clients,
        socket.create_server(("127.0.0.1", 8000), backlog=1),
    ):
        for _ in range(4):  # more than the queue holds
            client = clients.enter_context(socket.socket())
            client.setblocking(False)
            client.connect_ex(("127.0.0.1", 8000))
        said = refusal("gunicorn main:app")
        assert f"port 8000 is taken by process {os.getpid()}" in said
        assert burst.ask(launch.HERE) == "no response within 1 s"


def test_a_server_that_stops_by_itself_is_no_success():
    with (
        pytest.raises(SystemExit, match=r"^It has stopped by itself."),
        launch.running(ROOT, HTTP) as server,
    ):
        server.process.kill()
        server.process.wait()


PROGRAM = """
import os, sys, time, launch
setsid, out = os.setsid, os.dup(1)
os.setsid = lambda: (os.write(out, b"started\\n"), time.sleep(float(sys.argv[1])), setsid())
launch.leave_nothing()
with launch.running("wsgi", sys.argv[2]):
    print("serves", flush=True)
    time.sleep(20)"""


@pytest.mark.parametrize(
    "kind, window, command",
    [
        ("SIGINT", 0.5, "gunicorn -w 4 slow_app:app"),  # between fork and setsid
        ("SIGTERM", 0, "gunicorn -w 4 slow_app:app"),  # while it starts
        ("SIGQUIT", None, "gunicorn -w 4 app:app"),  # while it serves
        ("SIGHUP", None, "gunicorn --daemon app:app"),
        ("SIGINT", None, "setsid gunicorn app:app"),
    ],
)
def test_a_signal_leaves_nothing_behind(kind, window, command):
    """The fixture `nothing_is_left` looks."""
    if not shutil.which(command.split()[0]):
        pytest.skip(f"this system has no {command.split()[0]}")
    program = [sys.executable, "-c", PROGRAM, str(window or 0), command]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(program, cwd=ROOT, **pipes) as process:
        assert process.stdout.readline() == "started\n"
        if window is None:
            assert process.stdout.readline() == "serves\n"
        process.send_signal(getattr(signal, kind))
        assert process.communicate(timeout=20) == ("", "")
    assert process.returncode == 128 + getattr(signal, kind)


def test_an_exit_kills_nobody_elses_server():
    """One in whose mark are the digits of the process id that exits."""
    code = """
import os, subprocess, launch
mark = {launch.ENV_UUID: f"1:{os.getpid()}"}
how = {"env": os.environ | mark, "stdout": subprocess.DEVNULL}
print(subprocess.Popen(["sleep", "20"], **how).pid)"""
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, stdout=-1)
    process = psutil.Process(int(run.stdout))
    assert process.status() != psutil.STATUS_ZOMBIE
    process.kill()


def test_a_daemon_is_stopped_like_any_server():
    """The fixture `nothing_is_left` looks."""
    with launch.running(ROOT / "wsgi", "gunicorn --daemon app:app") as server:
        assert not server.running()
