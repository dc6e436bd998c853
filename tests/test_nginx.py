"""nginx in front: silent, slow and malicious clients with it and without it."""

import contextlib
import getpass
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request

import pytest
import websockets.sync.client
from conftest import ROOT, wait_until
from test_servers import group
from test_talking import connection

import compare

SYNC, THREADS = "gunicorn -w 4 app:app", "gunicorn --threads 40 app:app"
ASGI, UVICORN = "gunicorn -w 4 -k asgi app:app", "uvicorn app:app"
WORKERS = "gunicorn app:app -w 4 -k uvicorn_worker.UvicornWorker"
EVERY = [("wsgi", SYNC), ("wsgi", THREADS), ("asgi", ASGI), ("asgi", UVICORN)]
EVERY += [("asgi", WORKERS)]
IDLE = [sys.executable, str(ROOT / "nginx" / "idle_clients.py")]
needs_nginx = pytest.mark.skipif(
    not shutil.which("nginx"), reason="nginx is not installed"
)


@pytest.fixture
def nginx(tmp_path, free_ports):
    """Return nginx(*changes): start the real one as the page says, in a copy of its folder.

    Each of the `changes` (old, new) is made in nginx.conf first. It yields the process.
    """

    @contextlib.contextmanager
    def start(*changes):
        folder = tmp_path / "nginx"
        shutil.copytree(ROOT / "nginx", folder)
        conf = (folder / "nginx.conf").read_text()
        for old, new in changes:
            assert old in conf
            conf = conf.replace(old, new)
        (folder / "nginx.conf").write_text(conf)
        assert compare.is_free(8080)
        command = "nginx -p . -c nginx.conf -e stderr"
        with compare.running(command, folder, str(tmp_path)) as process:
            wait_until(lambda: not compare.is_free(8080))
            yield process

    return start


def seconds_to_answer(port, limit):
    """Return how many seconds port's answer to GET / takes, or `limit` if it is longer."""
    start = time.monotonic()
    with contextlib.suppress(TimeoutError):
        compare.direct.open(f"http://127.0.0.1:{port}/", timeout=limit).close()
        return time.monotonic() - start
    return limit


@contextlib.contextmanager
def idle_clients(number, port):
    """Run idle_clients.py while the block lasts; then press Ctrl-C, as it were."""
    pipe = subprocess.PIPE
    command = [IDLE[0], "-u", IDLE[1], str(number), str(port)]
    process = subprocess.Popen(command, stdout=pipe, text=True)
    try:
        assert f"{number} connections to port {port}" in process.stdout.readline()
        yield
    finally:
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=10) == 0
        process.stdout.close()


@pytest.mark.parametrize(
    "folder, command, number, least, most",
    [
        ("wsgi", SYNC, 400, 20, 20),  # seconds, and on; four stand on the page
        ("wsgi", THREADS, 4, 0, 2),
        ("wsgi", THREADS, 200, 15, 35),  # 200 / 40 x 5
        ("asgi", ASGI, 4, 0, 2),
        ("asgi", ASGI, 400, 0, 2),
        ("asgi", UVICORN, 4, 0, 2),
        ("asgi", UVICORN, 400, 0, 2),
    ],
)
def test_silent_clients(serve, folder, command, number, least, most):
    with serve(folder, command), idle_clients(number, 8000):
        time.sleep(0.5)  # so that the workers have taken the silent ones first
        assert least <= seconds_to_answer(8000, max(20, most)) <= most


@needs_nginx
@pytest.mark.parametrize("number", [4, 400])
def test_silent_clients_behind_nginx(serve, nginx, number):
    with serve("wsgi", SYNC), nginx(), idle_clients(number, 8080):
        time.sleep(0.5)
        assert seconds_to_answer(8080, 10) < 2


@needs_nginx
def test_a_thousand_slow_clients_behind_nginx(serve, nginx):
    """Each sends a byte at a time, half of them of a head, half of a body."""
    begun = [
        b"GET / HTTP/1.1\r\nHost: x\r\nX-Slow: ",
        b"POST / HTTP/1.1\r\nHost: x\r\n",
    ]
    begun[1] += b"Content-Length: 1000\r\n\r\n"
    with serve("wsgi", SYNC), nginx(), contextlib.ExitStack() as stack:
        clients = []
        for number in range(1000):
            client = socket.create_connection(("127.0.0.1", 8080))
            clients.append(stack.enter_context(client))
            client.sendall(begun[number % 2])
        times = []
        for _ in range(5):
            for client in clients:
                client.sendall(b"x")
            times.append(seconds_to_answer(8080, 10))
            time.sleep(0.2)
        assert sorted(times)[2] < 1 and max(times) < 5, times


