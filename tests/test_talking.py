"""The applications that read, stream and talk back: without a server, judged by the
specifications' own tools, and on each server, with requests as raw bytes.
"""

import asyncio
import contextlib
import os
import re
import socket
import struct
import subprocess
import sys
import time
from io import BytesIO
from urllib.parse import quote

import pytest
import websockets.sync.client
from asgiref.testing import ApplicationCommunicator
from conftest import wait_until
from hypothesis import given, settings
from hypothesis import strategies as st
from test_apps import call_asgi, call_wsgi, load
from test_servers import group

import compare

SERVERS = [
    ("wsgi", "gunicorn -w 2 {}:app"),
    ("wsgi", "gunicorn -w 2 --threads 2 {}:app"),
    ("asgi", "uvicorn {}:app"),
    ("asgi", "gunicorn -w 2 -k uvicorn_worker.UvicornWorker {}:app"),
    ("asgi", "gunicorn -w 2 -k asgi {}:app"),
]
ASGI = [command for folder, command in SERVERS if folder == "asgi"]
PARTS = st.lists(st.binary(max_size=20), min_size=1, max_size=4)
HEAD = b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n"


@contextlib.contextmanager
def connection(request, port=8000):
    """Open a connection to the port, send `request`, yield the socket, close it."""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as client:
        client.sendall(request)
        yield client


def ask(request):
    """Return (status as int, body without the number of the process) of one request."""
    with connection(request) as client:
        answer = b"".join(iter(lambda: client.recv(65536), b""))
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), re.sub(rb"process: \d+", b"process: N", body, count=1)


def break_off(client):
    """Close the socket `client` with an RST, as if its machine had vanished."""
    at_once = struct.pack("ii", 1, 0)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, at_once)
    client.close()


def hang_up(request, seconds=0.05):
    """Send `request`, and break the connection off after some `seconds`."""
    with connection(request) as client:
        time.sleep(seconds)
        break_off(client)


def chunked(body):
    """Return `body` as the chunks of HTTP/1.1 (RFC 9112, section 7.1)."""
    chunks = [body[i : i + 5] for i in range(0, len(body), 5)]
    return b"".join(b"%x\r\n%s\r\n" % (len(c), c) for c in chunks) + b"0\r\n\r\n"


def echoed(method, path, query=b"", agent=b"", body=b""):
    """Return what both echo applications must answer."""
    return b"%s %s\nquery: %s\nuser-agent: %s\nprocess: N\n\n%s" % (
        *(method, path, query, agent, body),
    )


BODY = bytes(range(256)) * 3
LONG = os.urandom(10_000_000)
REQUESTS = {
    "no body": (b"GET /" + HEAD + b"\r\n", echoed(b"GET", b"/")),
    "path": (
        b"GET //a%20b%2Fc/../%C3%A9%FF;x=1?q=%C3%A9&q=2" + HEAD + b"\r\n",
        echoed(b"GET", b"//a b/c/../\xc3\xa9\xef\xbf\xbd;x=1", query=b"q=%C3%A9&q=2"),
    ),
    "prefix": (  # gunicorn takes this header from a proxy on this machine
        b"GET /p/x" + HEAD + b"SCRIPT_NAME: /p\r\n\r\n",
        echoed(b"GET", b"/p/x"),
    ),
    "white space": (
        b"GET /" + HEAD + b"User-Agent: \t a  b \t \r\n\r\n",
        echoed(b"GET", b"/", agent=b"a  b"),
    ),
    "empty query": (b"GET /?" + HEAD + b"\r\n", echoed(b"GET", b"/")),
    "method": (b"PROPFIND /x" + HEAD + b"\r\n", echoed(b"PROPFIND", b"/x")),
    "asterisk": (b"OPTIONS *" + HEAD + b"\r\n", echoed(b"OPTIONS", b"*")),
    "two agents": (
        b"GET /" + HEAD + b"User-Agent: a\r\nX: y\r\nuser-agent: \xe9\r\n\r\n",
        echoed(b"GET", b"/", agent=b"a,\xc3\xa9"),
    ),
    "body": (
        b"POST /" + HEAD + b"Content-Length: 768\r\n\r\n" + BODY,
        echoed(b"POST", b"/", body=BODY),
    ),
    "body of a GET": (
        b"GET /" + HEAD + b"Content-Length: 3\r\n\r\nabc",
        echoed(b"GET", b"/", body=b"abc"),
    ),
    "empty body": (
        b"PUT /" + HEAD + b"Content-Length: 0\r\n\r\n",
        echoed(b"PUT", b"/"),
    ),
    "chunked": (
        b"POST /" + HEAD + CHUNKED + chunked(BODY),
        echoed(b"POST", b"/", body=BODY),
    ),
    "chunked and empty": (
        b"POST /" + HEAD + CHUNKED + chunked(b""),
        echoed(b"POST", b"/"),
    ),
    "10 MB": (
        b"POST /" + HEAD + b"Content-Length: 10000000\r\n\r\n" + LONG,
        echoed(b"POST", b"/", body=LONG),
    ),
    "HEAD": (b"HEAD /" + HEAD + b"\r\n", b""),
}
BROKEN_OFF = [
    b"",
    b"PO",
    b"POST / HTTP/1.1\r\nHost: x\r\n",
    b"POST /" + HEAD + b"Content-Length: 9\r\n\r\n",
    b"POST /" + HEAD + b"Content-Length: 9\r\n\r\nabc",
    b"POST /" + HEAD + CHUNKED,
    b"POST /" + HEAD + CHUNKED + b"5\r\nab",
    b"POST /" + HEAD + CHUNKED + b"3\r\nabc\r\n",
    b"GET /" + HEAD + b"\r\n",
]


