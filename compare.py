"""The README's load test from start to end: each server, under the same load.

python compare.py                            40 users, 5 seconds counted per row
python compare.py wsgi                       only rows with "wsgi" in them
python compare.py cpu --users 8              the rows that compute instead of waiting
python compare.py --users 1000 --seconds 10  with as many threads as that takes

Little's law says what to expect: requests in flight = requests per second x seconds
each, so a server with that many slots answers at most min(slots, users) / seconds.
"""

import argparse
import contextlib
import errno
import http.client
import json
import math
import os
import re
import resource
import shlex
import signal
import site
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

CORES = os.cpu_count()
WAIT = 1.0  # seconds that slow_app.py and blocking_app.py wait
COMPUTE = 0.1  # seconds that cpu_app.py computes
# A line is a row: the folder, the command, how many requests it serves at a time.
WAITING = [
    ("wsgi", "gunicorn -w 4 slow_app:app", 4),
    ("asgi", "gunicorn slow_app:app -w 4 -k uvicorn_worker.UvicornWorker", math.inf),
    ("wsgi", "gunicorn --threads 40 slow_app:app", 40),
    ("asgi", "gunicorn -w 4 -k asgi slow_app:app", math.inf),
    ("asgi", "uvicorn slow_app:app", math.inf),
    ("asgi", "uvicorn blocking_app:app", 1),
]
COMPUTING = [  # here every core serves one
    ("wsgi", f"gunicorn -w {CORES} cpu_app:app", CORES),
    ("wsgi", f"gunicorn -w {CORES} --threads 10 cpu_app:app", CORES),
    ("asgi", f"gunicorn -w {CORES} -k asgi cpu_app:app", CORES),
    ("wsgi", f"gunicorn -w {4 * CORES} cpu_app:app", CORES),
]
PORT = 8000
START = 3  # seconds, about, that one row's start and end take
BEGIN = 1  # seconds within which all users of locustfile.py have asked once
SPARE_FILES = 200  # that a server, or Locust, opens besides one per user
START_LIMIT = 20  # seconds in which a server, and Locust, must have answered
QUEUE_LIMIT = 20  # seconds; a queue that is not full by then is called growing
COLUMNS = "{:20}{:>8}{:>9}{:>7}{:>13}{:>13}{:>9}"
ROOT = Path(__file__).resolve().parent
TAKEN = f"""Nothing was started: port {PORT} is taken, perhaps by a server left running.
See who has it, with one of
    lsof -nP -iTCP:{PORT} -sTCP:LISTEN
    ss -ltnp 'sport = :{PORT}'
end that (Ctrl-C in its terminal), and try again."""
MISSING = """{} was not found by this Python. Activate the environment, or type
    python -m pip install -r requirements.txt"""
FEW_FILES = """Nothing was started: a connection is a file, and here a process may open
only {} of them, fewer than {} users need. Allow more for this terminal, with
    ulimit -n 8192
or take fewer users."""
direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # no proxy
signals = []  # Ctrl-C is noted here and acted on in pause(), never amid a start


class Trouble(Exception):
    """What happened, why, and what to type next, for whoever runs this."""


def pause(seconds=0.1):
    """Sleep `seconds`, as every wait here does; KeyboardInterrupt after a signal."""
    time.sleep(seconds)
    if signals:
        raise KeyboardInterrupt


def is_free(port):
    """Return whether nothing listens at `port` of this machine."""
    with socket.socket() as probe:
        probe.settimeout(WAIT)
        return probe.connect_ex(("127.0.0.1", port)) == errno.ECONNREFUSED


def clean_environment(home):
    """Return the environment without what gunicorn, uvicorn and Locust would obey.

    The empty folder `home` replaces the real one, where Locust reads ~/.locust.conf.
    """
    obeyed = ("GUNICORN_", "UVICORN_", "LOCUST_", "PORT", "WEB_CONCURRENCY")
    env = {k: v for k, v in os.environ.items() if not k.startswith(obeyed)}
    return env | {
        "PATH": f"{os.path.dirname(sys.executable)}:{env.get('PATH', os.defpath)}",
        "PYTHONUSERBASE": site.getuserbase(),  # stays in the real home
        "HOME": home,
        # Settings from a module that has none, not from a gunicorn.conf.py.
        "GUNICORN_CMD_ARGS": "--config python:__future__ --no-control-socket",
    }


