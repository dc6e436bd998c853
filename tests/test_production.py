"""What the pages on production claim: replaced and killed workers, nginx's files."""

import contextlib
import http.client
import json
import os
import shutil
import signal
import subprocess
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest
from support import HELLO, ROOT, family, serve, wait_until
from websockets.sync.client import connect

pytestmark = pytest.mark.usefixtures("ports")
SYNC = "gunicorn -w 4 slow_app:app"
NGINX = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
needs_nginx = pytest.mark.skipif(not NGINX, reason="nginx is not installed")


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
    """Send twelve requests together; yield what becomes of each."""
    with ThreadPoolExecutor(12) as clients:
        responses = [clients.submit(request) for _ in range(12)]
        yield responses


def test_hup_replaces_all_workers_and_loses_nothing():
    with serve("wsgi", SYNC) as server:
        wait_until(lambda: len(workers(server)) == 4)
        before = workers(server)
        with twelve_requests() as responses:
            wait_until(lambda: any(r.done() for r in responses))  # and others queue
            os.kill(server.process.pid, signal.SIGHUP)
        assert [r.result() for r in responses] == [HELLO] * 12
        wait_until(lambda: len(workers(server)) == 4 and not {*workers(server)} & {*before})


def test_a_killed_worker_takes_only_its_own_request_along():
    """The queue is the port's, not the worker's; the master starts another one."""
    with serve("wsgi", SYNC) as server:
        wait_until(lambda: len(workers(server)) == 4)
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

    def check():
        line = SYNC.replace("-w 4", "--check-config").split()
        run = subprocess.run(line, cwd=folder, check=False, capture_output=True)
        return run.returncode

    with serve(folder, SYNC) as server:
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
    command = [NGINX, *["-p", ".", "-c", "nginx.conf", "-e", "stderr"]]
    with serve(tmp_path / "nginx", command, "http://127.0.0.1:8080/") as nginx:
        assert nginx.status == 502
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
    found = {path.name for path in (tmp_path / "nginx").iterdir()}
    made = found - {path.name for path in (ROOT / "nginx").iterdir()}
    assert (
        made <= {"access.log", "temp", "nginx.pid"}
        and "temporary file" in nginx.log.read_text()
    )


@needs_nginx
def test_nginx_replaces_what_a_client_says_of_itself(nginx, tmp_path):
    """It keeps its connection to the client, and asks the server to close the other one."""
    (tmp_path / "headers.py").write_text(
        "import json\n\n\ndef app(environ, start_response):\n"
        "    start_response('200 OK', [])\n"
        "    return [json.dumps(environ, default=str).encode()]\n"
    )
    claims = {"Host": "example.org", "Connection": "keep-alive"}
    claims |= {"X-Forwarded-For": "192.0.2.1", "X-Forwarded-Proto": "https"}
    client = http.client.HTTPConnection("127.0.0.1", 8080, timeout=20)
    with serve(tmp_path, "gunicorn headers:app"), contextlib.closing(client):
        ports = set()
        for _ in range(2):
            client.request("GET", "/", headers=claims)
            seen = json.loads(client.getresponse().read())
            ports.add(client.sock.getsockname()[1])  # it is None if nginx has closed it
            assert seen["HTTP_HOST"] == "example.org"
            assert seen["SERVER_PROTOCOL"] == "HTTP/1.1"
            assert seen["HTTP_X_FORWARDED_FOR"] == "127.0.0.1"
            assert seen["HTTP_X_FORWARDED_PROTO"] == seen["wsgi.url_scheme"] == "http"
            assert seen["HTTP_CONNECTION"] == "close" and "HTTP_UPGRADE" not in seen
        assert len(ports) == 1


@needs_nginx
def test_a_websocket_goes_through_nginx(nginx):
    with (
        serve("asgi", "uvicorn websocket_app:app"),
        connect("ws://127.0.0.1:8080/", proxy=None) as talk,
    ):
        for said in ("é", b"\0"):
            talk.send(said)
            assert talk.recv(timeout=20) == said


def test_nginx_listens_on_this_machine_only():
    lines = (ROOT / "nginx" / "nginx.conf").read_text().splitlines()
    assert [x.strip() for x in lines if "listen" in x] == ["listen 127.0.0.1:8080;"]
