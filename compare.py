"""The README's load test from start to end: the same users on each server in turn.

python compare.py                            40 users, 5 seconds counted per row
python compare.py wsgi                       only rows with "wsgi" in them
python compare.py cpu --users 8              the rows that compute instead of waiting
python compare.py --users 1000 --seconds 10  with as many threads as that takes
python compare.py '../shop$ uvicorn main:app' --path /orders    your own application
"""

import sys

try:
    from locust.env import Environment  # first, because it patches the standard library
except ImportError:
    sys.exit("Locust is missing. Activate the environment: . .venv/bin/activate\n"
             "If there is none yet, make it: make compare")  # fmt: skip

import argparse
import contextlib
import logging
import math
import os
import time
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import gevent

from locustfile import Visitor
from server import ROOT, ROW, address, allow_files, leave_nothing, running

CORES = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count()
LONGEST_FILL = 12.5  # seconds; no queue is given more, and .5 is between two waves
LINE = "{:20}{:>8}{:>9}{:>13}{:>13}{:>9}"
HEAD = LINE.format("", "RPS", "ceiling", "Median (ms)", "95%ile (ms)", "# Fails")


class Row(NamedTuple):
    """A row of the table: what is started where, and its slots, if they are known."""

    folder: str
    command: str
    slots: float | None = None  # how many requests can be in progress at once
    takes: float = 1  # the seconds for which each of them is
    base: Path = ROOT  # where the folder is looked for

    def __str__(self):
        return f"{self.folder}$ {self.command}"

    def ceiling(self, users):
        """Return how many requests per second `users` get at most, by Little's law."""
        return self.slots and min(self.slots, users) / self.takes


def waiting_rows(users):
    """Return the rows that wait; for more than 40 `users` with more threads."""
    threads, slots = "--threads 40", 40
    if users > 40:  # a process takes 1,000 connections at most, and four fill unevenly
        each = math.ceil(0.4 * users)
        threads, slots = f"-w 4 --threads {each}", 4 * each
    return [
        Row("wsgi", "gunicorn -w 4 slow_app:app", 4),
        Row("asgi", "gunicorn slow_app:app -w 4 -k uvicorn_worker.UvicornWorker", math.inf),
        Row("wsgi", f"gunicorn {threads} slow_app:app", slots),
        Row("wsgi", "gunicorn -k gevent slow_app:app", 1000),
        Row("asgi", "gunicorn -w 4 -k asgi slow_app:app", math.inf),
        Row("asgi", "uvicorn slow_app:app", math.inf),
        Row("asgi", "uvicorn blocking_app:app", 1),
    ]


COMPUTING_ROWS = [  # every core serves one request at a time, for a tenth of a second
    Row("wsgi", f"gunicorn -w {CORES} cpu_app:app", CORES, 0.1),
    Row("wsgi", f"gunicorn -w {CORES} --threads 10 cpu_app:app", CORES, 0.1),
    Row("asgi", f"gunicorn -w {CORES} -k asgi cpu_app:app", CORES, 0.1),
    Row("wsgi", f"gunicorn -w {4 * CORES} cpu_app:app", CORES, 0.1),
]


def versions():
    """Return in two lines what is measured: the cores, and the versions of the programs."""
    packages = [f"{name} {version(name)}" for name in ("gunicorn", "uvicorn", "locust")]
    return f"{CORES} cores;\nPython {sys.version.split()[0]}, {', '.join(packages)}"


class Result(NamedTuple):
    """What was measured in a row."""

    rate: float  # requests per second that got a good response
    times: list[int]  # the median and the 95th percentile of their times, in ms
    errors: list  # Locust's: each has `occurrences` and an `error`
    unserved: int  # users without any response when the counting began
    busy: float  # how much of a core Locust itself used, in percent
    late: float  # seconds by which the counting lasted longer than was asked for


@contextlib.contextmanager
def visiting(users, url):
    """Let that many users of locustfile.py ask for `url`, and yield Locust's environment.

    Its set `served` grows with each user's first response.
    """
    place = urlsplit(url)
    path = argparse.Namespace(path=place._replace(scheme="", netloc="").geturl())
    host = f"{place.scheme}://{place.netloc}"
    locust = Environment(user_classes=[Visitor], host=host, parsed_options=path)
    locust.served = set()
    add = locust.served.add
    locust.events.request.add_listener(lambda **_: add(gevent.getcurrent()))  # the user
    logging.getLogger("locust").setLevel(logging.ERROR)  # all users may come at once
    locust.create_local_runner().start(users, spawn_rate=users)
    try:
        yield locust
    finally:
        locust.runner.quit()


def fill_queue(users, locust):
    """Return when all `users` have had a response, or in the end how many have not."""
    until = time.monotonic() + LONGEST_FILL
    while len(locust.served) < users and time.monotonic() < until:
        time.sleep(0.1)  # after the last of a wave, and before the next one
    return users - len(locust.served)