@pytest.mark.parametrize("folder, command", SERVERS)
def test_echo(serve, folder, command):
    """The same bytes from every server; hung-up clients take no worker with them."""
    with serve(folder, command.format("echo_app")) as server:
        wait_until(lambda: len(group(server.pid)) == (3 if "-w 2" in command else 1))
        workers = sorted(group(server.pid))
        for name, (request, answer) in REQUESTS.items():
            assert ask(request) == (200, answer), name
        for request in BROKEN_OFF:
            hang_up(request)
        for target in (b"/\xc3\xa9", b"/a b", b""):  # no valid request line
            assert ask(b"GET " + target + HEAD + b"\r\n")[0] in (400, 404)
        assert ask(REQUESTS["body"][0]) == (200, REQUESTS["body"][1])
        assert sorted(group(server.pid)) == workers, "a worker has died"
        assert "Traceback" not in server.log.read_text()


@settings(max_examples=40, deadline=None)
@given(PARTS, st.binary(max_size=20), st.text(max_size=5), st.text(max_size=5))
def test_echo_twins_agree(parts, path, query, agent):
    """Called by hand, with what a server makes of a request (PEP 3333 and ASGI)."""
    query, agent = quote(query), quote(agent)
    environ = {
        "PATH_INFO": "/" + path.decode("latin-1"),
        "QUERY_STRING": query,
        "HTTP_USER_AGENT": agent,
        "CONTENT_LENGTH": str(len(b"".join(parts))),
        "wsgi.input": BytesIO(b"".join(parts)),
    }
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/" + path.decode(errors="replace"),
        "query_string": query.encode(),
        "headers": [(b"accept", b"*/*"), (b"user-agent", agent.encode())],
    }
    start, body = call_asgi(load("asgi/echo_app.py"), scope, parts)
    status, headers, wsgi_body = call_wsgi(load("wsgi/echo_app.py"), "POST", **environ)
    assert body["body"] == wsgi_body and status == "200 OK" and start["status"] == 200
    assert [(k.decode().title(), v.decode()) for k, v in start["headers"]] == headers


def test_echo_answers_nobody():
    """ASGI: after http.disconnect there is nobody to send to."""

    async def run():
        scope = {"type": "http", "method": "POST", "path": "/", "headers": []}
        scope["query_string"] = b""
        echo = ApplicationCommunicator(load("asgi/echo_app.py"), scope)
        part = {"type": "http.request", "body": b"a", "more_body": True}
        await echo.send_input(part)
        await echo.send_input({"type": "http.disconnect"})
        assert await echo.receive_nothing()
        await echo.wait()

    asyncio.run(run())


def test_workers_share_nothing(serve):
    """Requests to four workers are answered by more than one process."""
    answers = set()
    with serve("wsgi", "gunicorn -w 4 echo_app:app"):
        for _ in range(4000):  # whoever is quickest takes a connection
            answers.add(compare.direct.open("http://127.0.0.1:8000/").read())
            if len(answers) > 1:
                break
    assert 2 <= len(answers) <= 4


@pytest.mark.parametrize("folder, command", SERVERS)
def test_stream(serve, folder, command):
    """Five lines, one a second, the first at once; an early end if the client leaves."""
    with serve(folder, command.format("stream_app"), answers=False) as server:
        times, begin = [], time.monotonic()
        with connection(b"GET /" + HEAD + b"\r\n") as client:
            received = b""
            while part := client.recv(65536):
                received += part
                times += [time.monotonic() - begin] * part.count(b"line ")
            lines = re.findall(rb"line \d\n", received)
        assert lines == [b"line %d\n" % n for n in range(1, 6)]
        assert all(abs(t - n) < 0.6 for n, t in enumerate(times)), times
        hang_up(b"GET /" + HEAD + b"\r\n", seconds=1.5)

        def ends():
            return re.findall(r"stream ended after line (\d)", server.log.read_text())

        wait_until(lambda: len(ends()) == 2)
        assert ends()[0] == "5" and int(ends()[1]) < 5
        assert "Traceback" not in server.log.read_text()


