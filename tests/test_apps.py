"""The applications without any server, judged by their specifications' own tools."""

import asyncio
import difflib
import io
import time
import tokenize

import pytest
from asgiref.testing import ApplicationCommunicator
from support import HELLO, ROOT, call_asgi, call_wsgi, load

HELLO_APPS = ["app", "slow_app", "pool_app", "cpu_app"]
COUNTERPARTS = [*HELLO_APPS, "echo_app", "stream_app"]
KNOWN = {"websocket_app": "websocket", "lifespan_app": "lifespan"}  # besides http
FRAMEWORKS = "django_app", "fastapi_app", "fastapi_database_app"  # they are not ours
UNKNOWN = [
    (path.stem, kind)
    for path in ROOT.glob("asgi/*app.py")
    for kind in ("lifespan", "websocket", "something new")
    if kind != KNOWN.get(path.stem) and path.stem not in FRAMEWORKS
]


@pytest.fixture
def no_wait(monkeypatch):
    """Let waits take no time; return the list of their lengths in seconds."""
    waits, sleep = [], asyncio.sleep

    async def asyncio_sleep(seconds):
        if seconds != 0.01:  # asgiref's own
            waits.append(seconds)
        await sleep(0)

    async def asyncio_wait(tasks, timeout):
        waits.append(timeout)
        await sleep(0)

    monkeypatch.setattr(time, "sleep", waits.append)
    monkeypatch.setattr(asyncio, "sleep", asyncio_sleep)
    monkeypatch.setattr(asyncio, "wait", asyncio_wait)
    return waits


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
@pytest.mark.parametrize("name", HELLO_APPS)
def test_hello(no_wait, name, method):
    status, headers, body = call_wsgi(load(f"wsgi/{name}.py"), method)
    assert (status, body) == ("200 OK", HELLO)
    assert headers == [("Content-Type", "text/plain"), ("Content-Length", "14")]
    status, headers, body = call_asgi(load(f"asgi/{name}.py"), method=method)
    assert (status, body) == (200, HELLO)
    assert headers == [(b"content-type", b"text/plain"), (b"content-length", b"14")]
    assert no_wait == ([1, 1] if name in ("slow_app", "pool_app") else [])


@pytest.mark.parametrize("name, kind", UNKNOWN)
def test_an_unknown_scope_is_refused_before_any_wait(no_wait, name, kind):
    """ASGI: "If an application does not know a type, it should raise an exception"."""

    async def run():
        await ApplicationCommunicator(load(f"asgi/{name}.py"), {"type": kind}).wait()

    with pytest.raises(NotImplementedError):
        asyncio.run(run())
    assert no_wait == []


@pytest.mark.parametrize(
    "name, expected", [("slow_app", "((()))"), ("blocking_app", "()()()")]
)
def test_three_requests_wait_together_or_one_after_the_other(monkeypatch, name, expected):
    """Proved without a clock: a bracket for the moment when a wait begins, or ends."""
    moments, sleep = [], asyncio.sleep

    async def asyncio_sleep(seconds):
        moments.append("(")
        for _ in range(10):
            await sleep(0)  # whoever else can begin begins
        moments.append(")")

    monkeypatch.setattr(asyncio, "sleep", asyncio_sleep)
    monkeypatch.setattr(time, "sleep", lambda seconds: moments.append("()"))
    app = load(f"asgi/{name}.py")

    async def send(message):
        await sleep(0)

    async def three():
        await asyncio.gather(*(app({"type": "http"}, None, send) for _ in range(3)))

    asyncio.run(three())
    assert "".join(moments) == expected


@pytest.mark.parametrize("folder", ["wsgi", "asgi"])
def test_cpu_app_computes_for_a_tenth_of_a_second(folder):
    """Of a processor's time, not of the clock's."""
    begin, app = time.thread_time(), load(f"{folder}/cpu_app.py")
    call_wsgi(app) if folder == "wsgi" else call_asgi(app)
    assert 0.1 <= time.thread_time() - begin < 0.2


ODD = ["/", "/a b", "/é", "/%", "//a/../b"]


@pytest.mark.parametrize("path", ODD)
@pytest.mark.parametrize("parts", [[b""], [b"a"], [b"\0", b"", b"\xff" * 70_000]])
def test_echo_counterparts_agree(path, parts):
    """Called with what a server makes of the same request (PEP 3333 and ASGI)."""
    body, query, agent = b"".join(parts), "x=1&y=%20", "caf\xe9"
    environ = {
        "PATH_INFO": path.encode().decode("latin-1"),
        "QUERY_STRING": query,
        "HTTP_USER_AGENT": agent,
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.input": io.BytesIO(body),
    }
    scope = {
        "path": path,
        "query_string": query.encode(),
        "headers": [(b"accept", b"*/*"), (b"user-agent", agent.encode("latin-1"))],
    }
    _, _, wsgi_body = call_wsgi(load("wsgi/echo_app.py"), "POST", **environ)
    _, _, asgi_body = call_asgi(load("asgi/echo_app.py"), parts, method="POST", **scope)
    assert wsgi_body == asgi_body and asgi_body.endswith(b"\n\n" + body)
    assert asgi_body.startswith(f"POST {path}\nquery: {query}\n".encode())


