"""compare.py as a student runs it: short runs, each of its troubles, and Ctrl-C."""

import contextlib
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import threading
import uuid
from unittest import mock
from urllib.parse import urlsplit

import pexpect
import psutil
import pytest
from support import ROOT, URL, serve, wait_until

import server
from burst import ask

with mock.patch.dict(os.environ, LOCUST_SKIP_MONKEY_PATCH="1"):
    import compare

HOSTILE = {
    "PORT": "9",
    "WEB_CONCURRENCY": "nonsense",
    "GUNICORN_CMD_ARGS": "--bind nonsense --nonsense",
    "UVICORN_PORT": "nonsense",
    "LOCUST_HEADLESS": "true",
    "LOCUST_USERS": "nonsense",
    "http_proxy": "http://127.0.0.1:9",
}
SYNC = "gunicorn -w 4 slow"  # a word that only the first row has
ROW = re.compile(
    r"^(.*)\$ (.*)\n(█*) +([\d.]+) +([\d.]+|-) +(\d+|-) +(\d+|-) +(\d+)$", re.MULTILINE
)


def run(*arguments, folder=ROOT, python=sys.executable):
    """Run compare.py to its end in `folder`."""
    command = [python, "compare.py", *arguments]
    how = {"env": os.environ | HOSTILE, "capture_output": True, "text": True}
    return subprocess.run(command, cwd=folder, check=False, **how)


@pytest.fixture
def copy(tmp_path):
    """Return a copy of the lesson, in a folder as people name them."""
    folder = tmp_path / "my léssons"
    shutil.copytree(ROOT, folder, ignore=shutil.ignore_patterns(".*"))
    return folder


@pytest.fixture(autouse=True)
def nothing_is_left(monkeypatch):
    """Assert that all processes which a test has started end with it; a variable marks them."""
    mark = str(uuid.uuid4())
    monkeypatch.setenv("STARTED_BY", mark)
    yield

    def left():
        found = set()
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                if process.environ().get("STARTED_BY") == mark:
                    found.add(process)
        return found

    wait_until(lambda: not left(), seconds=3)


def test_a_short_run_in_a_hostile_environment(copy):
    options = "--users", "8", "--seconds", "2"
    result = run(SYNC, "gevent", *options, folder=copy)
    assert result.returncode == 0, result.stderr
    assert "8 users, 2 s counted per row" in result.stdout
    assert not re.search(r"[\r\033]", result.stdout) and not result.stderr
    rows = ROW.findall(result.stdout)
    assert [row[1].replace(" slow_app:app", "") for row in rows] == [
        "gunicorn -w 4",
        "gunicorn -k gevent",
    ]
    for row, ceiling, median in zip(rows, (4, 8), (2, 1), strict=True):
        _, _, bar, rate, predicted, middle, tail, failed = row
        assert float(predicted) == ceiling and round(float(rate)) == ceiling
        assert round(int(middle) / 1000) == round(int(tail) / 1000) == median
        assert len(bar) == 20 * ceiling / 8 and failed == "0"


def test_variables_of_the_readers_own_are_left_alone():
    obeyed = ["PORT", "WEB_CONCURRENCY", "GUNICORN_CMD_ARGS", "UVICORN_PORT"]
    assert all(re.fullmatch(server.OBEYED, name) for name in obeyed)
    assert not re.fullmatch(server.OBEYED, "PORTAL_KEY")


@pytest.mark.parametrize("soft, wanted, allowed", [(100, 150, 150), (100, 50, 100)])
def test_allow_files_raises_the_limit_and_never_lowers_it(soft, wanted, allowed):
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, before[1]))
    try:
        compare.allow_files(wanted)
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (allowed, before[1])
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


SHOP = """
import time

def app(environ, start_response):
    good = environ["PATH_INFO"] == "/orders" and environ["QUERY_STRING"] == "x=1"
    time.sleep(0.5)
    start_response("200 OK" if good else "503 Service Unavailable", [])
    return [b""]
"""


@pytest.fixture
def shop(tmp_path):
    """Return the folder of somebody's own application: it has /orders?x=1 and no /."""
    (tmp_path / "my shop").mkdir()
    (tmp_path / "my shop" / "main.py").write_text(SHOP)
    return f"{tmp_path}/my shop"


