"""A thousand users, what waiting costs, many machines: what docs/sizing.md stands on."""

import math
import os
import re
import signal
import socket
import subprocess
import sys
import time

import pytest
from conftest import ROOT
from test_nginx import needs_nginx, nginx  # noqa: F401, a fixture
from test_servers import group
from test_signals import lesson, workers  # noqa: F401, a fixture

import compare

sys.path.insert(0, str(ROOT / "docs"))

import costs
import timeline

LOCUST = [sys.executable, "-m", "locust", "--only-summary"]
LOAD = ["--headless", "-u", "40", "-r", "40"]


def test_threads_are_raised_to_match_the_users():
    rows = [compare.enough_threads(row, 1000) for row in compare.WAITING]
    assert rows[2] == ("wsgi", "gunicorn -w 4 --threads 400 slow_app:app", 1600)
    assert rows[:2] + rows[3:] == compare.WAITING[:2] + compare.WAITING[3:]
    for users in (1, 40):
        assert compare.enough_threads(compare.WAITING[2], users) == compare.WAITING[2]
    assert compare.enough_threads(compare.WAITING[2], 41)[2] >= 41


def limited(files, *arguments):
    """Run compare.py where a process may open so many files (ulimit's words for it)."""
    command = f"ulimit {files}; exec {sys.executable} compare.py {' '.join(arguments)}"
    return subprocess.run(
        ["bash", "-c", command], cwd=ROOT, capture_output=True, check=False, text=True
    )


def test_too_few_files_allowed(free_ports):
    result = limited("-n 300", "uvicorn", "--users", "400")
    assert result.returncode == 1 and "Traceback" not in result.stderr
    assert "ulimit -n 8192" in result.stderr and "300" in result.stderr


def test_a_low_limit_that_can_be_raised_is_raised(free_ports):
    words = "'uvicorn slow'", "--users", "400", "--seconds", "2"
    result = limited("-Sn 256", *words)
    assert result.returncode == 0, result.stderr + result.stdout
    assert re.search(r" 400\.0 +\d\.\d\d .* 0\n", result.stdout)


def test_memory_is_what_the_system_says(serve):
    """Independently: Linux's own sums of proportional set sizes."""
    if not os.path.exists("/proc/self/smaps_rollup"):
        pytest.skip("this system has no /proc/PID/smaps_rollup")
    with serve("wsgi", "gunicorn -w 4 slow_app:app") as server:
        kilobytes = 0
        for pid in group(server.pid):
            with open(f"/proc/{pid}/smaps_rollup") as rollup:
                kilobytes += int(
                    re.search(r"^Pss: +(\d+) kB", rollup.read(), re.MULTILINE)[1]
                )
        assert costs.memory(server) == pytest.approx(1024 * kilobytes, rel=0.05)
        assert costs.processor(server) > 0


def test_a_process_costs_more_than_a_thread_and_that_more_than_a_coroutine(free_ports):
    def one(command, users):
        folder = "asgi" if "uvicorn" in command else "wsgi"
        row = folder, command, 400
        rate, _, _, idle, waiting = costs.costs(row, users)
        assert rate > 0.7 * users
        return (waiting - idle) / users

    alone = costs.costs(("wsgi", "gunicorn slow_app:app", 1), 1)
    many = costs.costs(("wsgi", "gunicorn -w 20 slow_app:app", 20), 20)
    process = (many[4] - alone[3]) / 19
    thread = one("gunicorn -w 4 --threads 160 slow_app:app", 400)
    coroutine = one("uvicorn slow_app:app", 400)
    assert process > 20 * thread and thread > coroutine > 1000
    assert process > 1_000_000


def test_the_plot_names_every_server(tmp_path):
    rates = {command: [1, 10, 100] for _, command, _ in costs.SERVERS}
    costs.draw(rates, tmp_path / "plot.svg")
    drawn = (tmp_path / "plot.svg").read_text()
    assert all(command in drawn for command in rates)


def test_the_time_line_is_a_staircase_and_a_wall(serve, tmp_path):
    times = []
    for folder, command, _ in timeline.SERVERS:
        with serve(folder, command):
            times.append(timeline.twelve_at_once())
    assert [round(t) for t in times[0]] == [1] * 4 + [2] * 4 + [3] * 4
    assert [round(t) for t in times[1]] == [1] * 12
    timeline.draw(times, tmp_path / "timeline.svg")
    assert "staircase" in (tmp_path / "timeline.svg").read_text()


