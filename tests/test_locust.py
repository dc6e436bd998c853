"""The load test by hand: Locust's page, and a run without it against each slow app."""

import json
import re
import resource
import shutil
import subprocess
import sys
import time

import pytest
from conftest import ROOT

import compare
from compare import is_free

HEADLESS = [
    sys.executable,
    *["-m", "locust", "--headless", "-u", "8", "-r", "8", "--json"],
]


@pytest.fixture
def page(tmp_path, free_ports):
    """Start `locust -f locustfile.py` as the README does; return a function that asks it."""
    assert is_free(8089)
    with compare.running("locust -f locustfile.py", ROOT, str(tmp_path)) as locust:
        yield lambda path="/", form=None: compare.ask(locust, 8089, path, form).decode()


def test_page_is_prefilled_and_for_this_machine_only(page):
    found = re.search(r"window\.templateArgs = (\{.*\})", page())
    form = json.loads(found[1])
    assert form["host"] == "http://127.0.0.1:8000"
    assert (form["num_users"], form["spawn_rate"]) == (100, 2)
    with pytest.raises(OSError):  # another address of this machine (Linux), or none
        compare.direct.open("http://127.0.0.2:8089/", timeout=2)


def test_page_says_what_to_start_when_nobody_listens(page):
    page("/swarm", "user_count=8&spawn_rate=8&host=http://127.0.0.1:8000")
    compare.pause(1)
    stats = json.loads(page("/stats/requests"))
    assert stats["state"] == "stopped"
    assert stats["stats"][-1]["num_requests"] == 0
    said = [line for line in json.loads(page("/logs"))["master"] if "ERROR" in line]
    shown = [row["msg"] for row in json.loads(page("/exceptions"))["exceptions"]]
    assert len(said) == len(shown) == 1 and shown[0] in said[0]
    assert "Nothing listens at http://127.0.0.1:8000" in said[0]
    assert "gunicorn -w 4 slow_app:app" in said[0]


def test_headless_run_without_a_server_fails(free_ports):
    command = [*HEADLESS, "-t", "3"]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, check=False, text=True)
    assert run.returncode == 1
    assert run.stderr.count("Nothing listens at http://127.0.0.1:8000") == 1
    assert "Traceback" not in run.stderr


@pytest.mark.parametrize(
    "folder, command, who, rounds",
    [
        ("wsgi", "gunicorn -w 4 slow_app:app", "gunicorn", [1, 2]),
        (
            "asgi",
            "gunicorn slow_app:app -w 4 -k uvicorn_worker.UvicornWorker",
            "uvicorn",
            [1],
        ),
    ],
)
def test_eight_users(serve, folder, command, who, rounds):
    """Four sync workers answer eight users in two rounds, event loops in one."""
    with serve(folder, command):
        run = [*HEADLESS, "-t", "5"]
        run = subprocess.run(run, cwd=ROOT, capture_output=True, check=True)
    (row,) = json.loads(run.stdout)
    assert row["name"] == f"/ ({who})"
    assert row["num_requests"] >= 8 and row["num_failures"] == 0
    seconds = {round(float(ms) / 1000) for ms in row["response_times"]}
    assert sorted(seconds) == rounds


@pytest.mark.skipif(not shutil.which("wrk"), reason="wrk is not installed")
def test_fast_answers_measure_the_load_generator(serve):
    """Locust reaches its own limit with one uvicorn as with four; wrk reaches more."""
    rates = {}
    for command in (
        "uvicorn app:app --no-access-log",
        "gunicorn app:app -w 4 -k uvicorn_worker.UvicornWorker",
    ):
        with serve("asgi", command):
            reached = []  # the best of two: other programs only take from it
            for _ in range(2):
                before, begin = (
                    resource.getrusage(resource.RUSAGE_CHILDREN),
                    time.time(),
                )
                run = [*HEADLESS, "-t", "5"]
                run = subprocess.run(run, cwd=ROOT, capture_output=True, check=True)
                after, seconds = (
                    resource.getrusage(resource.RUSAGE_CHILDREN),
                    time.time(),
                )
                (row,) = json.loads(run.stdout)
                used = (
                    after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
                )
                # Of one core; other tests take some.
                assert used > 0.25 * (seconds - begin), "Locust was not busy"
                counted = row["last_request_timestamp"] - row["start_time"]
                reached.append(row["num_requests"] / counted)
            wrk = ["wrk", "-c", "40", "-d", "3", "http://127.0.0.1:8000/"]
            wrk = subprocess.run(wrk, capture_output=True, check=True, text=True)
        found = re.search(r"Requests/sec: +([\d.]+)", wrk.stdout)
        rates[command] = max(reached), float(found[1])
    (one, one_wrk), (four, four_wrk) = rates.values()
    assert 0.6 < one / four < 1.6, rates
    assert one_wrk > 1.5 * one and four_wrk > 2 * four, rates
