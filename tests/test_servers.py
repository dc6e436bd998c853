"""The launchers and servers as processes: they answer, reload, and end when told to."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time

import pytest
from conftest import ROOT, wait_until

import compare
from compare import is_free

LAUNCHERS = ["wsgi/runfromgunicorn.py", "asgi/runfromuvicorn.py"]


def answer():
    """Return what port 8000 answers to GET /, or b"" if nobody does."""
    try:
        with compare.direct.open("http://127.0.0.1:8000/", timeout=5) as response:
            return response.read()
    except OSError:
        return b""


def group(pid):
    """Return the ids of the processes in the process group `pid`."""
    listed = subprocess.run(
        ["ps", "-eo", "pid=,pgid="], check=True, capture_output=True
    )
    pairs = [line.split() for line in listed.stdout.decode().splitlines()]
    return [int(one) for one, leader in pairs if int(leader) == pid]


@pytest.mark.parametrize("launcher", LAUNCHERS)
def test_launcher(launcher, tmp_path, free_ports):
    """It works from any folder, says what it serves, reloads, and ends by Ctrl-C."""
    folder = launcher.split("/")[0]
    shutil.copytree(ROOT / folder, tmp_path / folder)
    assert is_free(8000)
    command = f"{sys.executable} {tmp_path / launcher}"
    with compare.running(command, "/", str(tmp_path)) as process:
        compare.ask(process, 8000)
        served = f"Starting {folder}/app.py at http://127.0.0.1:8000"
        assert served in process.log.read_text()
        time.sleep(1)  # nobody edits faster
        app = tmp_path / folder / "app.py"
        app.write_text(app.read_text().replace("Hello", "Howdy"))
        wait_until(lambda: answer() == b"Howdy, World!\n")
        time.sleep(0.5)  # the last answer is logged
        before = len(process.log.read_text())
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does
        assert process.wait(timeout=15) == 0
        wait_until(lambda: not group(process.pid))
        assert "Traceback" not in process.log.read_text()[before:]


def test_breakpoint_is_never_timed_out():
    """The default would kill a silent worker after 30 seconds (gunicorn: timeout)."""
    code = "from runfromgunicorn import FromPython; print(FromPython().cfg.timeout)"
    command = [sys.executable, "-c", code]
    shown = subprocess.run(command, cwd=ROOT / "wsgi", check=True, capture_output=True)
    assert shown.stdout.split() == [b"0"]


def test_older_spelling_is_deprecated():
    """What the README says of it."""
    code = "import uvicorn.workers"
    command = [sys.executable, "-W", "default", "-c", code]
    shown = subprocess.run(command, check=True, capture_output=True).stderr.decode()
    assert re.search("DeprecationWarning.*uvicorn-worker", shown)
