"""The applications without any server, judged by their specifications' own tools."""

import asyncio
import contextlib
import difflib
import functools
import importlib
import io
import re
import sqlite3
import time

import httpx
import pytest
from asgiref.testing import ApplicationCommunicator
from support import HELLO, ROOT, call_asgi, call_wsgi, load

HELLO_APPS = ["app", "slow_app", "pool_app", "cpu_app"]
KNOWN = {"client_app": "lifespan", "lifespan_app": "lifespan", "websocket_app": "websocket"}
UNKNOWN = [
    (path.stem, kind)
    for path in ROOT.glob("asgi/*app.py")
    for kind in ("lifespan", "websocket", "something new")
    if kind != KNOWN.get(path.stem) and not re.search("django|fastapi", path.stem)
]


@pytest.fixture
def no_wait(monkeypatch):
    """Let waits take no time; return the list of them, each as its function's name."""
    waits, sleep, wait = [], asyncio.sleep, asyncio.wait

    async def asyncio_sleep(seconds):
        if seconds != 0.01:  # asgiref's own
            waits.append(f"asyncio.sleep({seconds})")
        await sleep(0)

    async def asyncio_wait(tasks, timeout=None, **how):
        if timeout is None:  # Django's own
            return await wait(tasks, **how)
        waits.append(f"asyncio.wait({timeout})")
        await sleep(0)

    monkeypatch.setattr(
        time, "sleep", lambda seconds: waits.append(f"time.sleep({seconds})")
    )
    monkeypatch.setattr(asyncio, "sleep", asyncio_sleep)
    monkeypatch.setattr(asyncio, "wait", asyncio_wait)
    return waits


@pytest.mark.parametrize("name", HELLO_APPS)
def test_hello(no_wait, name):
    status, headers, body = call_wsgi(load(f"wsgi/{name}.py"))
    assert (status, body) == ("200 OK", HELLO)
    assert headers == [("Content-Type", "text/plain"), ("Content-Length", "14")]
    status, headers, body = call_asgi(load(f"asgi/{name}.py"))
    assert (status, body) == (200, HELLO)
    assert headers == [(b"content-type", b"text/plain"), (b"content-length", b"14")]
    waits = (
        ["time.sleep(1)", "asyncio.sleep(1)"] if name in ("slow_app", "pool_app") else []
    )
    assert no_wait == waits


@pytest.mark.parametrize(
    "app, path, wait",
    [
        ("wsgi/flask_app", "/", "time.sleep(1)"),
        ("wsgi/flask_app", "/async", "asyncio.sleep(1)"),
        ("wsgi/django_app", "/", "time.sleep(1)"),
        ("wsgi/django_app", "/async", "asyncio.sleep(1)"),
        ("asgi/fastapi_app", "/", "asyncio.sleep(1)"),
        ("asgi/fastapi_app", "/def", "time.sleep(1)"),
        ("asgi/fastapi_database_app", "/plain", "time.sleep(0.2)"),
        ("asgi/fastapi_database_app", "/declared", "time.sleep(0.2)"),
        ("asgi/fastapi_database_app", "/inside", "time.sleep(0.2)"),
    ],
)
def test_the_frameworks_views_wait(no_wait, monkeypatch, app, path, wait):
    """How many of them are in progress together, `make walkthrough` types."""
    monkeypatch.syspath_prepend(ROOT / app[:4])
    view = importlib.import_module(app[5:]).app  # Django looks for the module by its name
    if app[:4] == "wsgi":
        body = call_wsgi(view, PATH_INFO=path)[2]
    else:
        body = call_asgi(view, path=path)[2]
    assert body == (b'{"number":1}' if "database" in app else HELLO)
    assert no_wait == [wait]


@pytest.mark.parametrize("name, kind", UNKNOWN)
def test_an_unknown_scope_is_refused_before_any_wait(no_wait, name, kind):
    """ASGI: "If an application does not know a type, it should raise an exception"."""

    async def run():
        await ApplicationCommunicator(load(f"asgi/{name}.py"), {"type": kind}).wait()

    with pytest.raises(NotImplementedError):
        asyncio.run(run())
    assert no_wait == []


@pytest.mark.parametrize("folder", ["wsgi", "asgi"])
def test_cpu_app_computes_for_a_tenth_of_a_second(folder):
    """Of a processor's time, not of the clock's."""
    begin, app = time.thread_time(), load(f"{folder}/cpu_app.py")
    call_wsgi(app) if folder == "wsgi" else call_asgi(app)
    assert 0.1 <= time.thread_time() - begin < 0.2


@pytest.mark.parametrize("path", ["/", "/a b", "/é", "/%", "//a/../b"])
@pytest.mark.parametrize("parts", [[b""], [b"a"], [b"\0", b"", b"\xff" * 70_000]])
def test_echo_counterparts_agree(path, parts):
    """Called with what a server makes of the same request (PEP 3333 and ASGI)."""
    body, query, agent = b"".join(parts), "x=1&y=%20", "caf\xe9"
    environ = {
        "PATH_INFO": path.encode().decode("latin-1"),
        "QUERY_STRING": query,
        "HTTP_USER_AGENT": agent,
    }
    scope = {
        "path": path,
        "query_string": query.encode(),
        "headers": [(b"accept", b"*/*"), (b"user-agent", agent.encode("latin-1"))],
    }
    _, _, expected = call_asgi(load("asgi/echo_app.py"), parts, method="POST", **scope)
    assert expected.startswith(f"POST {path}\nquery: {query}\n".encode())
    assert expected.endswith(b"\n\n" + body)
    echo = functools.partial(call_wsgi, load("wsgi/echo_app.py"), "POST", **environ)
    more = {"wsgi.input": io.BytesIO(body + b"more"), "CONTENT_LENGTH": str(len(body))}
    assert echo(**more)[2] == expected  # and leaves alone what comes after the length
    chunks = {"wsgi.input": io.BytesIO(body), "wsgi.input_terminated": True}
    assert echo(**chunks)[2] == expected


