"""compare.py as a student runs it: a short run, each of its troubles, and Ctrl-C."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time

import pexpect
import pytest
from conftest import ROOT

import compare
from compare import is_free

NONSENSE = {
    "PORT": "9",
    "WEB_CONCURRENCY": "nonsense",
    "GUNICORN_CMD_ARGS": "--bind nonsense --nonsense",
    "UVICORN_PORT": "nonsense",
    "LOCUST_HEADLESS": "true",
    "LOCUST_USERS": "nonsense",
    "http_proxy": "http://127.0.0.1:9",
}
SYNC = "gunicorn -w 4 slow"  # a word that only the first row has


def run(*arguments, folder=ROOT, python=sys.executable, env=NONSENSE):
    """Run compare.py to its end in `folder`; return the completed process."""
    return subprocess.run(
        [python, "compare.py", *arguments],
        cwd=folder,
        env=os.environ | env,
        capture_output=True,
        check=False,
        text=True,
        timeout=100,
    )


@pytest.fixture
def copy(tmp_path, no_more_processes):
    """Return copy((old, new), ...): copy the lesson, with these changes to compare.py."""

    def copy(*changes):
        folder = tmp_path / "copy"
        shutil.copytree(ROOT, folder, ignore=shutil.ignore_patterns(".*"))
        script = folder / "compare.py"
        for old, new in changes:
            assert old in script.read_text()
            script.write_text(script.read_text().replace(old, new))
        return folder

    return copy


def in_this_network(pid):
    """Return whether the process `pid` is not one of another test worker's."""
    namespaces = f"/proc/{pid}/ns/net", "/proc/self/ns/net"
    try:
        return os.path.samefile(*namespaces)
    except FileNotFoundError:  # it has just ended; or a system without /proc
        return not os.path.exists(namespaces[1])


def processes():
    """Return {id: command line} of all gunicorn, uvicorn and Locust processes."""
    listed = subprocess.run(
        ["ps", "-wweo", "pid=,args="], check=True, capture_output=True
    )
    lines = listed.stdout.decode(errors="replace").splitlines()
    pairs = [line.split(maxsplit=1) for line in lines if len(line.split()) > 1]
    named = {p: x for p, x in pairs if re.search(r"/(gunicorn|uvicorn|locust) ", x)}
    return {pid: x for pid, x in named.items() if in_this_network(pid)}


@pytest.fixture
def no_more_processes(free_ports):
    """Assert that there are no more servers after a test than before."""
    before = processes()
    yield
    left = {pid: x for pid, x in processes().items() if pid not in before}
    assert not left and is_free(8000)


def test_short_run_in_a_hostile_environment(tmp_path, no_more_processes):
    (tmp_path / ".locust.conf").write_text("users = nonsense\nheadless = true\n")
    result = run(
        *("wsgi", "--users", "8", "--seconds", "4"),
        env=NONSENSE | {"HOME": str(tmp_path)},
    )
    assert result.returncode == 0, result.stderr
    assert "\r" not in result.stdout
    assert "8 users, 4 s counted" in result.stdout
    rows = re.findall(r"^(\w+)\$ (.*)\n(█+) +(.*)$", result.stdout, re.MULTILINE)
    assert [row[0] for row in rows] == ["wsgi", "wsgi"]
    for row, ceiling, median in zip(rows, (4, 8), (2000, 1000), strict=True):
        figures = re.fullmatch(
            r"([\d.]+) +([\d.]+) +(\d\.\d\d) +(\d+) +(\d+) +0", row[3]
        )
        rate, predicted, share, middle, tail = map(float, figures.groups())
        assert predicted == ceiling
        assert share == pytest.approx(1, abs=0.1)
        assert rate == pytest.approx(ceiling * share, abs=0.1)
        assert middle == pytest.approx(median, rel=0.15) and tail >= middle * 0.95
    assert len(rows[0][2]) < len(rows[1][2])