@pytest.mark.parametrize("script", ["costs", "timeline", "screenshot"])
def test_scripts_say_that_the_port_is_taken(free_ports, script):
    with socket.create_server(("127.0.0.1", 8000)):
        result = subprocess.run(
            [sys.executable, f"docs/{script}.py"],
            cwd=ROOT,
            capture_output=True,
            check=False,
            text=True,
        )
    assert result.returncode == 1 and "taken" in result.stderr.lower()
    assert "Traceback" not in result.stderr


def test_one_of_two_locust_workers_dies(serve):
    """The run goes on with the users of the other one, without a failed request."""
    master = ["--master", "--master-bind-host", "127.0.0.1", "--expect-workers", "2"]
    with serve("asgi", "uvicorn slow_app:app"):
        pipe = subprocess.PIPE
        run = [*LOCUST, *master, *LOAD, "-t", "15s"]
        processes = [
            subprocess.Popen(command, cwd=ROOT, stdout=pipe, stderr=pipe, text=True)
            for command in (run, [*LOCUST, "--worker"], [*LOCUST, "--worker"])
        ]
        try:
            time.sleep(7)
            processes[1].kill()
            out, said = processes[0].communicate(timeout=40)
            assert processes[2].wait(timeout=10) == 0
        finally:
            for process in processes:
                process.kill()
                process.communicate()
    assert processes[0].returncode == 0
    assert "failed to send heartbeat" in said
    found = re.search(r"/ \(uvicorn\) +(\d+) +0\(0\.00%\)", out + said)
    assert 200 < int(found[1]) < 560


@needs_nginx
def test_one_of_two_servers_dies_behind_nginx(serve, nginx, lesson, tmp_path):  # noqa: F811
    """HttpUser would see every failure; nginx asks the other server instead."""
    both = "upstream servers { server 127.0.0.1:8000; server 127.0.0.1:8001; }\n"
    changes = [("    server {", f"    {both}    server {{")]
    changes += [("proxy_pass http://127.0.0.1:8000", "proxy_pass http://servers")]
    command = "gunicorn -w 4 --bind 127.0.0.1:8001 slow_app:app"
    copy, home = lesson("HttpUser"), tmp_path / "second"
    home.mkdir()
    with (
        serve("wsgi", "gunicorn -w 4 slow_app:app"),
        compare.running(command, ROOT / "wsgi", str(home)) as second,
        nginx(*changes),
    ):
        compare.ask(second, 8001)
        run = [*LOCUST, *LOAD, "--host", "http://127.0.0.1:8080", "-t", "16s"]
        pipe = subprocess.PIPE
        locust = subprocess.Popen(run, cwd=copy, stdout=pipe, stderr=pipe, text=True)
        try:
            time.sleep(8)
            for pid in group(second.pid):
                os.kill(pid, signal.SIGKILL)
            said = "".join(locust.communicate(timeout=60))
        finally:
            locust.kill()
    found = re.search(r"/ \(nginx/[\d.]+\) +(\d+) +0\(0\.00%\)", said)
    assert int(found[1]) > 40, said  # four per second alone would be forty at most


def test_the_examples_are_computed_right():
    page = re.sub(r"\s+", " ", (ROOT / "docs" / "sizing.md").read_text())
    assert 10_000 * 0.2 == 2000 and 1.5 * 2000 == 3000
    assert 3000 * 104 == 312_000 and "3,000 × 104 MB = 312 GB" in page  # MB
    assert math.ceil(312 / 32) == 10 and "**10**" in page
    threads, loops = 24 * 100 + 3000 * 0.038, 24 * 100 + 3000 * 0.020
    assert f"3,000 × 38 kB = {threads / 1000:.1f} GB" in page
    assert f"3,000 × 20 kB = {loops / 1000:.1f} GB" in page
    for ms, cores in ((1.4, 20), (1.2, 18)):
        assert f"10,000 × {ms} ms = {10_000 * ms / 1000:.0f}" in page
        assert math.ceil(10_000 * ms / 1000 / 0.7) == cores <= 24
    assert 600 * 0.5 == 300 and f"450 × 154 MB = {450 * 0.154:.0f} GB" in page
    assert math.ceil(600 * 0.0044 / 0.7) == 4 and math.ceil(450 * 0.154 / 8) == 9
    assert f"450 × 38 kB = {0.6 + 450 * 0.038 / 1000:.1f} GB" in page
