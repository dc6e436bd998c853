"""The frameworks' callables without a server: what they say, and that requests wait together.

Each in a process of its own, as Django can be configured once only. Without a clock: the
waits are replaced by a barrier, which lets nobody through before three have come to it.
"""

import os
import subprocess
import sys

import pytest
from support import ROOT

WSGI = """
import asyncio, concurrent.futures, threading, time
from {module} import app
from support import call_wsgi

barrier = threading.Barrier(3, timeout=20)

async def wait(seconds):
    barrier.wait()

time.sleep = lambda seconds: barrier.wait()
asyncio.sleep = wait
host = {{"SERVER_NAME": "127.0.0.1", "SERVER_PORT": "8000", "HTTP_HOST": "127.0.0.1"}}
with concurrent.futures.ThreadPoolExecutor(3) as threads:
    calls = [threads.submit(call_wsgi, app, PATH_INFO="{path}", **host) for _ in range(3)]
for call in calls:
    status, headers, body = call.result()
    print(status.split()[0], body)
"""
ASGI = """
import asyncio, threading, time
from {module} import app

barrier, loop_barrier = threading.Barrier(3, timeout=20), asyncio.Barrier(3)

async def wait(seconds):
    await asyncio.wait_for(loop_barrier.wait(), 20)

time.sleep = lambda seconds: barrier.wait()
asyncio.sleep = wait

async def call():
    sent, requests = [], asyncio.Queue()
    requests.put_nowait({{"type": "http.request", "body": b""}})
    async def send(message):
        sent.append(message)
    scope = {{"type": "http", "method": "GET", "path": "{path}", "query_string": b""}}
    await app(scope | {{"headers": [(b"host", b"127.0.0.1")]}}, requests.get, send)
    print(sent[0]["status"], b"".join(m.get("body", b"") for m in sent[1:]))

async def three():
    await asyncio.gather(call(), call(), call())

asyncio.run(three())
"""


@pytest.mark.parametrize(
    "folder, module, path",
    [
        ("wsgi", "flask_app", "/"),
        ("wsgi", "flask_app", "/async"),
        ("wsgi", "django_app", "/"),
        ("wsgi", "django_app", "/async"),
        ("asgi", "django_app", "/"),
        ("asgi", "django_app", "/async"),
        ("asgi", "fastapi_app", "/"),
        ("asgi", "fastapi_app", "/def"),
    ],
)
def test_three_requests_wait_together_and_get_hello(folder, module, path):
    code = (WSGI if folder == "wsgi" else ASGI).format(module=module, path=path)
    env = os.environ | {"PYTHONPATH": f"{ROOT / folder}:{ROOT / 'tests'}"}
    command = [sys.executable, "-c", code]
    run = subprocess.run(command, env=env, check=True, capture_output=True, text=True)
    assert run.stdout.splitlines() == [r"200 b'Hello, World!\n'"] * 3


def test_the_django_twins_differ_in_their_callable_only():
    twins = [(ROOT / f / "django_app.py").read_text() for f in ("wsgi", "asgi")]
    bodies = [text.split('"""')[2].splitlines() for text in twins]
    pairs = [(a, b) for a, b in zip(*bodies, strict=True) if a != b]
    imported = "from django.core.{0} import get_{0}_application"
    called = "app = get_{}_application()"
    expected = [
        tuple(line.format(p) for p in ("wsgi", "asgi")) for line in (imported, called)
    ]
    assert pairs == expected
