"""measure.py: the arithmetic with figures made up, and real servers of one's own."""

import os
import re
import shutil
import socket
import subprocess
import sys
from collections import namedtuple
from types import SimpleNamespace
from unittest import mock

import pytest
from support import ROOT, responding, serve, status

from burst import address

with mock.patch.dict(os.environ, LOCUST_SKIP_MONKEY_PATCH="1"):  # not this process
    import measure

pytestmark = pytest.mark.usefixtures("ports")
POOL = measure.Result(  # of five slots, a second each, with twenty users
    rate=5, mean=4, times=[4000, 4100], errors=[], unserved=0, late=0, locust=0.1,
    server=0.1, process=0.1, machine=0.3, alone=[1, 1], inside=20,
)  # fmt: skip
FULL = measure.CORES
Times = namedtuple("Times", "user system children_user children_system")
FAILED = [SimpleNamespace(occurrences=n, error="x") for n in (3, 4)]


@pytest.mark.parametrize(
    "change, sentence",
    [
        ({}, "Works like 5 slots: 5.0 responses per second x 1.000 s alone."),
        ({"rate": 5.4, "inside": 19}, "Works like 5 slots: 5.4 responses"),
        ({"alone": [0.2, 0.2]}, "Works like 1 slot: 5.0 responses per second x 0.200 s"),
        ({"alone": [0.12, 0.12]}, "No slots: together requests take longer than one after"),
        ({"rate": 8, "mean": 2.5}, "At least 8 slots. To be sure: --users 24."),
        ({"rate": 8.1, "mean": 2.5}, "At least 8 slots. To be sure: --users 25."),
        ({"rate": 23, "mean": 0.9}, "No slots: alone it took 1.00 s, beside others less."),
        ({"errors": FAILED}, "No slots: 7 requests failed."),
        ({"unfinished": 8}, "No slots: 8 of 20 users got no response any more."),
        ({"strangers": 2}, "No slots: others have 2 connections to this server, too."),
        ({"alone": [2.5, 1, 1]}, "It still worked 2.5 s after its last response."),
        ({"alone": [0.02, 0.02, 1]}, "No slots: alone it took 0.02 to 1.00 s."),
        (
            {"process": 0.9, "server": 0.9},
            "was the limit, not slots: 180 ms per request, and",
        ),
        ({"server": 0.8 * FULL}, f"and all {FULL} cores were busy."),
        ({"machine": 0.9 * FULL, "server": 0.2 * FULL}, f"and all {FULL} cores were busy."),
        ({"machine": FULL}, "Works like 5 slots"),  # others compute, this one waits
        ({"inside": 10}, "No slots: only 10 of 20 users were in the server; the others"),
        ({"inside": 10, "unserved": 5}, "Works like 5 slots"),
        ({"mean": 2}, "No slots: 5.0 responses per second x 2.0 s make 10 users, not 20."),
        ({"mean": 2, "unserved": 5}, "Works like 5 slots"),
    ],
)
def test_slots_are_told_or_why_they_cannot_be(change, sentence):
    assert sentence in measure.slots(POOL._replace(**change), 20)


@pytest.fixture
def clock(monkeypatch):
    """Let no time pass but that which the code sleeps, and two seconds more each time."""
    clock = SimpleNamespace(now=100.0, during=lambda now: None)

    def sleep(seconds):
        clock.during(clock.now)
        clock.now += seconds + 2

    read = {name: lambda: clock.now for name in ("monotonic", "time")}
    half = {"process_time": lambda: clock.now / 2, "sleep": sleep}
    monkeypatch.setattr(measure, "time", SimpleNamespace(**read, **half))
    return clock


@pytest.fixture
def load():
    return measure.Load(4, address("/"))