def test_port_taken(no_more_processes):
    with socket.create_server(("0.0.0.0", 8000)):
        result = run()
    assert result.returncode == 1
    assert "port 8000 is taken" in result.stderr and "lsof" in result.stderr


@pytest.mark.parametrize(
    "old, new, said",
    [
        ("-w 4 slow_app:app", "-w 4 nosuch:app", "No module named 'nosuch'"),
        ("gunicorn -w 4", "gunicorn -k asgi -w 4", "status 500"),
        ("gunicorn -w 4", "nosuch -w 4", "nosuch was not found"),
        ("START_LIMIT = 20", "START_LIMIT = 0", "no answer in 0 seconds"),
    ],
)
def test_server_in_trouble(copy, old, new, said):
    result = run("--seconds", "1", folder=copy((old, new)))
    assert result.returncode == 1
    assert said in result.stderr and "compare.py" not in result.stderr


def test_failed_requests_are_marked(copy):
    """The application answers the first request well, and no other one."""
    folder = copy()
    app = folder / "wsgi" / "slow_app.py"
    flaw = (
        "    if environ['HTTP_USER_AGENT'][:6] != 'Python':\n        raise ValueError\n"
    )
    app.write_text(app.read_text().replace("    time.sleep", flaw + "    time.sleep"))
    result = run(SYNC, "--users", "4", "--seconds", "1", folder=folder)
    assert result.returncode == 1
    assert re.search(r" 0\.0 +4\.0 +0\.00 .*\n +FAILED \d+ times: .*500", result.stdout)


def test_a_queue_that_still_grows_has_no_median(copy):
    """Sixteen users fill four slots in four seconds; it may wait for one only."""
    folder = copy(("QUEUE_LIMIT = 20", "QUEUE_LIMIT = 1"))
    result = run(SYNC, "--users", "16", "--seconds", "3", folder=folder)
    assert re.search(r" [34]\.\d +4\.0 +\d\.\d\d +growing +growing +0\n", result.stdout)


@pytest.mark.parametrize(
    "arguments", [["--users", "0"], ["--users", "9999"], ["--seconds", "many"]]
)
def test_bad_arguments(arguments):
    result = run(*arguments)
    assert result.returncode == 2
    assert "usage:" in result.stderr and "Traceback" not in result.stderr


def test_no_row_has_the_word():
    result = run("nosuch")
    assert result.returncode == 2 and not result.stdout
    assert "no row has 'nosuch' in it" in result.stderr
    rows = re.findall(r"^    (\w+)\$ (.+)$", result.stderr, re.MULTILINE)
    assert rows == [row[:2] for row in compare.WAITING + compare.COMPUTING]


def test_rows_with_a_word():
    def count(word):
        return len(compare.with_word(compare.WAITING, word))

    assert (count("wsgi"), count("blocking"), count("")) == (2, 1, 6)
    assert count("cpu") == 0 and len(compare.with_word(compare.COMPUTING, "cpu")) == 4


def test_ceilings_and_the_time_that_all_rows_take():
    ceilings = [compare.ceiling_of(row, 40) for row in compare.WAITING]
    assert ceilings == [4, 40, 40, 40, 40, 1]
    assert [compare.ceiling_of(row, 1000) for row in compare.WAITING[:3]] == [
        4,
        1000,
        40,
    ]
    cores = os.cpu_count()
    assert {compare.ceiling_of(row, 5000) for row in compare.COMPUTING} == {cores * 10}
    times = [compare.filling(row, 40) + 5 + compare.START for row in compare.WAITING]
    assert sum(times) < 120


@pytest.mark.parametrize("threads, least, most", [(10, 10, 40.5), (25, 38, 40.5)])
def test_threads_in_four_processes(no_more_processes, threads, least, most):
    """Forty slots, but connections are dealt out unevenly; a hundred are enough."""
    command = f"gunicorn -w 4 --threads {threads} slow_app:app"
    _, rate, _ = compare.measure(("wsgi", command, 4 * threads), 40, 4)
    assert least <= rate <= most