@contextlib.contextmanager
def running(command, folder, home):
    """Start `command` in `folder`, yield its process, leave nothing of it behind."""
    log = Path(home, command.split()[0] + ".log")
    with log.open("w") as output:
        process = subprocess.Popen(
            shlex.split(command),
            cwd=folder,
            env=clean_environment(home),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,  # a process group of its own, workers included
        )
    process.log = log
    try:
        yield process
    finally:  # SIGTERM to the group, SIGKILL five seconds later, until it is empty
        with contextlib.suppress(ProcessLookupError, PermissionError):  # it is
            for turn in range(200):
                process.poll()  # an ended process stays until it is collected
                kinds = {0: signal.SIGTERM, 100: signal.SIGKILL}
                os.killpg(process.pid, kinds.get(turn, 0))
                time.sleep(0.05)


def trouble(process, what):
    """Return a Trouble that says `what` of `process`, with its errors and last lines."""
    lines = process.log.read_text(errors="replace").splitlines()
    errors = dict.fromkeys(
        line for line in lines[:-10] if re.match(r"\w+Error: ", line)
    )
    said = "\n    ".join([*errors, "...", *lines[-10:]])
    return Trouble(f"{shlex.join(process.args)}\n{what}. It said:\n    {said}")


def ask(process, port, path="/", form=None):
    """Return what `process` answers at `port`, as bytes; GET, or POST of a `form`.

    Raises Trouble if it ends, answers an error, or is silent for START_LIMIT seconds.
    """
    until = time.monotonic() + START_LIMIT
    while time.monotonic() < until:
        if process.poll() is not None:
            raise trouble(process, "ended by itself")
        try:
            url = f"http://127.0.0.1:{port}{path}"
            with direct.open(url, form and form.encode(), 3 * WAIT) as answer:
                return answer.read()
        except urllib.error.HTTPError as error:
            raise trouble(process, f"answered with status {error.code}") from None
        except (OSError, http.client.HTTPException):
            pause()  # it does not listen yet
    raise trouble(process, f"gave no answer in {START_LIMIT} seconds")


def wait_for(seconds, what, later, server):
    """Wait `seconds`, with a progress bar if anybody looks; Trouble if `server` ends.

    The bar says `what` goes on, and what is left with the `later` seconds after it.
    """
    start = time.monotonic()
    while (left := start + seconds - time.monotonic()) > 0:
        if sys.stdout.isatty():
            bar = "#" * round(20 * (1 - left / seconds))
            said = f"{bar:.<20} {what}, about {left + later:.0f} s to the end"
            print(f"\r\033[K{said}", end="", flush=True)
        pause(min(0.1, left))
        if server.poll() is not None:
            raise trouble(server, "ended by itself")


def with_word(rows, word):
    """Return those of `rows` that have `word` in their folder or command."""
    return [row for row in rows if word in row[0] or word in row[1]]


def enough_threads(row, users):
    """Return the `row`; the one with threads has more slots than users if 40 are too few.

    In four processes: one alone takes 1,000 connections at most (--worker-connections).
    """
    if "--threads 40 " not in row[1] or users <= row[2]:
        return row
    threads = math.ceil(0.4 * users)  # 1.6 slots per user, as they fill unevenly
    command = row[1].replace("--threads 40", f"-w 4 --threads {threads}")
    return row[0], command, 4 * threads


def allow_files(users):
    """Let this process, and those it starts, open a file for each of the `users`.

    Raises Trouble if the system allows fewer.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = users + SPARE_FILES
    if hard != resource.RLIM_INFINITY and hard < needed:
        raise Trouble(FEW_FILES.format(hard, users))
    if soft != resource.RLIM_INFINITY and soft < needed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))


def seconds_each(row):
    """Return how many seconds this row's server takes for one request."""
    return COMPUTE if row in COMPUTING else WAIT


def ceiling_of(row, users):
    """Return how many requests per second `users` can get from this row's server."""
    return min(row[2], users) / seconds_each(row)


def filling(row, users):
    """Return after how many seconds all `users` wait in the queue of this row's server.

    Answers come in waves: counting starts and ends half-way between two of them.
    """
    each = seconds_each(row)
    rounds = max(1, math.ceil(users / row[2])) * each
    return min(BEGIN + rounds, QUEUE_LIMIT) + each / 2