def test_a_row_of_ones_own(shop):
    command = f"{shop}$ gunicorn --threads 4 --bind 127.0.0.1:9000 main:app"
    where = "--path", "http://127.0.0.1:9000/orders?x=1"
    options = "--slots", "4", "--takes", "0.5", "--users", "8", "--seconds", "3"
    result = run(command, *where, *options)
    assert result.returncode == 0, result.stderr
    (row,) = ROW.findall(result.stdout)
    assert f"{row[0]}$ {row[1]}" == command
    assert round(float(row[3])) == float(row[4]) == 8
    assert round(int(row[5]) / 1000) == 1


def test_a_path_that_fails_is_said_before_anything_is_counted(shop):
    result = run(f"{shop}$ gunicorn main:app", "--path", "/nosuch")
    assert result.returncode == 1
    assert "http://127.0.0.1:8000/nosuch responds with status 503" in result.stderr


def test_ceilings():
    """Little's law, at 40 users and at 1,000, where the threads are more than the users."""
    ceilings = [[row.ceiling(n) for row in compare.waiting_rows(n)] for n in (40, 1000)]
    assert ceilings == [[4, 40, 40, 40, 40, 40, 1], [4, *[1000] * 5, 1]]
    assert "-w 4 --threads 400 " in str(compare.waiting_rows(1000)[2])
    assert {row.ceiling(99) for row in compare.COMPUTING_ROWS} == {compare.CORES / 0.1}
    assert compare.Row("shop", "uvicorn main:app").ceiling(40) is None


GOOD = compare.Result(rate=4, times=[1, 1], errors=[], unserved=0, busy=0.5, late=0)


@pytest.mark.parametrize(
    "change, expected",
    [
        ({}, []),
        ({"rate": 3.75}, []),  # one request of twenty is on the other side of the end
        ({"rate": 3.5}, ["Below its ceiling"]),
        ({"rate": 4.5}, ["Above its ceiling"]),
        ({"rate": 2, "busy": 0.95}, ["Locust used up a core"]),
        ({"unserved": 30}, ["No times: 30 users had no response yet"]),
        ({"rate": 0}, ["Nobody got a response"]),
        ({"late": 8}, ["Held up for 8 s"]),
        (
            {"rate": 0, "errors": [mock.Mock(occurrences=3, error="x")]},
            ["FAILED 3 times: x"],
        ),
    ],
)
def test_what_a_row_says_of_itself(change, expected):
    said = [*compare.remarks(GOOD._replace(**change), 4, 5)]
    assert len(said) == len(expected)
    assert all(line.startswith(start) for line, start in zip(said, expected, strict=True))


def test_a_forgotten_load_shows_in_the_row():
    """Four strangers ask for as long as somebody listens."""
    ended = threading.Event()

    def stranger():
        while not ended.wait(0.05):
            ask(urlsplit(URL), {}, timeout=20)

    strangers = [threading.Thread(target=stranger) for _ in range(4)]
    for thread in strangers:
        thread.start()
    result = run(SYNC, "--users", "4", "--seconds", "3")
    ended.set()
    for thread in strangers:
        thread.join()
    assert "Below its ceiling" in result.stdout and result.returncode == 0


def test_a_taken_port_names_its_process():
    with serve("wsgi", "gunicorn app:app"):
        result = run()
    assert result.returncode == 1 and "port 8000 is taken by process" in result.stderr
    assert re.search(r"gunicorn app:app\n.*kill \d+", result.stderr)


@pytest.mark.parametrize(
    "text, message",
    [
        ("def (", r'slow_app.py", line \d+\n[^$]*SyntaxError'),
        ("import tiem", "No module named 'tiem'"),
        ("app = lambda scope, receive, send: 0", "responds with status 500"),
        ("del app", "Failed to find attribute 'app' in 'slow_app'"),
    ],
)
def test_a_server_in_trouble(copy, text, message):
    with (copy / "wsgi" / "slow_app.py").open("a") as app:
        app.write(f"\n{text}\n")
    result = run(SYNC, folder=copy)
    assert result.returncode == 1
    assert re.search(message, result.stderr) and 'compare.py"' not in result.stderr


