"""compare.py as a student runs it: a short run, each of its troubles, and Ctrl-C."""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import uuid

import pexpect
import psutil
import pytest
from support import ROOT, serve, wait_until

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
COMPARE = [sys.executable, "compare.py"]


def run(*arguments, folder=ROOT, shell="", python=sys.executable):
    """Run compare.py to its end in `folder`, after the `shell` command, if any."""
    command = f'{shell} exec "$@"'
    return subprocess.run(
        ["bash", "-c", command, "bash", python, "compare.py", *arguments],
        cwd=folder,
        env=os.environ | HOSTILE,
        capture_output=True,
        check=False,
        text=True,
    )


def ask(code):
    """Return what `code` prints that uses compare; importing it here would patch the tests."""
    command = [sys.executable, "-c", f"import compare; {code}"]
    return subprocess.run(
        command, cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout


@pytest.fixture
def copy(tmp_path):
    """Return a copy of the lesson, with a gunicorn.conf.py that must not be read."""
    shutil.copytree(ROOT, tmp_path / "copy", ignore=shutil.ignore_patterns(".*"))
    for folder in ("wsgi", "asgi"):
        (tmp_path / "copy" / folder / "gunicorn.conf.py").write_text("nonsense(")
    return tmp_path / "copy"


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
    """Also where a process may open a few files only, as long as it may raise that."""
    options = "--users", "8", "--seconds", "2"
    result = run("wsgi", *options, folder=copy, shell="ulimit -Sn 24;")
    assert result.returncode == 0, result.stderr
    assert "8 users, 2 s counted per row" in result.stdout
    assert not re.search(r"[\r\033]", result.stdout) and not result.stderr
    rows = re.findall(r"^(\w+)\$ (.*)\n(█+) +(.*)$", result.stdout, re.MULTILINE)
    assert [row[1] for row in rows] == [
        "gunicorn -w 4 slow_app:app",
        "gunicorn --threads 40 slow_app:app",
    ]
    for (_, _, _, figures), ceiling, median in zip(rows, (4, 8), (2, 1), strict=True):
        rate, predicted, middle, tail, failed = map(float, figures.split())
        assert predicted == ceiling and round(rate) == ceiling and failed == 0
        assert round(middle / 1000) == round(tail / 1000) == median
    assert len(rows[0][2]) * 2 == len(rows[1][2])


def test_arithmetic():
    """Little's law, at 40 users and at 1,000, where the threads are more than the users."""
    code = (
        "print([[row.ceiling(n) for row in compare.waiting_rows(n)] for n in (40, 1000)])"
    )
    expected = [[4, 40, 40, 40, 40, 1], [4, 1000, 1000, 1000, 1000, 1]]
    assert eval(ask(code)) == expected
    assert "-w 4 --threads 400 " in ask("print(compare.waiting_rows(1000)[2])")
    code = "print(*(row.ceiling(99) / compare.CORES for row in compare.COMPUTING_ROWS))"
    assert ask(code).split() == ["10.0"] * 4
    code = "print(sum(row.warm_up(40) + 5 for row in compare.waiting_rows(40)))"
    assert float(ask(code)) < 70  # of the 80 seconds that the table may take


TOTAL = """
class Total:
    num_failures = 0
    def get_response_time_percentile(self, percent):
        return 1000
row = compare.Row('asgi', 'uvicorn app:app', 1)
compare.show(row, 40, compare.Result(1.0, UNSERVED, BUSY, Total(), []), 1)"""


@pytest.mark.parametrize(
    "unserved, busy, expected",
    [
        ("0", "0.5", r" +1\.0 +1\.0 +1000 +1000 +0\n"),
        ("30", "0.5", r" +1\.0 +1\.0 +- +- +0\n.* 30 of 40 users .*\n"),
        ("0", "0.95", r" .*\n +Locust used up a core.*\n.*locust --processes 2.*\n"),
    ],
)
def test_what_a_row_says_of_itself(unserved, busy, expected):
    """Of users whom nobody served yet, and of a Locust that is busier than its server."""
    printed = ask(TOTAL.replace("UNSERVED", unserved).replace("BUSY", busy))
    assert re.fullmatch(f"█+{expected}", printed)


def test_a_taken_port_names_its_process():
    with serve("wsgi", "gunicorn app:app"):
        result = run()
    assert result.returncode == 1 and not result.stdout
    assert re.search(r"taken by process \d+:\n.*gunicorn app:app\n", result.stderr)
    assert re.search(r"kill \d+", result.stderr)


def test_a_forgotten_load_is_noticed(tmp_path):
    """Somebody asks at port 8000, where nobody listens yet, four times a second."""
    code = """
import socket, time
while True:
    socket.socket().connect_ex(("127.0.0.1", 8000))
    time.sleep(0.25)"""
    knocks = subprocess.Popen([sys.executable, "-c", code])
    try:
        result = run()
    finally:
        knocks.kill()
        knocks.wait()
    assert result.returncode == 1 and not result.stdout
    assert "under another load" in result.stderr


@pytest.mark.parametrize(
    "file, text, message",
    [
        ("wsgi/slow_app.py", "def (", r'slow_app.py", line \d+\n[^$]*SyntaxError'),
        ("wsgi/slow_app.py", "import tiem", "No module named 'tiem'"),
        ("wsgi/slow_app.py", "app = lambda scope, receive, send: 0", "status 500"),
        ("wsgi/slow_app.py", "del app", "ended by itself"),
    ],
)
def test_a_server_in_trouble(copy, file, text, message):
    with (copy / file).open("a") as app:
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
    "arguments", [["--users", "0"], ["--users", "9999"], ["--seconds", "x"], ["nosuch"]]
)
def test_bad_arguments(arguments):
    result = run(*arguments)
    assert result.returncode == 2 and not result.stdout
    assert "usage:" in result.stderr and "Traceback" not in result.stderr
    if arguments == ["nosuch"]:
        assert len(re.findall(r"^    \w+\$ .*app:app", result.stderr, re.MULTILINE)) == 10