def test_counting(clock, load):
    """Only good responses have times; half a core is Locust's, a quarter the server's."""

    def during(now):
        for milliseconds in [100] * 18 + [200, 400]:
            load.note(now, milliseconds, None)
        for milliseconds in (0, 9000):
            load.note(now, milliseconds, "an error")

    during(clock.now)  # before the counting
    clock.during = during
    process = mock.Mock(pid=5)
    process.cpu_times = lambda: Times(clock.now / 8, clock.now / 8, 0, 0)
    found = load.count(6, lambda: [process], unserved=1)
    assert (found.rate, found.mean, found.times) == (20 / 8, 0.12, [100, 400])
    assert (found.late, found.unserved, found.locust) == (2, 1, 0.5)
    assert (found.process, found.server) == (0.25, 0.25)


def test_how_many_users_are_inside(load):
    """Of those waiting from 0 to 2, 1 to 3 and 9 to 10, in the time from 1 to 3: 1.5."""
    load.requests = [(1, 0, 2), (2, 1, 3), (3, 9, 10)]
    assert load.inside(1, 3) == 1.5


@pytest.mark.parametrize(
    "ends, together",
    [([1, 1, 1, 2, 2, 2], True), ([1, 1.25, 1.5, 1.75, 2], False), ([0, 1, 1.2], False)],
)
def test_whether_responses_come_in_waves(load, ends, together):
    """Those that came before the counting do not matter."""
    load.requests = [(1, 0, end) for end in ends]
    load.good.log_request("GET", "/", 1000, 0)
    assert load.in_step(begin=0.5) is together


@pytest.mark.parametrize("lasts, unfinished", [(0, 0), (6.0, 3)])
def test_the_last_responses(clock, load, lasts, unfinished):
    """After thrice the longest time whoever still waits gets none any more."""

    def stop():
        assert load.locust.stop_timeout == 6
        clock.now += lasts
        load.requests.append((1, 99, clock.now))

    load.requests = [(1, 97, 99), (2, 97, 99)]
    load.locust = SimpleNamespace(runner=SimpleNamespace(stop=stop))
    assert load.finish() == unfinished


@pytest.mark.parametrize(
    "served, patience, late", [(4, 1, 0), (3, 1, 1), (3, 99, 1), (0, 1, 4)]
)
def test_waiting_until_all_are_served(clock, load, served, patience, late):
    begin, load.served = clock.now, dict.fromkeys(range(served), clock.now)
    assert load.wait_until_served(30, patience) == late
    assert clock.now - begin < (4 if served == 4 or patience == 1 else 34)


@pytest.mark.parametrize(
    "takes, mean, waves, counted",
    [(3, 6, False, [6]), (2, 4, False, [6]), (0.5, 0.5, True, [5]), (1, 1.5, True, [5, 6])],
)
def test_whole_rounds_are_counted(clock, takes, mean, waves, counted):
    """Of 5 s or a little longer: of requests alone, or of a blocked loop's waves."""
    load = mock.Mock()
    load.wait_until_served.return_value = 0
    load.in_step.return_value = waves
    load.count.return_value = POOL._replace(mean=mean)
    load.inside.return_value, load.finish.return_value = 11, 2
    found = measure.whole_rounds(load, takes, 5, None)
    assert clock.now == 100 + takes / 2 + 2, "it begins between two waves"
    assert [call.args[0] for call in load.count.call_args_list] == counted
    assert (found.inside, found.unfinished) == (11, 2)


SHOP = """
import asyncio, itertools, time

slots, numbers, busy = asyncio.Semaphore(5), itertools.count(), 0

async def respond(send, status, headers=()):
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": b""})

async def pool(scope, receive, send):
    known = (b"login", b"me") in scope["headers"] and scope["query_string"] == b"x=1"
    if not known:
        return await respond(send, 302, [(b"location", b"/login/")])
    async with slots:
        await asyncio.sleep(1)  # a busy machine has half of it to begin between two waves
    await respond(send, 200)

def two(environ, start_response):
    time.sleep(1)
    start_response("200 OK", [])
    return []

async def refuses(scope, receive, send):
    global busy
    if busy == 3:
        await asyncio.sleep(0.2)
        return await respond(send, 503)
    busy += 1
    await asyncio.sleep(0.5)
    busy -= 1
    await respond(send, 200)

async def hangs(scope, receive, send):
    await asyncio.sleep(0.5 if next(numbers) < 40 else 600)
    await respond(send, 200)
"""
# What these programs would obey, or their clients on the way to them.
HOSTILE = dict.fromkeys(("PORT", "WEB_CONCURRENCY", "GUNICORN_CMD_ARGS", "UVICORN_PORT",
                         "LOCUST_USERS", "http_proxy"), "--nonsense")  # fmt: skip
