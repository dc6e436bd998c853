"""What the pages on production claim: replaced and killed workers, nginx's files."""

import contextlib
import os
import shutil
import signal
import subprocess
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest
from mirakuru.exceptions import ProcessFinishedWithError
from support import HELLO, ROOT, family, serve, wait_until

GUNICORNS = [
    ("wsgi", "gunicorn -w 4 slow_app:app"),
    ("asgi", "gunicorn slow_app:app -w 4 -k uvicorn_worker.UvicornWorker"),
]
needs_nginx = pytest.mark.skipif(not shutil.which("nginx"), reason="nginx is not installed")


def request(port=8000):
    """Return the body of a response, or the name of what went wrong."""
    try:
        url = f"http://127.0.0.1:{port}/"
        return urllib.request.urlopen(url, timeout=30).read()
    except OSError as error:
        return type(error).__name__


def workers(server):
    """Return the ids of the processes that gunicorn's master has started."""
    return family(server)[1:]


def connections(worker):
    """Return how many clients the process `worker` is connected with."""
    found = psutil.Process(worker).net_connections("tcp")
    return sum(c.status == psutil.CONN_ESTABLISHED for c in found)


@contextlib.contextmanager
def twelve_requests():
    """Send twelve requests at once; yield what becomes of each, once all are under way."""
    with ThreadPoolExecutor(12) as clients:
        responses = [clients.submit(request) for _ in range(12)]
        yield responses


@pytest.mark.parametrize("folder, command", GUNICORNS)
def test_hup_replaces_all_workers_and_loses_nothing(folder, command):
    with serve(folder, command) as server:
        before = workers(server)
        with twelve_requests() as responses:
            wait_until(lambda: any(r.done() for r in responses))  # and others queue
            os.kill(server.process.pid, signal.SIGHUP)
        assert [r.result() for r in responses] == [HELLO] * 12
        wait_until(lambda: len(workers(server)) == 4 and not {*workers(server)} & {*before})


def test_a_killed_worker_takes_only_its_own_request_along():
    """The queue is the port's, not the worker's; the master starts another one."""
    with serve(*GUNICORNS[0]) as server:
        first = workers(server)
        with twelve_requests() as responses:
            wait_until(lambda: any(r.done() for r in responses))
            os.kill(first[0], signal.SIGKILL)
        results = [r.result() for r in responses]
        assert results.count(HELLO) == 11
        wait_until(lambda: len(workers(server)) == 4 and first[0] not in workers(server))


def test_a_killed_event_loop_takes_all_its_requests_along():
    with serve("asgi", "gunicorn -w 1 -k asgi slow_app:app") as server:
        with twelve_requests() as responses:
            (worker,) = workers(server)
            wait_until(lambda: connections(worker) == 12)
            os.kill(worker, signal.SIGKILL)
        assert HELLO not in [r.result() for r in responses]


def test_a_version_that_cannot_start_is_found_by_check_config(tmp_path):
    """Sent HUP all the same, the master gives up, and nobody serves any more."""
    shutil.copytree(ROOT / "wsgi", tmp_path / "wsgi")
    folder = tmp_path / "wsgi"
    command = "gunicorn -w 4 slow_app:app"

    def check():
        line = command.replace("-w 4", "--check-config").split()
        run = subprocess.run(line, cwd=folder, check=False, capture_output=True)
        return run.returncode

    with pytest.raises(ProcessFinishedWithError), serve(str(folder), command) as server:
        assert check() == 0
        with (folder / "slow_app.py").open("a") as app:
            app.write("(")
        assert check() != 0
        os.kill(server.process.pid, signal.SIGHUP)
        assert server.process.wait(timeout=20) != 0
        assert "Worker failed to boot" in server.log.read_text()


@pytest.fixture
def nginx(tmp_path):
    """Start the real nginx as the page says, in a copy of its folder."""
    shutil.copytree(ROOT / "nginx", tmp_path / "nginx")
    command = "nginx -p . -c nginx.conf -e stderr"
    with serve(str(tmp_path / "nginx"), command, "502", "http://127.0.0.1:8080/") as nginx:
        yield nginx


@needs_nginx
def test_nginx_keeps_its_files_in_its_folder(nginx, tmp_path):
    """Also a body that is too large for its memory; a larger one than that gets 413."""
    with serve("wsgi", "gunicorn echo_app:app"):
        body = bytes(9_000_000)
        url = "http://127.0.0.1:8080/"
        assert urllib.request.urlopen(url, body).read().endswith(body)
    with pytest.raises(urllib.error.HTTPError, match="413"):
        urllib.request.urlopen(url, bytes(11_000_000))
    found = {path.name for path in (tmp_path / "nginx").iterdir()} - {"__pycache__"}
    expected = {"nginx.conf", "access.log", "temp", "nginx.pid"}
    assert found <= expected and "temporary file" in nginx.log.read_text()