def test_stream_without_a_server(capsys):
    """WSGI's close() ends the generator; ASGI's http.disconnect the coroutine."""
    started = []
    stream = load("wsgi/stream_app.py")({}, lambda *given: started.append(given))
    assert next(stream) == b"line 1\n" and started[0][0] == "200 OK"
    stream.close()

    async def run():
        stream = ApplicationCommunicator(load("asgi/stream_app.py"), {"type": "http"})
        await stream.send_input({"type": "http.request"})
        assert (await stream.receive_output())["status"] == 200
        assert (await stream.receive_output())["body"] == b"line 1\n"
        await stream.send_input({"type": "http.disconnect"})
        assert await stream.receive_output(timeout=0.5) == {
            "type": "http.response.body"
        }
        await stream.wait()

    asyncio.run(run())
    assert capsys.readouterr().out == "stream ended after line 1\n" * 2


@pytest.mark.parametrize("command", ASGI)
def test_websocket(serve, command):
    with serve("asgi", command.format("websocket_app"), answers=False) as server:
        status, hint = ask(b"GET /" + HEAD + b"\r\n")
        assert status == 426 and b"python -m websockets ws://127.0.0.1:8000/" in hint
        assert ask(b"HEAD /" + HEAD + b"\r\n") == (426, b"")
        connect = websockets.sync.client.connect
        url = "ws://127.0.0.1:8000/any/path"
        with connect(url, proxy=None) as one, connect(url, proxy=None) as other:
            messages = ["é", "", b"\0\xff", b"", "x" * 500_000] + ["many"] * 200
            for message in messages:
                one.send(message)
            other.send("other")
            assert [one.recv(timeout=10) for _ in messages] == messages
            assert other.recv(timeout=10) == "other"
            one.send("nobody reads the answer")
            break_off(one.socket)
            other.send("still here")
            assert other.recv(timeout=10) == "still here"
        assert "Traceback" not in server.log.read_text()


def test_websocket_without_a_server():
    async def run():
        scope = {"type": "websocket", "path": "/"}
        echo = ApplicationCommunicator(load("asgi/websocket_app.py"), scope)
        await echo.send_input({"type": "websocket.connect"})
        assert await echo.receive_output() == {"type": "websocket.accept"}
        await echo.send_input({"type": "websocket.receive", "text": "a"})
        answer = await echo.receive_output()
        assert answer == {"type": "websocket.send", "text": "a", "bytes": None}
        await echo.send_input({"type": "websocket.disconnect", "code": 1006})
        assert await echo.receive_nothing()
        await echo.wait()

    asyncio.run(run())


@pytest.mark.parametrize("command", ASGI)
def test_lifespan(serve, command):
    """Each worker opens before its first answer, and closes when the server ends."""
    with serve("asgi", command.format("lifespan_app")) as server:
        status, body = ask(b"GET /" + HEAD + b"\r\n")
        assert status == 200 and re.search(rb"SQLite \d+\.\d+", body)
        opened = 2 if "-w 2" in command else 1
        wait_until(lambda: server.log.read_text().count("database opened") == opened)
        assert "lifespan" not in server.log.read_text()
        server.terminate()
        server.wait(timeout=20)
        wait_until(lambda: server.log.read_text().count("database closed") == opened)


@pytest.mark.parametrize(
    "folder, command, said",
    [
        ("asgi", "gunicorn app:app", "missing 1 required positional argument: 'send'"),
        (
            "wsgi",
            "uvicorn app:app",
            "missing 1 required positional argument: 'start_response'",
        ),
        (
            "wsgi",
            "gunicorn -k asgi app:app",
            "takes 2 positional arguments but 3 were given",
        ),
    ],
)
def test_wrong_pairing(serve, folder, command, said):
    with serve(folder, command, answers=False) as server:
        assert ask(b"GET /" + HEAD + b"\r\n")[0] == 500
        assert f"TypeError: app() {said}" in server.log.read_text()


def test_the_interactive_client_comes_with_the_requirements():
    shown = subprocess.run(
        [sys.executable, "-m", "websockets", "--help"], check=True, capture_output=True
    )
    assert b"usage" in shown.stdout
