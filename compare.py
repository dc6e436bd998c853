"""The README's load test from start to end: the same users on each server in turn.

python compare.py                            40 users, 5 seconds counted per row
python compare.py wsgi                       only rows with "wsgi" in them
python compare.py cpu --users 8              the rows that compute instead of waiting
python compare.py --users 1000 --seconds 10  with as many threads as that takes
"""

import sys

try:
    from locust.env import Environment  # first, as it patches the standard library
except ImportError:
    sys.exit("Locust is missing. Activate the environment, or type:\n"
             "    python -m pip install -r requirements.txt")  # fmt: skip

import argparse
import contextlib
import logging
import math
import os
import time
from importlib.metadata import version
from typing import NamedTuple

import gevent

from locustfile import Visitor
from tools.server import PORT, allow_files, check_port, leaving_nothing, running, wait

CORES = os.cpu_count()
QUEUE_LIMIT = 11  # seconds; no row's queue is given more to fill
MOST_USERS = 1500  # one Locust process cannot play many more
COLUMNS = "{:20}{:>8}{:>9}{:>13}{:>13}{:>9}"


class Row(NamedTuple):
    """A row of the table: what is started, and what arithmetic knows about it."""

    folder: str
    command: str
    slots: float  # how many requests it serves at a time
    seconds: float = 1  # that each one takes

    def __str__(self):
        return f"{self.folder}$ {self.command}"

    def ceiling(self, users):
        """Return how many requests per second `users` get at most, by Little's law."""
        return min(self.slots, users) / self.seconds

    def warm_up(self, users):
        """Return after how many seconds all `users`, who come in one, have been served."""
        rounds = max(1, math.ceil(users / self.slots)) * self.seconds
        # The half puts the beginning and the end of the count between two waves.
        return max(2.5, min(1 + rounds, QUEUE_LIMIT) + self.seconds / 2)


def waiting_rows(users):
    """Return the rows that wait; for more than 40 `users` the threads are more, too."""
    threads, slots = "--threads 40", 40
    if users > 40:  # a process takes 1,000 connections at most; four fill unevenly
        each = math.ceil(0.4 * users)
        threads, slots = f"-w 4 --threads {each}", 4 * each
    uvicorns = "gunicorn slow_app:app -w 4 -k uvicorn_worker.UvicornWorker"
    return [
        Row("wsgi", "gunicorn -w 4 slow_app:app", 4),
        Row("asgi", uvicorns, math.inf),
        Row("wsgi", f"gunicorn {threads} slow_app:app", slots),
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


@contextlib.contextmanager
def visiting(users):
    """Let so many `users` of locustfile.py ask, yield Locust's environment, then stop.

    Its set `served` grows by one with each user's first response.
    """
    visits = Environment(user_classes=[Visitor], host=f"http://127.0.0.1:{PORT}")
    visits.served = set()
    add = visits.served.add  # each user is a greenlet
    visits.events.request.add_listener(lambda **_: add(gevent.getcurrent()))
    runner = visits.create_local_runner()
    logging.getLogger("locust").setLevel(logging.ERROR)  # all users may come at once
    try:
        runner.start(users, spawn_rate=users)
        yield visits
    finally:
        runner.quit()


class Result(NamedTuple):
    """What was measured of one row."""

    rate: float  # requests served per second
    unserved: int  # users without any response yet when counting began
    busy: float  # the share of a core that Locust itself used
    total: object  # Locust's statistics of all requests; times in milliseconds
    errors: list  # Locust's, too


def measure(row, users, seconds, name="", later=0):
    """Return the Result of so many `users` on the row's server, counted for `seconds`.

    The progress bar calls the row `name`, and adds the seconds that come `later`.
    """
    with running(row.folder, row.command) as server, visiting(users) as visits:
        fill = f"{name}filling the queue"
        wait(row.warm_up(users), server, fill, seconds + later)
        unserved = users - len(visits.served)
        visits.stats.reset_all()
        begin, used = time.monotonic(), time.process_time()
        wait(seconds, server, f"{name}counting", later)
        lasted, used = time.monotonic() - begin, time.process_time() - used
        total, errors = visits.stats.total, list(visits.stats.errors.values())
        rate = (total.num_requests - total.num_failures) / lasted
    return Result(rate, unserved, used / lasted, total, errors)


def versions():
    """Return in a line which Python, gunicorn, uvicorn and Locust are measured."""
    packages = [f"{p} {version(p)}" for p in ("gunicorn", "uvicorn", "locust")]
    return ", ".join([f"Python {sys.version.split()[0]}", *packages])


def show(row, users, result, widest):
    """Print the Result of a row, with a bar that is full at `widest` requests per second."""
    times = [result.total.get_response_time_percentile(p) for p in (0.5, 0.95)]
    times = ["-" if result.unserved else int(float(f"{t:.2g}")) for t in times]
    bar = "█" * min(20, math.ceil(20 * result.rate / widest))
    figures = f"{result.rate:.1f}", f"{row.ceiling(users):.1f}", *times
    back = "\033[K" if sys.stdout.isatty() else ""  # over the progress bar
    print(back + COLUMNS.format(bar, *figures, result.total.num_failures))
    if result.unserved:
        print(
            f"  No times: {result.unserved} of {users} users had had no response yet."
        )
    if result.busy > 0.9:
        print(
            "  Locust used up a core: this is its limit, not the server's. Take fewer"
        )
        print("  users, or several Locusts (locust --processes 2).")
    for error in result.errors:
        print(f"  FAILED {error.occurrences} times: {error.error}")


def table(rows, users, seconds):
    """Measure and print row after row; return how many requests failed in all."""
    print(f"{users} users, {seconds} s counted per row; {CORES} cores;\n{versions()}\n")
    print(COLUMNS.format("", "RPS", "ceiling", "Median (ms)", "95%ile (ms)", "# Fails"))
    failures, widest = 0, max(row.ceiling(users) for row in rows)
    for number, row in enumerate(rows, 1):
        print(row, flush=True)
        name = f"row {number} of {len(rows)}: "
        later = sum(r.warm_up(users) + seconds + 3 for r in rows[number:])
        result = measure(row, users, seconds, name, later)
        show(row, users, result, widest)
        failures += result.total.num_failures
    return failures


def main(arguments=None):
    """Print the table that the `arguments` ask for; return 1 if any request failed."""
    parser = argparse.ArgumentParser(description="Load-test the servers in turn.")
    parser.add_argument("word", nargs="?", default="", help="only rows that contain it")
    parser.add_argument("--users", type=int, default=40, help="default: 40")
    parser.add_argument("--seconds", type=int, default=5, help="default: 5")
    options = parser.parse_args(arguments)
    word, users, seconds = options.word, options.users, options.seconds
    if not (1 <= users <= MOST_USERS and 1 <= seconds <= 600):
        parser.error(
            "--seconds goes from 1 to 600, --users from 1 to "
            f"{MOST_USERS}:\none Locust cannot play more (locust --processes 2 can)"
        )
    waiting = waiting_rows(users)
    rows = [r for r in waiting if word in str(r)]
    rows = rows or [r for r in COMPUTING_ROWS if word in str(r)]
    if not rows:
        every = "\n".join(f"    {row}" for row in waiting + COMPUTING_ROWS)
        parser.error(f"no row has '{word}' in it. The rows are\n{every}")
    with leaving_nothing():
        check_port(seconds=1.2)
        allow_files(users)
        return 1 if table(rows, users, seconds) else 0
    return 1  # nobody reads on


if __name__ == "__main__":
    sys.exit(main())