def test_nothing_installed(tmp_path):
    """A Python without the requirements is told the command that brings them."""
    subprocess.run(
        [sys.executable, "-m", "venv", "--without-pip", tmp_path], check=True
    )
    result = run(python=str(tmp_path / "bin" / "python"))
    assert result.returncode == 1
    assert "pip install -r requirements.txt" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(
    "kind, begun",
    [
        (signal.SIGINT, "compare.py"),
        (signal.SIGTERM, "gunicorn -w 4 slow_app"),
        (signal.SIGHUP, "--web-port"),
    ],
)
def test_a_signal_leaves_nothing_behind(no_more_processes, kind, begun):
    """Whether it has just been started itself, or a server, or Locust too."""
    command = [sys.executable, "-u", "compare.py"]
    pipe = subprocess.PIPE
    process = subprocess.Popen(command, cwd=ROOT, stdout=pipe, stderr=pipe, text=True)
    assert "40 users" in process.stdout.readline()
    until = time.monotonic() + 20
    while begun != "compare.py" and not any(begun in x for x in processes().values()):
        assert time.monotonic() < until, f"{begun} was not started"
    process.send_signal(kind)
    said = process.communicate(timeout=20)[1]
    assert process.returncode == 128 + kind and "Traceback" not in said


def test_progress_on_a_terminal(no_more_processes):
    """A terminal shows the command and a moving bar; Ctrl-C there ends it."""
    command = f"{sys.executable} compare.py"
    with pexpect.spawn(command, cwd=ROOT, encoding="utf-8", timeout=20) as terminal:
        terminal.expect_exact("wsgi$ gunicorn -w 4 slow_app:app")
        terminal.expect(
            r"#+\.+ row 1 of 6: filling the queue, about (\d+) s to the end"
        )
        assert 60 < int(terminal.match[1]) < 120
        assert [x for x in processes().values() if "--web-port" in x]
        terminal.sendintr()
        terminal.expect("Stopped. Every process it had started is gone.")
        terminal.expect(pexpect.EOF)
        terminal.wait()
    assert terminal.exitstatus == 130


def make(*arguments, folder):
    """Run make in `folder`; return the completed process, its output as text."""
    env = {k: v for k, v in os.environ.items() if not k.startswith("MAKE")}
    command = ["make", *arguments]
    return subprocess.run(
        command, cwd=folder, env=env, capture_output=True, check=False, text=True
    )


def test_make_says_that_python_is_too_old(tmp_path):
    shutil.copy(ROOT / "Makefile", tmp_path)
    shutil.copy(ROOT / "requirements.txt", tmp_path)
    old = tmp_path / "python3.9"
    old.write_text("#!/bin/sh\nexit 1\n")  # what the version check in it comes to
    old.chmod(0o755)
    result = make("compare", f"PYTHON={old}", folder=tmp_path)
    assert result.returncode != 0
    assert "needs Python 3.11 or newer" in result.stdout
    assert not (tmp_path / ".venv").exists()


def test_make_sets_up_only_what_is_missing_or_out_of_date(tmp_path):
    for name in ("Makefile", "requirements.txt", "requirements-dev.txt"):
        shutil.copy(ROOT / name, tmp_path)
    assert "pip install" in make("-n", "compare", folder=tmp_path).stdout
    (tmp_path / ".venv").mkdir()
    for stamp in ("for-compare", "for-test"):
        (tmp_path / ".venv" / stamp).touch()
    assert "pip install" not in make("-n", "compare", "test", folder=tmp_path).stdout
    os.utime(tmp_path / "requirements.txt", (time.time() + 9, time.time() + 9))
    assert "pip install" in make("-n", "compare", folder=tmp_path).stdout