def test_failed_requests_are_marked(copy):
    """The application serves the first request, compare.py's own, and no other one."""
    flaw = "\n    if 'HTTP_USER_AGENT' in environ:\n        raise ValueError\n"
    app = copy / "wsgi" / "slow_app.py"
    app.write_text(app.read_text().replace("    time.sleep", flaw + "    time.sleep"))
    result = run(SYNC, "--users", "4", "--seconds", "1", folder=copy)
    assert result.returncode == 1
    assert re.search(r" 0\.0 +4\.0 .*\n +FAILED \d+ times: .*500", result.stdout)


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--users", "0"], "1 to 1500 users"),
        (["--users", "9999"], "1 to 1500 users"),
        (["--seconds", "x"], "invalid int value: 'x'"),
        (["wsgi$ gunicorn app:app", "--slots", "0"], "must be greater than 0"),
        (["wsgi$ gunicorn 'app:app"], "No closing quotation"),
        (["40"], "--users 40"),
        (["nosuch"], "    wsgi$ gunicorn -k gevent slow_app:app\n"),
        (["nosuch$ uvicorn app:app"], "No such file or directory: nosuch"),
        (["wsgi$ nosuch app:app"], "No such file or directory: nosuch"),
        (["wsgi", "--path", "http://192.0.2.1/"], "is not on this machine"),
    ],
)
def test_what_cannot_be_measured(arguments, message, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["compare.py", *arguments])
    monkeypatch.setattr(compare, "leave_nothing", lambda: None)  # not these tests
    with pytest.raises(SystemExit) as end:
        compare.main()
    assert message in capsys.readouterr().err + str(end.value) and end.value.code


def test_without_the_environment(tmp_path):
    bare = [sys.executable, "-m", "venv", "--without-pip", tmp_path / "bare"]
    subprocess.run(bare, check=True)
    nothing = run(python=str(tmp_path / "bare" / "bin" / "python"))
    assert nothing.returncode == 1 and "Traceback" not in nothing.stderr
    assert ". .venv/bin/activate" in nothing.stderr


@pytest.mark.parametrize("kind", ["SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT"])
def test_a_signal_leaves_nothing_behind(kind):
    """Amid the start of a server; `nothing_is_left` looks."""
    number = getattr(signal, kind)
    pipe = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    command = [sys.executable, "compare.py", SYNC]
    with subprocess.Popen(command, cwd=ROOT, **pipe) as process:
        for line in process.stdout:
            if "$ gunicorn" in line:
                break
        process.send_signal(number)
        stderr = process.communicate(timeout=20)[1]
    assert process.returncode == 128 + number and not stderr


def test_progress_on_a_terminal():
    """A bar and the seconds that are left, never more than a line; then Ctrl-C."""
    size = {"dimensions": (24, 60), "encoding": "utf-8", "timeout": 20}
    with pexpect.spawn(sys.executable, ["compare.py"], cwd=ROOT, **size) as terminal:
        terminal.expect_exact("wsgi$ gunicorn -w 4 slow_app:app")
        terminal.expect(r"\r(#+\.+ row 1 of 7, about 1\d s) ")
        assert len(terminal.match[1]) < 60
        terminal.sendintr()
        terminal.expect(pexpect.EOF)
        terminal.wait()
    assert terminal.exitstatus == 130


def make(folder, *arguments):
    """Run make in `folder`; return what it prints, and whether it was content."""
    command = ["make", *arguments]
    made = subprocess.run(command, cwd=folder, capture_output=True, check=False, text=True)
    return made.stdout, made.returncode == 0


def test_make_sets_up_what_is_missing_or_old(copy):
    """Without installing anything: `make -n` prints what it would do."""
    assert "pip install" in make(copy, "-n", "compare")[0]
    (copy / ".venv").mkdir()
    for name in ("for-compare", "for-test"):
        (copy / ".venv" / name).touch()
    assert "pip install" not in make(copy, "-n", "compare", "test")[0]
    os.utime(copy / "requirements.txt", (2e9, 2e9))
    assert "pip install" in make(copy, "-n", "compare")[0]


def test_make_says_that_python_is_too_old(copy):
    old = copy / "py thon"
    old.write_text("#!/bin/sh\nexit 1\n")  # what the check of its version comes to
    old.chmod(0o755)
    said, content = make(copy, "compare", f"PYTHON={old}")
    assert not content and not (copy / ".venv").exists()
    assert "needs Python 3.11 or newer" in said
