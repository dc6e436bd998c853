"""The applications without any server, judged by their specifications' own tools."""

import asyncio
import difflib
import importlib.util
import io
import time
import tokenize
from wsgiref.util import setup_testing_defaults
from wsgiref.validate import validator

import pytest
from asgiref.testing import ApplicationCommunicator
from conftest import ROOT

HELLO = b"Hello, World!\n"
FILES = ["app.py", "slow_app.py"]
TWINS = [*FILES, "cpu_app.py", "echo_app.py", "stream_app.py"]


def load(path):
    """Return the `app` of the file at `path`, without the folder on the import path."""
    spec = importlib.util.spec_from_file_location("loaded", ROOT / path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.app


def call_wsgi(app, method="GET", path="/", **environ):
    """Return (status, headers, body) of one call under PEP 3333's validator."""
    environ = {
        "REQUEST_METHOD": method,
        "PATH_INFO": path,
        "QUERY_STRING": "",
    } | environ
    environ["SCRIPT_NAME"] = ""
    setup_testing_defaults(environ)
    started = []

    def start_response(status, headers, exc_info=None):
        started.append((status, headers))

    answer = validator(app)(environ, start_response)
    body = b"".join(answer)
    answer.close()
    return *started[0], body


def call_asgi(app, scope, parts=(b"",)):
    """Return the messages that `app` sends for one `scope` and the `parts` of a body."""

    async def run():
        instance = ApplicationCommunicator(app, scope)
        for number, part in enumerate(parts, 1):
            message = {"type": "http.request", "body": part}
            await instance.send_input(message | {"more_body": number < len(parts)})
        messages = [await instance.receive_output(timeout=3) for _ in range(2)]
        assert await instance.receive_nothing(), "more messages than the answer"
        await instance.wait()
        return messages

    return asyncio.run(run())


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
def test_wsgi(method):
    status, headers, body = call_wsgi(load("wsgi/app.py"), method, "/any/path")
    assert (status, body) == ("200 OK", HELLO)
    assert headers == [("Content-Type", "text/plain"), ("Content-Length", "14")]


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
def test_asgi(method):
    scope = {"type": "http", "method": method, "path": "/any/path", "headers": []}
    start, body = call_asgi(load("asgi/app.py"), scope)
    headers = [(b"content-type", b"text/plain"), (b"content-length", b"14")]
    assert start == {"type": "http.response.start", "status": 200, "headers": headers}
    assert body == {"type": "http.response.body", "body": HELLO}


@pytest.mark.parametrize("file", [path.name for path in ROOT.glob("asgi/*_app.py")])
@pytest.mark.parametrize("kind", ["lifespan", "websocket", "something new"])
def test_asgi_refuses_other_scopes_at_once(file, kind):
    if file.startswith(kind):
        return  # the one that knows it

    async def run():
        await ApplicationCommunicator(load(f"asgi/{file}"), {"type": kind}).wait()

    begin = time.monotonic()
    with pytest.raises(NotImplementedError):
        asyncio.run(run())
    assert time.monotonic() - begin < 0.5, "it slept before it looked"


def test_slow_apps_wait_a_second_and_asgi_ones_together():
    begin = time.monotonic()
    assert call_wsgi(load("wsgi/slow_app.py"))[2] == HELLO
    wsgi = time.monotonic() - begin

    async def three():
        app, sent = load("asgi/slow_app.py"), []

        async def send(message):
            sent.append(message)

        await asyncio.gather(*(app({"type": "http"}, None, send) for _ in range(3)))
        return sent

    begin = time.monotonic()
    assert [m["body"] for m in asyncio.run(three()) if "body" in m] == [HELLO] * 3
    asgi = time.monotonic() - begin
    assert 0.95 < wsgi < 1.8 and 0.95 < asgi < 1.8


@pytest.mark.parametrize(
    "folder, module, wait",
    [("wsgi", "time", "time.sleep(1)"), ("asgi", "asyncio", "await asyncio.sleep(1)")],
)
def test_slow_app_is_app_plus_the_wait(folder, module, wait):
    fast, slow = ((ROOT / folder / f).read_text().splitlines() for f in FILES)
    lines = list(difflib.ndiff(fast, slow))
    added = [line[2:].strip() for line in lines if line.startswith("+ ")]
    taken = [line[2:] for line in lines if line.startswith("- ")]
    assert taken == fast[:1] and fast[0].startswith('"""') and fast[0].endswith('"""')
    assert added == [slow[0], "", f"import {module}", wait]


def test_blocking_app_is_slow_app_with_one_other_line():
    names = "slow_app.py", "blocking_app.py"
    slow, blocking = ((ROOT / "asgi" / n).read_text().splitlines() for n in names)
    pairs = [pair for pair in zip(slow, blocking, strict=True) if pair[0] != pair[1]]
    assert pairs[0] == (slow[0], blocking[0])
    assert pairs[1] == ("import asyncio", "import time")
    assert pairs[2][0].strip() == "await asyncio.sleep(1)"
    assert pairs[2][1].split("#")[0].strip() == "time.sleep(1)"
    assert len(pairs) == 3


def test_blocking_app_lets_one_wait_at_a_time():
    async def three():
        app = load("asgi/blocking_app.py")

        async def send(message):
            pass

        await asyncio.gather(*(app({"type": "http"}, None, send) for _ in range(3)))

    begin = time.monotonic()
    asyncio.run(three())
    assert 2.95 < time.monotonic() - begin < 4.5


@pytest.mark.parametrize("folder", ["wsgi", "asgi"])
def test_cpu_app_computes_for_a_tenth_of_a_second(folder):
    begin = time.thread_time()
    if folder == "wsgi":
        assert call_wsgi(load("wsgi/cpu_app.py"))[2] == HELLO
    else:
        scope = {"type": "http", "method": "GET", "path": "/", "headers": []}
        assert call_asgi(load("asgi/cpu_app.py"), scope)[1]["body"] == HELLO
    assert 0.1 <= time.thread_time() - begin < 0.2


@pytest.mark.parametrize("file", TWINS)
def test_twins_have_the_same_parts_in_the_same_order(file):
    def parts(path):
        text = io.StringIO((ROOT / path).read_text())
        names = [
            t.string
            for t in tokenize.generate_tokens(text.readline)
            if t.type == tokenize.NAME
        ]
        return [name for name in names if name in ("app", "body", "headers")]

    assert parts(f"wsgi/{file}") == parts(f"asgi/{file}") != []


def test_files_fit_on_a_slide():
    for path in [*ROOT.glob("wsgi/*.py"), *ROOT.glob("asgi/*.py")]:
        lines = path.read_text().splitlines()
        assert len(lines) <= 26, path
        assert lines[0].startswith('"""'), f"{path} lacks its opening sentence"
    for name in [*FILES, "cpu_app.py"]:
        for folder in ("wsgi", "asgi"):
            assert len((ROOT / folder / name).read_text().splitlines()) <= 20