def measure(row, users, seconds, url):
    """Return the Result of `users` who ask the row's server for `url`."""
    with running(row.base / row.folder, row.command, url), visiting(users, url) as locust:
        unserved, stats = fill_queue(users, locust), locust.stats
        stats.reset_all()
        begin, used = time.monotonic(), time.process_time()
        time.sleep(seconds)
        lasted, used = time.monotonic() - begin, time.process_time() - used
        return Result(
            rate=(stats.num_requests - stats.num_failures) / lasted,
            times=[stats.total.get_response_time_percentile(part) for part in (0.5, 0.95)],
            errors=list(stats.errors.values()),
            unserved=unserved,
            busy=used / lasted,
            late=lasted - seconds,
        )


def remarks(result, ceiling, seconds):
    """Yield a sentence for each thing that a reader of the row has to know besides."""
    if result.unserved:
        yield f"No times: {result.unserved} users had no response yet."
    if not result.rate and not result.errors:
        yield "Nobody got a response while this was counted."
    if result.late > 1:
        yield f"Held up for {result.late:.0f} s while this was counted. Measure it again."
    if result.busy > 0.9:
        yield "Locust used up a core: its limit, not the server's. Take fewer users."
    elif ceiling and not result.errors and 0 < result.rate < 0.95 * ceiling - 1 / seconds:
        yield "Below its ceiling: a busy machine, another load here, or fewer slots."
    elif ceiling and result.rate > 1.05 * ceiling + 1 / seconds:
        yield "Above its ceiling: this application has more slots, or takes less time."
    for error in result.errors:
        yield f"FAILED {error.occurrences} times: {error.error}"


@contextlib.contextmanager
def progress(name, seconds):
    """Show on a terminal, while the block lasts, that it takes about that many `seconds`."""

    def draw():
        for left in range(seconds, -1, -1):
            bar = "#" * (20 - 20 * left // seconds)
            print(f"\r{bar:.<20} {name}, about {left} s ", end="", flush=True)
            time.sleep(1)

    drawing = gevent.spawn(draw) if sys.stdout.isatty() else None
    try:
        yield
    finally:
        if drawing:
            drawing.kill()
            print("\r\033[K", end="", flush=True)


def table(rows, users, seconds, url):
    """Measure and print row after row; return whether some request failed in one."""
    ceilings, bad = [row.ceiling(users) for row in rows], False
    for number, (row, ceiling) in enumerate(zip(rows, ceilings, strict=True), 1):
        print(row, flush=True)
        with progress(f"row {number} of {len(rows)}", round(LONGEST_FILL) + seconds + 3):
            result = measure(row, users, seconds, url)
        bar = "█" * math.ceil(20 * result.rate / max(ceilings)) if all(ceilings) else ""
        times = ["-", "-"] if result.unserved or not result.rate else result.times
        rate, most = f"{result.rate:.1f}", f"{ceiling:.1f}" if ceiling else "-"
        failed = sum(error.occurrences for error in result.errors)
        print(LINE.format(bar[:20], rate, most, *times, failed))
        for remark in remarks(result, ceiling, seconds):
            print(f"  {remark}", flush=True)
        bad = bad or failed > 0 or not result.rate
    return bad


def named_rows(name, users, slots, takes):
    """Return the Rows with the word `name` in them, or the one that it is."""
    own = ROW.fullmatch(name)
    if own:
        return [Row(own[1], own[2], slots, takes, Path())]
    found = [row for row in waiting_rows(users) if name in str(row)]
    return found or [row for row in COMPUTING_ROWS if name in str(row)]


def main():
    """Print the table that the command line asks for; return the exit code."""
    parser = argparse.ArgumentParser(description="Load-test servers in turn.")
    ask = parser.add_argument
    ask("rows", nargs="*", default=[""], help="a word in the table, or 'folder$ command'")
    ask("--users", type=int, default=40, help="1 to 1500; default: 40")
    ask("--seconds", type=int, default=5, help="1 to 600; default: 5")
    ask("--path", default="/", help="what the users ask for; default: /")
    ask("--slots", type=int, help="how many your command has, for its ceiling")
    ask("--takes", type=float, default=1, help="seconds of a request; default: 1")
    options = parser.parse_args()
    users, seconds, takes = options.users, options.seconds, options.takes
    if not (1 <= users <= 1500 and 1 <= seconds <= 600):
        parser.error("1 to 1500 users (one Locust cannot be more), 1 to 600 seconds")
    if takes <= 0 or options.slots is not None and options.slots < 1:
        parser.error("--slots and --takes must be greater than 0")
    rows = []
    for name in options.rows:
        if name.isdecimal():
            parser.error(f"users are an option: --users {name}")
        found = named_rows(name, users, options.slots, takes)
        if not found:
            every = "\n".join(f"    {row}" for row in waiting_rows(users) + COMPUTING_ROWS)
            parser.error(f"no row has '{name}' in it. The rows are\n{every}")
        rows += found
    leave_nothing()
    allow_files(users + 200)
    print(f"{users} users, {seconds} s counted per row; {versions()}\n\n{HEAD}")
    return int(table(rows, users, seconds, address(options.path)))


if __name__ == "__main__":
    sys.exit(main())