def test_streams_send_five_lines_a_second_apart(no_wait, capsys):
    lines = b"".join(b"line %d\n" % number for number in range(1, 6))
    assert call_wsgi(load("wsgi/stream_app.py"))[2] == lines
    assert call_asgi(load("asgi/stream_app.py"))[2] == lines
    assert no_wait == ["time.sleep(1)"] * 5 + ["asyncio.wait(1)"] * 5
    assert capsys.readouterr().out == "stream ended after line 5\n" * 2


def test_streams_end_when_their_client_leaves(no_wait, capsys):
    """WSGI: the server calls close(). ASGI: receive() says so, or send() raises OSError."""
    stream = load("wsgi/stream_app.py")({}, lambda status, headers: None)
    assert [next(stream), next(stream)] == [b"line 1\n", b"line 2\n"]
    stream.close()

    async def run(leave):
        sent, received = [], asyncio.Queue()

        async def send(message):
            sent.append(message)
            if message.get("body") == b"line 2\n":
                await leave(received)

        with contextlib.suppress(ConnectionResetError):
            await load("asgi/stream_app.py")({"type": "http"}, received.get, send)
        assert len(sent) == 3, "it goes on sending to nobody"
        await asyncio.sleep(0)
        assert len(asyncio.all_tasks()) == 1, "it goes on listening to nobody"

    async def disconnect(received):
        await received.put({"type": "http.disconnect"})

    async def reset(received):
        raise ConnectionResetError

    asyncio.run(run(disconnect))
    asyncio.run(run(reset))
    assert capsys.readouterr().out == "stream ended after line 2\n" * 3


def test_websocket_sends_back_what_it_is_sent():
    app = load("asgi/websocket_app.py")

    async def run():
        socket = ApplicationCommunicator(app, {"type": "websocket", "path": "/"})
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
    status, headers, _ = call_asgi(app)  # no WebSocket: a hint
    assert status == 426 and (b"upgrade", b"websocket") in headers


def test_lifespan_app_closes_what_it_has_opened():
    state = {}
    _, _, body = call_asgi(load("asgi/lifespan_app.py"), state=state)
    assert body == f"SQLite {sqlite3.sqlite_version}\n".encode()
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        state["database"].execute("SELECT 1")


def test_lifespan_app_says_that_it_cannot_start(monkeypatch, tmp_path):
    connect = functools.partial(sqlite3.connect, tmp_path)  # a folder is no database
    monkeypatch.setattr(sqlite3, "connect", lambda name: connect())
    sent = []

    async def receive():
        return {"type": "lifespan.startup"}

    async def send(message):
        sent.append((message["type"], message["message"]))

    asyncio.run(load("asgi/lifespan_app.py")({"type": "lifespan"}, receive, send))
    assert sent == [("lifespan.startup.failed", "unable to open database file")]


def test_client_app_passes_on_what_it_is_given(monkeypatch):
    """But no error page, which would look like a good response."""
    responses = iter([httpx.Response(200, content=HELLO), httpx.Response(503)])
    service = httpx.MockTransport(lambda request: next(responses))
    client = functools.partial(httpx.AsyncClient, transport=service)
    monkeypatch.setattr(httpx, "AsyncClient", client)
    state, app = {}, load("asgi/client_app.py")
    assert call_asgi(app, state=state)[2] == HELLO
    assert state["client"].is_closed
    with pytest.raises(httpx.HTTPStatusError):
        asyncio.run(app({"type": "http", "state": {"client": client()}}, None, None))


SLOW = "+ | +import time | +time.sleep(1)"
ASYNC_SLOW = "+ | +import asyncio | +await asyncio.sleep(1)"
BLOCKING = "-import asyncio | +import time | -await asyncio.sleep(1) | +time.sleep(1)"
DJANGO = "-from django.core.wsgi import get_wsgi_application"
DJANGO += f" | {DJANGO.replace('-', '+').replace('wsgi', 'asgi')}"
DJANGO += " | -app = get_wsgi_application() | +app = get_asgi_application()"


@pytest.mark.parametrize(
    "before, after, changes",
    [
        ("wsgi/app.py", "wsgi/slow_app.py", SLOW),
        ("asgi/app.py", "asgi/slow_app.py", ASYNC_SLOW),
        ("asgi/slow_app.py", "asgi/blocking_app.py", BLOCKING),
        ("wsgi/django_app.py", "asgi/django_app.py", DJANGO),
    ],
)
def test_what_files_that_are_alike_differ_in(before, after, changes):
    """Below the docstring, and without comments."""
    pair = [(ROOT / file).read_text().split('"""')[2] for file in (before, after)]
    found = difflib.ndiff(*[text.splitlines() for text in pair])
    lines = [
        line[0] + line[1:].split("  #")[0].strip() for line in found if line[0] in "+-"
    ]
    assert " | ".join(lines) == changes


@pytest.mark.parametrize("folder", ["wsgi", "asgi"])
def test_the_pool_has_the_five_connections_that_pages_count(folder):
    """make walkthrough counts them by bursts, but not on macOS."""
    assert "Semaphore(5)" in (ROOT / folder / "pool_app.py").read_text()
