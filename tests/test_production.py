"""What the pages on production claim: killed workers, nginx's files and headers."""

import contextlib
import http.client
import json
import os
import re
import shutil
import signal
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest
from support import ROOT, family, serve, status, wait_until
from websockets.sync.client import connect

from burst import address, ask

pytestmark = pytest.mark.usefixtures("ports")
NGINX = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
needs_nginx = pytest.mark.skipif(not NGINX, reason="nginx is not installed")


def connections(worker):
    """Return how many clients the process `worker` is connected with."""
    found = psutil.Process(worker).net_connections("tcp")
    return sum(c.status == psutil.CONN_ESTABLISHED for c in found)


@pytest.mark.parametrize(
    "folder, command, workers, lost",
    [
        ("wsgi", "gunicorn -w 2 slow_app:app", 2, 1),  # the others are in the port's queue
        ("asgi", "gunicorn -k asgi slow_app:app", 1, 3),
    ],
)
def test_a_killed_worker_takes_along_what_it_has_accepted(folder, command, workers, lost):
    """And the master starts another one."""
    with serve(folder, command) as server, ThreadPoolExecutor(3) as clients:
        wait_until(lambda: len(family(server)) == 1 + workers)
        responses = [clients.submit(ask, address("/"), timeout=30) for _ in range(3)]
        worker = family(server)[1]
        wait_until(lambda: connections(worker) == lost)
        os.kill(worker, signal.SIGKILL)
        wrong = [response.result() for response in responses]
        assert wrong.count(None) == 3 - lost, wrong
        wait_until(lambda: len({*family(server)} - {worker}) == 1 + workers)


@pytest.fixture
def nginx(tmp_path):
    """Start the real nginx as the page says, in a copy of its folder."""
    shutil.copytree(ROOT / "nginx", tmp_path / "nginx")
    command = [NGINX, *["-p", ".", "-c", "nginx.conf", "-e", "stderr"]]
    with serve(tmp_path / "nginx", command, "http://127.0.0.1:8080/") as nginx:
        assert status("http://127.0.0.1:8080/") == 502
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
    assert made <= {"access.log", "temp", "nginx.pid"}
    assert {*re.findall(r"temporary file (\S+/)", nginx.log.read_text())} == {"./temp/"}


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
