"""What several test files use: applications without a server, and servers."""

import asyncio
import contextlib
import re
import runpy
import shlex
import socketserver
import tempfile
import threading
import time
from http.client import HTTPConnection
from pathlib import Path
from wsgiref.util import setup_testing_defaults
from wsgiref.validate import validator

import psutil
from asgiref.testing import ApplicationCommunicator

from burst import URL, address, together
from launch import ROOT, Server

HELLO = b"Hello, World!\n"
LOGS = tempfile.TemporaryDirectory(prefix="lesson-")  # removed at the end


# Applications without a server


def load(path):
    """Return the `app` of the file at `path`, a path inside the repository."""
    return runpy.run_path(str(ROOT / path))["app"]


def call_wsgi(app, method="GET", **environ):
    """Return (status, headers, body) of one call, judged by PEP 3333's validator."""
    path = {"SCRIPT_NAME": "", "PATH_INFO": "/", "QUERY_STRING": ""}
    environ = path | {"REQUEST_METHOD": method} | environ
    setup_testing_defaults(environ)
    started = []

    def start_response(status, headers, exc_info=None):
        started.append((status, headers))

    response = validator(app)(environ, start_response)
    body = b"".join(response)
    response.close()
    status, headers = started[0]
    assert dict(headers).get("Content-Length") in (None, str(len(body)))
    return status, headers, body


def call_asgi(app, parts=(b"",), **scope):
    """Return (status, headers, body) of one call, with the `parts` of a request's body.

    Whatever the specification would not have, asgiref's communicator or this refuses.
    With a `state` in the scope, the call for the lifespan lasts from before until after.
    """
    scope = {"method": "GET", "path": "/", "headers": [], "query_string": b""} | scope

    async def says(called, kind, answer):
        await called.send_input({"type": kind})
        assert await called.receive_output(timeout=5) == {"type": answer}

    async def run():
        if "state" in scope:
            life = ApplicationCommunicator(
                app, {"type": "lifespan", "state": scope["state"]}
            )
            await says(life, "lifespan.startup", "lifespan.startup.complete")
        called = ApplicationCommunicator(app, {"type": "http"} | scope)
        for number, part in enumerate(parts, 1):
            message = {"type": "http.request", "body": part}
            await called.send_input(message | {"more_body": number < len(parts)})
        start = await called.receive_output(timeout=5)
        assert start["type"] == "http.response.start"
        pieces, more = [], True
        while more:
            message = await called.receive_output(timeout=5)
            assert message["type"] == "http.response.body"
            pieces.append(message.get("body", b""))
            more = message.get("more_body")
        await called.wait()
        assert await called.receive_nothing(), "it goes on after the end of the body"
        headers, body = start["headers"], b"".join(pieces)
        assert all(type(x) is bytes for pair in headers for x in pair)
        assert all(name == name.lower() for name, _ in headers)
        assert dict(headers).get(b"content-length") in (None, b"%d" % len(body))
        if "state" in scope:
            await says(life, "lifespan.shutdown", "lifespan.shutdown.complete")
            await life.wait()
        return start["status"], headers, body

    return asyncio.run(run())


# Servers


@contextlib.contextmanager
def serve(folder, command, url=URL):
    """Run a server while the block lasts; yield it, a launch.Server that listens.

    Its `log` is the path of what it says. It is killed at the end. mirakuru raises
    AlreadyRunning, and what it says of a server that does not start.
    """
    parts = command if isinstance(command, list) else shlex.split(command)
    log = Path(LOGS.name, re.sub(r"\W+", "-", f"{folder} {parts}")[-80:])
    url = address(url)
    with log.open("w") as output:
        how = {"cwd": ROOT / folder, "timeout": 20, "stdout": output, "stderr": output}
        server = Server(parts, url.hostname, url.port or 80, **how)
        server.log = log
        try:
            server.start()
            yield server
        finally:
            server.end()
            print(f"{folder}$ {command}\n{log.read_text()}")  # seen if the test fails


def status(url=URL):
    """Return the status of a response, without waiting for its body."""
    url = address(url)
    client = HTTPConnection(url.hostname, url.port or 80, timeout=20)
    with contextlib.closing(client):
        client.request("GET", url.path)
        return client.getresponse().status


@contextlib.contextmanager
def responding(response, port=8000):
    """Respond with these bytes to each request, and hang up."""

    class Handler(socketserver.BaseRequestHandler):
        def handle(self):
            if self.request.recv(65536):  # else somebody looked who listens
                time.sleep(0.02)  # a load of it shall use up no core
                self.request.sendall(response)

    class Server(socketserver.ThreadingTCPServer):
        allow_reuse_address, request_queue_size = True, 100

    with Server(("127.0.0.1", port), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,)).start()
        yield
        server.shutdown()


def family(server):
    """Return the ids of the process that mirakuru has started, and of all its children."""
    process = psutil.Process(server.process.pid)
    return [process.pid, *(child.pid for child in process.children(recursive=True))]


def burst(how_many, url=URL):
    """Return after how many whole seconds each response of a burst came, in their order."""
    responses = [*together(how_many, address(url), timeout=60)]
    assert all(wrong is None for _, wrong in responses), responses
    return [round(seconds) for seconds, _ in responses]


def wait_until(condition, seconds=20):
    """Return when `condition()` is true. Raises AssertionError after so many `seconds`."""
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "it did not happen in time"
        time.sleep(0.1)
