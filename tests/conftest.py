"""What several test files use: the ports must be free, a server that is surely ours."""

import contextlib
import ctypes
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import compare
from compare import is_free

# The longest first; beside `make compare`, which measures, only what mostly waits.
ORDER = "TestSizing", "test_signals", "TestFirstHalf", "test_nginx", "TestProduction"
ORDER += (
    "test_browser",
    "test_sizing",
    "test_trouble",
    "test_compare",
    "TestSecondHalf",
    "test_servers",
    "test_apps",
)
SET_UP = """unset MAKELEVEL; begin=$(date +%s)
git clone -q "$1" lesson && make -C lesson .venv/for-compare PYTHON="$2" &&
echo $(($(date +%s) - begin)) > begun; mv begun seconds || touch seconds"""
LOOPBACK = ["ip", "link", "set", "lo", "up"]


def pytest_xdist_auto_num_workers():
    """Return 7 if test files can run side by side, each with a port 8000 of its own.

    That takes a network namespace (Linux, as root); else 0: one test after the other.
    """
    with contextlib.suppress(FileNotFoundError):
        probe = ["unshare", "--net", *LOOPBACK]
        if subprocess.run(probe, check=False, capture_output=True).returncode == 0:
            return 7  # they mostly wait
    return 0


def pytest_configure(config):
    if "PYTEST_XDIST_WORKER" in os.environ:
        namespace = 0x40000000  # CLONE_NEWNET of unshare(2), in os from Python 3.12 on
        assert ctypes.CDLL(None).unshare(namespace) == 0
        subprocess.run(LOOPBACK, check=True)
    elif config.args == config.getini("testpaths") and not config.option.keyword:
        # All tests; here is a network still, and test_from_clone_to_table waits.
        os.environ["SET_UP"] = tempfile.mkdtemp()
        command = ["bash", "-c", SET_UP, "bash", ROOT, sys.executable]
        where = {"cwd": os.environ["SET_UP"], "stderr": subprocess.DEVNULL}
        subprocess.Popen(command, **where, stdout=subprocess.DEVNULL)


def pytest_unconfigure():
    if "PYTEST_XDIST_WORKER" not in os.environ and "SET_UP" in os.environ:
        shutil.rmtree(os.environ["SET_UP"], ignore_errors=True)


def pytest_terminal_summary(terminalreporter):
    """Print the figures that tests have noted with record_property."""
    for report in terminalreporter.getreports("passed"):
        for name, value in report.user_properties:
            terminalreporter.write_line(f"{name}: {value}")


def pytest_collection_modifyitems(items):
    """Put the tests in ORDER, and those that take whole cores at the end."""
    # A False sorts before a True; what has no place in ORDER has only True.
    items.sort(key=lambda item: [name not in item.nodeid for name in ORDER])


@pytest.fixture(scope="session")
def free_ports():
    """End the tests with a plain sentence if a stranger would be tested."""
    for port in (8000, 8089):
        if not is_free(port):
            pytest.exit(f"Port {port} is taken. End what listens there first.", 1)


@pytest.fixture
def serve(tmp_path, free_ports):
    """Return serve(folder, command): start it, wait until it answers, yield its process.

    The process has the attribute `log`, the path of what it prints. Raises
    compare.Trouble if it ends or does not answer 200; if it is not meant to, or slowly,
    `answers=False` waits only until it listens.
    """

    @contextlib.contextmanager
    def serve(folder, command, answers=True):
        assert is_free(8000), "a server was left running"
        with compare.running(command, ROOT / folder, str(tmp_path)) as process:
            if answers:
                compare.ask(process, 8000)
            else:
                wait_until(lambda: not is_free(8000))
            yield process

    return serve


def wait_until(condition, seconds=15):
    """Return when `condition()` is true. Raises AssertionError after `seconds`."""
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "it did not happen in time"
        time.sleep(0.1)