def test_missing_things(copy, tmp_path):
    shutil.rmtree(copy / "wsgi")
    assert "git restore wsgi" in run(SYNC, folder=copy).stderr
    few = run("--users", "400", shell="ulimit -n 300;")
    assert few.returncode == 1 and "--users 100" in few.stderr
    bare = [sys.executable, "-m", "venv", "--without-pip", tmp_path / "bare"]
    subprocess.run(bare, check=True)
    nothing = run(python=str(tmp_path / "bare" / "bin" / "python"))
    assert nothing.returncode == 1 and "Traceback" not in nothing.stderr
    assert "pip install -r requirements.txt" in nothing.stderr


@pytest.mark.parametrize("kind", ["SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT"])
def test_a_signal_leaves_nothing_behind(kind):
    """Amid the start of a server; `nothing_is_left` looks."""
    number = getattr(signal, kind)
    pipe = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen([*COMPARE, SYNC], cwd=ROOT, **pipe) as process:
        for line in process.stdout:
            if "$ gunicorn" in line:
                break
        process.send_signal(number)
        stderr = process.communicate(timeout=20)[1]
    assert process.returncode == 128 + number and "Traceback" not in stderr


def test_nobody_reads_on():
    run = subprocess.run(
        [f"{sys.executable} compare.py '{SYNC}' --users 1 --seconds 1 | head -1"],
        cwd=ROOT,
        shell=True,
        capture_output=True,
        check=True,
        text=True,
    )
    assert run.stdout.count("\n") == 1 and not run.stderr


def test_progress_on_a_terminal():
    """A bar and the seconds that are left, never more than a line; then Ctrl-C."""
    size = {"dimensions": (24, 60), "encoding": "utf-8", "timeout": 20}
    with pexpect.spawn(sys.executable, ["compare.py"], cwd=ROOT, **size) as terminal:
        terminal.expect_exact("wsgi$ gunicorn -w 4 slow_app:app")
        terminal.expect(r"\x1b\[K(#+\.+ row 1 of 6: filling the queue.*?)\r")
        assert len(terminal.match[1]) < 60
        terminal.sendintr()
        terminal.expect(pexpect.EOF)
        terminal.wait()
    assert terminal.exitstatus == 130


def make(folder, *arguments):
    command = ["make", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, check=False, text=True)


def test_make_sets_up_what_is_missing_old_or_dead(copy):
    """Without installing anything: `make -n` prints what it would do."""
    assert "pip install" in make(copy, "-n", "compare").stdout
    programs = copy / ".venv" / "bin"
    programs.mkdir(parents=True)
    (programs / "gunicorn").write_text("#!/bin/sh\necho gunicorn\n")
    (programs / "gunicorn").chmod(0o755)
    for name in ("for-compare", "for-test"):
        (copy / ".venv" / name).touch()
    assert "pip install" not in make(copy, "-n", "compare", "test").stdout
    (programs / "gunicorn").write_text("#!/no/such/python\n")
    dead = make(copy, "-n", "compare").stdout
    assert "venv --clear" in dead and "pip install" in dead
    (programs / "gunicorn").write_text("#!/bin/sh\necho gunicorn\n")
    os.utime(copy / "requirements.txt", (2e9, 2e9))
    old = make(copy, "-n", "compare").stdout
    assert "--clear" not in old and "pip install" in old


def test_make_says_that_python_is_too_old(copy):
    old = copy / "py thon"
    old.write_text("#!/bin/sh\nexit 1\n")  # what the check of its version comes to
    old.chmod(0o755)
    result = make(copy, "compare", f"PYTHON={old}")
    assert result.returncode != 0 and not (copy / ".venv").exists()
    assert "needs Python 3.11 or newer" in result.stdout
