"""What several test files use: the ports must be free, a server that is surely ours."""

import contextlib
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import compare
from compare import is_free


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
    compare.Trouble if it ends or does not answer 200.
    """

    @contextlib.contextmanager
    def serve(folder, command):
        assert is_free(8000), "a server was left running"
        with compare.running(command, ROOT / folder, str(tmp_path)) as process:
            compare.ask(process, 8000)
            yield process

    return serve
