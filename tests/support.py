"""What several test files use: applications without a server, and servers."""

import asyncio
import contextlib
import re
import runpy
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from wsgiref.util import setup_testing_defaults
from wsgiref.validate import validator

import psutil
from asgiref.testing import ApplicationCommunicator
from mirakuru import HTTPExecutor

ROOT = Path(__file__).resolve().parent.parent
URL = "http://127.0.0.1:8000/"
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
def serve(folder, command, status="2..", url=URL, **options):
    """Start a server, wait until it responds with that `status`, yield it, then end it.

    What is yielded is mirakuru's executor; its `log` is the path of what the server says.
    mirakuru raises AlreadyRunning if anybody responds before. The `options` are its own.
    """
    name = re.sub(r"\W+", "-", f"{folder} {command}")[:80]
    log = Path(LOGS.name, name)
    with log.open("w") as output:
        server = HTTPExecutor(
            command,
            url,
            status=status,
            method="GET",
            cwd=folder if Path(folder).is_absolute() else ROOT / folder,
            timeout=20,
            stdout=output,
            stderr=output,
            **options,
        )
        server.log = log
        with server:
            yield server


def family(server):
    """Return the ids of the process that mirakuru has started, and of all its children."""
    process = psutil.Process(server.process.pid)
    return [process.pid, *(child.pid for child in process.children(recursive=True))]


def burst(how_many=12, path="/", status=None):
    """Return after how many whole seconds burst.py got each response, in their order.

    With a `status`, return instead whether each response had it. burst.py names only those
    of 400 or more.
    """
    command = [sys.executable, ROOT / "burst.py", str(how_many), path]
    run = subprocess.run(command, capture_output=True, check=status is None, text=True)
    lines = [line.rsplit(" s", 1) for line in run.stdout.splitlines()]
    if status is not None:
        return all((said.strip() or "200") == str(status) for _, said in lines)
    pairs = [line.split(" ") for line, _ in lines]
    assert all(len(bar) == min(round(10 * float(s)), 60) for bar, s in pairs), pairs
    return [round(float(seconds)) for _, seconds in pairs]


def wait_until(condition, seconds=20):
    """Return when `condition()` is true. Raises AssertionError after so many `seconds`."""
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "it did not happen in time"
        time.sleep(0.1)