@pytest.mark.parametrize("arguments", [[], ["many"], ["4", "x"]])
def test_idle_clients_asks_for_a_number(arguments):
    run = [*IDLE, *arguments]
    run = subprocess.run(run, capture_output=True, check=False, text=True)
    assert run.returncode == 1 and run.stderr.count("\n") == 1
    assert "python idle_clients.py 4 8000" in run.stderr


def test_idle_clients_without_a_server(free_ports):
    run = [*IDLE, "4"]
    run = subprocess.run(run, capture_output=True, check=False, text=True)
    assert run.returncode == 1 and run.stderr.count("\n") == 1
    assert "does a server listen at port 8000" in run.stderr


TELLS = """
def app(environ, start_response):
    names = "HTTP_HOST", "HTTP_X_FORWARDED_FOR", "REMOTE_ADDR", "wsgi.url_scheme"
    start_response("200 OK", [])
    return [" ".join(environ.get(name, "none") for name in names).encode()]
"""
FORGED = b"GET / HTTP/1.0\r\nHost: lesson:1\r\nX-Forwarded-For: 203.0.113.7\r\n"
FORGED += b"X-Forwarded-Proto: https\r\n\r\n"


def ask(port, request):
    """Return the whole answer of `port` to `request`, both as bytes."""
    with connection(request, port) as client:
        return b"".join(iter(lambda: client.recv(65536), b""))


@needs_nginx
def test_only_the_proxy_says_who_asks(tmp_path, nginx):
    (tmp_path / "tells.py").write_text(TELLS)
    answers = {}
    for option in ("", " --forwarded-allow-ips 192.0.2.1"):
        command = f"gunicorn{option} tells:app"
        with compare.running(command, tmp_path, str(tmp_path)) as process:
            compare.ask(process, 8000)
            answers[option] = ask(8000, FORGED).split(b"\r\n\r\n")[1].split()
            if not option:
                with nginx():
                    behind = ask(8080, FORGED).split(b"\r\n\r\n")[1].split()
    trusting, strict = answers.values()
    assert behind == [b"lesson:1", b"127.0.0.1", b"127.0.0.1", b"http"]
    assert trusting == [b"lesson:1", b"203.0.113.7", b"127.0.0.1", b"https"]
    assert strict[3] == b"http"


@needs_nginx
def test_nginx_lets_websockets_through(serve, nginx):
    with serve("asgi", "uvicorn websocket_app:app", answers=False), nginx():
        url = "ws://127.0.0.1:8080/"
        with websockets.sync.client.connect(url, proxy=None) as client:
            client.send("hello")
            assert client.recv(timeout=10) == "hello"


