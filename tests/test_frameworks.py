"""The frameworks' views on the servers: how many of them are in progress together."""

import re

import pytest
from support import ROOT, burst, serve

pytestmark = pytest.mark.usefixtures("ports")
# The views' sleep of a second becomes a gate that opens when so many views wait there. Then
# all of them stay a little: if there were room for more, more would come in.
GATE = """
import asyncio, importlib, threading, time
SLOTS, lock, gate, counts = {slots}, threading.Lock(), threading.Event(), [0]
sleep, async_sleep = time.sleep, asyncio.sleep

def enter(number):
    with lock:
        counts.append(counts[-1] + number)
        if counts[-1] >= SLOTS:
            gate.set()
        print("in progress:", counts[-1], flush=True)

def wait(seconds):
    if seconds != 1:
        return sleep(seconds)
    enter(1)
    gate.wait(20)
    sleep(0.5)
    enter(-1)

async def async_wait(seconds, *more):
    if seconds != 1:
        return await async_sleep(seconds, *more)
    enter(1)
    while not gate.is_set():
        await async_sleep(0.05)
    await async_sleep(0.5)
    enter(-1)

time.sleep, asyncio.sleep = wait, async_wait
app = importlib.import_module("{module}").app
"""


@pytest.mark.parametrize(
    "folder, command, path, slots",
    [
        ("wsgi", "gunicorn --threads 2 flask_app:app", "/async", 2),
        ("asgi", "uvicorn django_app:app", "/", 60),
        ("asgi", "uvicorn fastapi_app:app", "/", 60),
        ("asgi", "uvicorn fastapi_app:app", "/def", 40),
    ],
)
def test_slots(monkeypatch, tmp_path, folder, command, path, slots):
    """As many as that are in progress together, and never more."""
    module = re.search(r"(\w+):app", command)[1]
    (tmp_path / "gate.py").write_text(GATE.format(slots=slots, module=module))
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{ROOT / folder}")
    with serve(
        folder, command.replace(module, "gate"), "http://127.0.0.1:8000/no"
    ) as server:
        assert len(burst(slots if slots == 60 else slots + 10, path)) >= slots
        counts = re.findall(r"in progress: (\d+)", server.log.read_text())
    assert max(map(int, counts)) == slots


def test_the_django_counterparts_differ_in_their_callable_only():
    pair = [(ROOT / f / "django_app.py").read_text() for f in ("wsgi", "asgi")]
    bodies = [text.split('"""')[2].splitlines() for text in pair]
    different = [(a, b) for a, b in zip(*bodies, strict=True) if a != b]
    imported = "from django.core.{0} import get_{0}_application"
    called = "app = get_{}_application()"
    sides = [tuple(line.format(p) for p in ("wsgi", "asgi")) for line in (imported, called)]
    assert different == sides