def measure(row, users, seconds, name="", later=0, watch=None):
    """Load the server of one `row` and count for `seconds` when its queue is full.

    The progress bar calls the row `name` and adds the seconds that come `later`.
    `watch`, if given, is called with the server's process three times: when it has
    answered once, when counting begins, when it ends. Returns Locust's statistics (a
    dict; times in milliseconds), the requests served per second, and whether the queue
    was full: it is not if QUEUE_LIMIT came first.
    """
    folder, command, _ = row
    if not is_free(PORT):
        raise Trouble(TAKEN)
    allow_files(users)
    watch = watch or (lambda server: None)
    with socket.create_server(("127.0.0.1", 0)) as free:
        page = free.getsockname()[1]
    with contextlib.ExitStack() as stack:
        home = stack.enter_context(tempfile.TemporaryDirectory())
        server = stack.enter_context(running(command, ROOT / folder, home))
        locust = f"locust -f locustfile.py --web-port {page}"
        locust = stack.enter_context(running(locust, ROOT, home))
        ask(server, PORT)
        watch(server)
        form = f"user_count={users}&spawn_rate={users}&host=http://127.0.0.1:{PORT}"
        ask(locust, page, "/swarm", form)  # what the page's Start button does
        fill = filling(row, users)
        wait_for(fill, f"{name}filling the queue", seconds + later, server)
        ask(locust, page, "/stats/reset", " ")
        start = time.monotonic()
        watch(server)
        wait_for(seconds, f"{name}counting", later, server)
        stats = json.loads(ask(locust, page, "/stats/requests"))
        seconds = time.monotonic() - start
        watch(server)
        total = stats["stats"][-1]
        if not total["num_requests"]:
            raise trouble(locust, "counted no request")
    rate = (total["num_requests"] - total["num_failures"]) / seconds
    # Little's law once more: with all users in flight, rate x mean time is their number.
    in_flight = rate * total["avg_response_time"] / 1000
    return stats, rate, in_flight > 0.9 * users


def versions():
    """Return in a line which Python, gunicorn, uvicorn and Locust are measured."""
    packages = [f"{p} {version(p)}" for p in ("gunicorn", "uvicorn", "locust")]
    return ", ".join([f"Python {sys.version.split()[0]}", *packages])


def note_signals():
    """From now on Ctrl-C and its like are acted on in pause() only, never amid a start."""
    for kind in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(kind) is not signal.SIG_IGN:  # as nohup wants it
            signal.signal(kind, lambda number, frame: signals.append(number))


def table(rows, users, seconds):
    """Measure and print row after row; return how many requests failed in all."""
    print(f"{users} users, {seconds} s counted per row; {CORES} cores;")
    print(f"{versions()}\n")
    names = "RPS", "ceiling", "share", "Median (ms)", "95%ile (ms)", "# Fails"
    print(COLUMNS.format("", *names))
    highest = max(ceiling_of(row, users) for row in rows)  # as wide as the bar
    failures = 0
    for number, row in enumerate(rows, 1):
        print("{}$ {}".format(*row), flush=True)
        later = sum(filling(row, users) + seconds + START for row in rows[number:])
        name = f"row {number} of {len(rows)}: "
        stats, rate, full = measure(row, users, seconds, name, later)
        total = stats["stats"][-1]
        times = total["median_response_time"], total["response_time_percentile_0.95"]
        # Two digits, which is how finely Locust keeps its percentiles.
        times = [int(float(f"{t:.2g}")) if full else "growing" for t in times]
        ceiling = ceiling_of(row, users)
        bar = "█" * min(20, math.ceil(20 * rate / highest))
        figures = f"{rate:.1f}", f"{ceiling:.1f}", f"{rate / ceiling:.2f}", *times
        back = "\r\033[K" if sys.stdout.isatty() else ""
        print(back + COLUMNS.format(bar, *figures, total["num_failures"]), flush=True)
        for error in stats["errors"]:
            print(f"  FAILED {error['occurrences']} times: {error['error']}")
        failures += total["num_failures"]
    return failures


def main():
    """Return the exit code: 0; 1 for failed requests or trouble; 128 + a signal."""
    parser = argparse.ArgumentParser(description="Load-test the servers in turn.")
    parser.add_argument(
        "word", nargs="?", default="", help="only rows with this in folder or command"
    )
    parser.add_argument("--users", type=int, default=40, help="default: 40")
    parser.add_argument("--seconds", type=int, default=5, help="default: 5")
    options = parser.parse_args()
    if not (1 <= options.users <= 5000 and 1 <= options.seconds <= 600):
        parser.error("--users goes from 1 to 5000, --seconds from 1 to 600")
    waiting = [enough_threads(row, options.users) for row in WAITING]
    rows = with_word(waiting, options.word) or with_word(COMPUTING, options.word)
    if not rows:
        every = "\n".join("    {}$ {}".format(*row) for row in WAITING + COMPUTING)
        parser.error(f"no row has '{options.word}' in it. The rows are\n{every}")
    note_signals()
    sys.stdout.reconfigure(errors="replace")  # a terminal that knows no blocks
    try:
        return 1 if table(rows, options.users, options.seconds) else 0
    except (Trouble, PackageNotFoundError, FileNotFoundError) as error:
        name = getattr(error, "filename", None) or getattr(error, "name", None)
        print(f"\n{MISSING.format(name) if name else error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nStopped. Every process it had started is gone.", file=sys.stderr)
        return 128 + signals[0]


if __name__ == "__main__":
    sys.exit(main())