@needs_nginx
@pytest.mark.parametrize("version, at_once", [("1.1", True), ("1.0", False)])
def test_nginx_passes_streams_on_line_by_line(serve, nginx, version, at_once):
    change = "proxy_http_version 1.1", f"proxy_http_version {version}"
    with serve("wsgi", "gunicorn stream_app:app", answers=False), nginx(change):
        start = time.monotonic()
        with connection(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", 8080) as client:
            body = b""
            while b"line 1" not in body:
                body += client.recv(1000)
            first = time.monotonic() - start
            while b"line 5" not in body:
                body += client.recv(1000)
        assert body.count(b"line") == 5
        assert (first < 2.5) == at_once, first


@needs_nginx
def test_slow_readers_hold_no_worker_behind_nginx(serve, nginx):
    """Four of them leave four large answers unread."""
    body = bytes(8_000_000)
    request = b"POST / HTTP/1.0\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
    for port, least, most in ((8000, 5, 5), (8080, 0, 2)):
        with (
            serve("wsgi", "gunicorn -w 4 echo_app:app"),
            contextlib.ExitStack() as stack,
        ):
            if port == 8080:
                stack.enter_context(nginx())
            for _ in range(4):
                stack.enter_context(connection(request, port))
            time.sleep(0.5)
            assert least <= seconds_to_answer(port, 5) <= most


@needs_nginx
def test_nginx_answers_for_a_server_that_is_away_or_silent(serve, nginx):
    with nginx(("read_timeout 60s", "read_timeout 1s")) as process:
        assert ask(8080, b"GET / HTTP/1.0\r\n\r\n").startswith(b"HTTP/1.1 502")
        assert "Connection refused" in process.log.read_text()
        large = b"POST / HTTP/1.0\r\nContent-Length: 10485761\r\n\r\n"
        assert ask(8080, large).startswith(b"HTTP/1.1 413")
        with socket.create_server(("127.0.0.1", 8000)):
            assert ask(8080, b"GET / HTTP/1.0\r\n\r\n").startswith(b"HTTP/1.1 504")


@needs_nginx
def test_nginx_without_root_and_with_files_in_its_folder_only(serve, tmp_path):
    folder = tmp_path / "nginx"
    shutil.copytree(ROOT / "nginx", folder)
    nobody = {}
    if getpass.getuser() == "root":
        folder.chmod(0o777)  # it is entered before root is given up
        nobody = {"user": "nobody", "group": "nogroup", "extra_groups": []}
    command = ["nginx", "-p", ".", "-c", "nginx.conf", "-e", "stderr"]
    pipe = subprocess.PIPE
    process = subprocess.Popen(command, cwd=folder, stderr=pipe, text=True, **nobody)
    with serve("wsgi", "gunicorn echo_app:app"):
        wait_until(lambda: not compare.is_free(8080))
        body = os.urandom(9_000_000)
        request = urllib.request.Request("http://127.0.0.1:8080/", body)
        with compare.direct.open(request, timeout=30) as answer:
            assert answer.read().endswith(body)
    process.send_signal(signal.SIGINT)
    said = process.communicate(timeout=10)[1]
    assert process.returncode == 0
    assert "to a temporary file" in said and not re.search(r"\[(err|ale|eme)", said)
    found = {path.name for path in folder.iterdir()}
    assert found <= {"nginx.conf", "idle_clients.py", "access.log", "temp"}


HOST = b" HTTP/1.1\r\nHost: x\r\n"
MALFORMED = {
    "no HTTP": b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n",
    "version": b"GET / HTTP/9.9\r\nHost: x\r\n\r\n",
    "method": b"G E T /" + HOST + b"\r\n",
    "header without a name": b"GET /" + HOST + b": x\r\n\r\n",
    "zero byte": b"GET /" + HOST + b"X: a\0b\r\n\r\n",
    "64 KB of path": b"GET /" + b"a" * 65536 + HOST + b"\r\n",
    "64 KB of header": b"GET /" + HOST + b"X: " + b"a" * 65536 + b"\r\n\r\n",
    "5,000 headers": b"GET /" + HOST + b"X: y\r\n" * 5000 + b"\r\n",
    "two lengths": b"POST /"
    + HOST
    + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
    "negative length": b"POST /" + HOST + b"Content-Length: -1\r\n\r\nhello",
    "length and chunks": b"POST /"
    + HOST
    + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunks and length": b"POST /"
    + HOST
    + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
    "coding": b"POST /" + HOST + b"Transfer-Encoding: x\r\n\r\n0\r\n\r\n",
}
TAKEN = {"64 KB of header", "5,000 headers"}  # uvicorn sets no limit


def status(port, request):
    """Return the status with which `port` answers, or 0 if it closes the connection."""
    try:
        with connection(request, port) as client:
            client.settimeout(10)
            answer = client.recv(65536)
    except (ConnectionResetError, BrokenPipeError):
        return 0
    return int(answer.split()[1]) if answer else 0


@pytest.mark.parametrize("behind", [False, pytest.param(True, marks=needs_nginx)])
@pytest.mark.parametrize("folder, command", EVERY)
def test_malformed_requests(serve, nginx, folder, command, behind):
    """A 4xx or a closed connection; 501 is RFC 9112's answer to an unknown coding."""
    with serve(folder, command) as process, contextlib.ExitStack() as stack:
        if behind:
            stack.enter_context(nginx())
        before, port = set(group(process.pid)), 8080 if behind else 8000
        answers = {name: status(port, raw) for name, raw in MALFORMED.items()}
        good = {0, *range(400, 500)}
        for name, code in answers.items():
            also = 200 if name in TAKEN and "uvicorn" in command and not behind else 501
            expected = name in TAKEN or name in ("coding", "version")
            assert code in good or (expected and code in (also, 505)), answers
        assert seconds_to_answer(port, 10) < 5
        assert before <= set(group(process.pid)), "a worker died"