def test_echo_does_not_respond_to_half_a_request():
    async def run():
        scope = {"type": "http", "method": "POST", "path": "/", "headers": []}
        scope["query_string"] = b""
        echo = ApplicationCommunicator(load("asgi/echo_app.py"), scope)
        part = {"type": "http.request", "body": b"a", "more_body": True}
        await echo.send_input(part)
        await echo.send_input({"type": "http.disconnect"})
        await echo.wait()
        assert await echo.receive_nothing()

    asyncio.run(run())


def test_streams_send_five_lines_a_second_apart(no_wait, capsys):
    lines = b"".join(b"line %d\n" % number for number in range(1, 6))
    assert call_wsgi(load("wsgi/stream_app.py"))[2] == lines
    assert call_asgi(load("asgi/stream_app.py"))[2] == lines
    assert no_wait == [1] * 10
    assert capsys.readouterr().out == "stream ended after line 5\n" * 2


def test_streams_end_when_their_client_leaves(capsys):
    """WSGI: the server calls close(). ASGI: receive() says http.disconnect."""
    stream = load("wsgi/stream_app.py")({}, lambda status, headers: None)
    assert next(stream) == b"line 1\n"
    stream.close()

    async def run():
        stream = ApplicationCommunicator(load("asgi/stream_app.py"), {"type": "http"})
        await stream.send_input({"type": "http.request"})
        assert (await stream.receive_output())["status"] == 200
        assert (await stream.receive_output())["body"] == b"line 1\n"
        await stream.send_input({"type": "http.disconnect"})
        assert not (await stream.receive_output()).get("more_body")
        await stream.wait()

    asyncio.run(run())
    assert capsys.readouterr().out == "stream ended after line 1\n" * 2


def test_websocket_sends_back_what_it_is_sent():
    async def run():
        scope = {"type": "websocket", "path": "/"}
        socket = ApplicationCommunicator(load("asgi/websocket_app.py"), scope)
        await socket.send_input({"type": "websocket.connect"})
        assert await socket.receive_output() == {"type": "websocket.accept"}
        for sent in ({"text": "é", "bytes": None}, {"text": None, "bytes": b"\0"}):
            await socket.send_input({"type": "websocket.receive"} | sent)
            expected = {"type": "websocket.send"} | sent
            assert await socket.receive_output() == expected
        await socket.send_input({"type": "websocket.disconnect", "code": 1006})
        await socket.wait()
        assert await socket.receive_nothing()

    asyncio.run(run())
    assert call_asgi(load("asgi/websocket_app.py"))[0] == 426  # no WebSocket: a hint


def lines(path):
    return (ROOT / path).read_text().splitlines()


@pytest.mark.parametrize(
    "folder, module, wait",
    [("wsgi", "time", "time.sleep(1)"), ("asgi", "asyncio", "await asyncio.sleep(1)")],
)
def test_slow_app_is_app_plus_the_wait(folder, module, wait):
    """And another opening sentence, and another command to run it."""
    fast, slow = lines(f"{folder}/app.py"), lines(f"{folder}/slow_app.py")
    differences = list(difflib.ndiff(fast, slow))
    added = [line[2:].strip() for line in differences if line[0] == "+"]
    removed = [line[2:] for line in differences if line[0] == "-"]
    assert removed == [fast[0], fast[2]]
    assert sorted(added) == sorted([slow[0], slow[2], f"import {module}", "", wait])


def test_blocking_app_is_slow_app_with_one_other_line():
    slow, blocking = lines("asgi/slow_app.py"), lines("asgi/blocking_app.py")
    pairs = [(a, b) for a, b in zip(slow, blocking, strict=True) if a != b]
    assert pairs[:2] == [(slow[0], blocking[0]), (slow[2], blocking[2])]
    assert pairs[2] == ("import asyncio", "import time")
    assert pairs[3][0].strip() == "await asyncio.sleep(1)"
    assert pairs[3][1].split("#")[0].strip() == "time.sleep(1)"
    assert len(pairs) == 4


@pytest.mark.parametrize("name", COUNTERPARTS)
def test_counterparts_have_the_same_parts_in_the_same_order(name):
    def parts(path):
        source = io.StringIO((ROOT / path).read_text())
        found = [token.string for token in tokenize.generate_tokens(source.readline)]
        return [name for name in found if name in ("app", "body", "headers")]

    assert parts(f"wsgi/{name}.py") == parts(f"asgi/{name}.py") != []


@pytest.mark.parametrize(
    "path",
    [str(p.relative_to(ROOT)) for f in ("wsgi", "asgi") for p in ROOT.glob(f"{f}/*.py")],
)
def test_a_file_is_a_slide(path):
    """Its opening sentence has a subject; the command that runs it has a line of its own."""
    found, name = lines(path), path.split("/")[1].removesuffix(".py")
    longest = {"runfromgunicorn": 39, "fastapi_database_app": 62}
    assert len(found) <= longest.get(name, 28)
    assert found[0].startswith(
        ('"""A WSGI app', '"""An ASGI app', '"""Started from Python')
    )
    assert found[1] == "" and found[3] == '"""'
    assert f"{name}:app" in found[2] or found[2] == f"python {name}.py"
    assert all(len(line) <= 88 for line in found)