UVICORN = "shop$ uvicorn main:{} --lifespan off --no-access-log --port {}"
HERE = "http://127.0.0.1:"
WHERE = "--path", f"{HERE}9001/orders?x=1", "--header"
SCENES = {  # compare.py's arguments, and what is printed then; all of them run together
    "a pool": (
        [UVICORN.format("pool", 9001), *WHERE, "Login: me", "--users", "20"],
        r" -  .* 0\n  Works like 5 slots: ",
    ),
    "requests fail": (
        [UVICORN.format("refuses", 9002), "--path", f"{HERE}9002/"],
        r" [5-9]\d\d +\d+ +(\d+)\n  No slots: \1 requests failed.\n  FAILED \1 .*503",
    ),
    "requests hang": (
        [UVICORN.format("hangs", 9003), "--path", f"{HERE}9003/"],
        r"No slots: 16 of 16 users got no response any more|Nobody got a response",
    ),
    "it runs already": (
        [f"{HERE}9004/", "--users", "8"],
        r"0.1:9004/\n.* -  .*\n  Works like 2 slots: ",
    ),
    "strangers": ([f"{HERE}9005/"], "others have 1 connections"),
    "a redirect": ([f"{HERE}9006/"], "/ is no good: 302 to /login/. Nothing was measured."),
    "a row of the table, and one whose file was edited": (
        ["gunicorn -w 4 slow", "uvicorn slow", "--users", "8"],
        (r"^8 users, 2 s counted per row; (.*\n)+wsgi\$ gunicorn -w 4 slow_app:app\n"
        r"█+ +(3\.[5-9]|4\.[0-4]) +4\.0( +2[0-4]\d\d){2} +0\nasgi\$ uvicorn .*\n"
        r" .* -  .*\n  0\.\d+ s here, not 1 s: was slow_app.py edited\?\n"),
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Start all SCENES; yield the processes. A copy of the lesson is the folder of them."""
    folder = tmp_path_factory.mktemp("runs") / "my léssons"
    shutil.copytree(ROOT, folder, ignore=shutil.ignore_patterns(".*"))
    (folder / "shop").mkdir()
    (folder / "shop" / "main.py").write_text(SHOP)
    app = folder / "asgi" / "slow_app.py"
    app.write_text(app.read_text().replace("sleep(1)", "sleep(0.25)"))
    command = "gunicorn --threads 2 --bind 127.0.0.1:9004 main:two"
    moved = b"HTTP/1.1 302 Found\r\nLocation: /login/\r\n\r\n"
    with (
        serve(folder / "shop", command, f"{HERE}9004/") as server,
        serve("asgi", "uvicorn slow_app:app --port 9005", f"{HERE}9005/"),
        socket.create_connection(("127.0.0.1", 9005)),
        responding(moved, 9006),
    ):
        how = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        how |= {"cwd": folder, "env": os.environ | HOSTILE}
        options = "--users", "16", "--seconds", "2"
        started = {
            name: subprocess.Popen(
                [sys.executable, "compare.py", *options, *arguments], **how
            )
            for name, (arguments, _) in SCENES.items()
        }
        yield started | {"server": server}
        for process in started.values():
            process.kill()
            process.communicate()


@pytest.mark.parametrize("scene", SCENES)
def test_a_run(runs, scene):
    """In an environment whose variables these programs would obey."""
    said, _ = runs[scene].communicate(timeout=60)
    assert re.search(SCENES[scene][1], said), said
    assert not re.search("Traceback|[\r\033]", said), said
    bad = {"requests fail", "a redirect"}
    if scene != "requests hang":
        assert runs[scene].returncode == int(scene in bad)


def test_what_runs_already_is_not_stopped(runs):
    runs["it runs already"].wait(timeout=60)
    assert runs["server"].running() and status(f"{HERE}9004/") == 200
