"""The load test from start to end: the same users on each server in turn.

python compare.py                            40 users, 5 seconds counted per row
python compare.py wsgi                       only rows with "wsgi" in them
python compare.py cpu --users 8              the rows that compute instead of waiting
python compare.py --users 1000 --seconds 10  with as many threads as that takes
python compare.py '../shop$ uvicorn main:app' --path /orders    your own application
python compare.py http://127.0.0.1:9000/orders                  one that runs already
"""

import signal
import sys

if __name__ == "__main__":  # Ctrl-C during the imports: no traceback
    signal.signal(signal.SIGINT, signal.SIG_DFL)

try:
    from measure import CORES, measure, slots  # first: Locust patches the standard library
except ModuleNotFoundError as error:
    if error.name == "measure":  # Python may be told not to look where this file is
        sys.exit("measure.py was not found. If it is there, type: unset PYTHONSAFEPATH")
    if error.name not in ("gevent", "locust"):
        raise
    sys.exit("Locust is missing. Activate the environment: . .venv/bin/activate\n"
             "If there is none yet, make it: make compare")  # fmt: skip

import argparse
import math
import os
import re
import shlex
from importlib.metadata import version
from typing import NamedTuple

from burst import THIS_MACHINE, address, name_and_value
from launch import ROOT, Refusal, allow_files, leave_nothing

LINE = "{:20}{:>8}{:>9}{:>13}{:>13}{:>9}"
HEAD = LINE.format("", "RPS", "ceiling", "Median (ms)", "95%ile (ms)", "# Fails")
LOGIN = "It wants a login: --header 'Authorization: Bearer abc', for example."
HINTS = {"401": LOGIN, "403": LOGIN, "404": "Name a page that it has: --path /orders"}


class Row(NamedTuple):
    """A row: what is started where, or the address of a server that runs already."""

    command: str
    folder: str | None = None
    slots: float | None = None  # how many requests can be in progress at the same time
    takes: float = 1  # the seconds for which each of them is, in a row of the table

    def __str__(self):
        return self.command if self.folder is None else f"{self.folder}$ {self.command}"

    @property
    def place(self):
        """Where the folder is: the table's in the lesson, one's own where one is."""
        if self.folder is None:
            return None
        return os.path.expanduser(self.folder) if self.slots is None else ROOT / self.folder

    def ceiling(self, users):
        """Return how many requests per second `users` get at most, by Little's law."""
        return None if self.slots is None else min(self.slots, users) / self.takes

    def is_as_expected(self, seconds):
        """Return whether the slots are known, and a request takes as long as it should."""
        return self.slots is not None and abs(seconds - self.takes) < 0.4


def wsgi(command, slots, takes=1):
    """Return a row of the table."""
    return Row(command, "wsgi", slots, takes)


def asgi(command, slots=math.inf, takes=1):
    """Return a row of the table."""
    return Row(command, "asgi", slots, takes)


def waiting_rows(users):
    """Return the rows that wait; for more than 40 `users` with more threads."""
    threads, slots = "--threads 40", 40
    if users > 40:  # a process takes 1,000 connections at most, and four fill unevenly
        each = math.ceil(0.4 * users)
        threads, slots = f"-w 4 --threads {each}", 4 * each
    return [
        wsgi("gunicorn -w 4 slow_app:app", 4),
        asgi("gunicorn slow_app:app -w 4 -k uvicorn_worker.UvicornWorker"),
        wsgi(f"gunicorn {threads} slow_app:app", slots),
        wsgi("gunicorn -k gevent slow_app:app", 1000),
        asgi("gunicorn -w 4 -k asgi slow_app:app"),
        asgi("uvicorn slow_app:app"),
        asgi("uvicorn blocking_app:app", 1),
    ]


COMPUTING_ROWS = [  # every core serves one request at a time, for a tenth of a second
    wsgi(f"gunicorn -w {CORES} cpu_app:app", CORES, 0.1),
    wsgi(f"gunicorn -w {CORES} --threads 10 cpu_app:app", CORES, 0.1),
    asgi(f"gunicorn -w {CORES} -k asgi cpu_app:app", CORES, 0.1),
    wsgi(f"gunicorn -w {4 * CORES} cpu_app:app", CORES, 0.1),
]


def versions():
    """Return in two lines what is measured: the cores, and this lesson's programs."""
    packages = [f"{name} {version(name)}" for name in ("gunicorn", "uvicorn", "locust")]
    return f"{CORES} cores;\nPython {sys.version.split()[0]}, {', '.join(packages)}"


def remarks(row, result, users, seconds):
    """Yield a sentence for each thing that a reader of the row has to know besides."""
    ceiling = None if result.alone else row.ceiling(users)
    if result.alone and row.slots is not None:
        file = re.search(r"(\w+):", row.command)[1]
        yield f"{result.alone[0]:.2g} s here, not {row.takes:g} s: was {file}.py edited?"
    if result.unserved:
        yield f"No times: {result.unserved} users had no response yet."
    if not result.rate and not result.errors:
        yield "Nobody got a response while this was counted."
    if result.late > 1:
        yield f"Held up for {result.late:.0f} s while this was counted. Measure it again."
    if ceiling and result.rate > 1.05 * ceiling + 1 / seconds:
        yield "Above its ceiling: this application has more slots, or takes less time."
    if result.locust > 0.9:
        yield "Locust used up a core: its limit, not the server's. Take fewer users."
    elif result.alone and result.rate:
        yield slots(result, users)
    elif ceiling and not result.errors and 0 < result.rate < 0.95 * ceiling - 1 / seconds:
        why = "a busy machine, another load, users who pause, or fewer slots"
        yield f"Below its ceiling: {why}."
    for error in result.errors:
        yield f"FAILED {error.occurrences} times: {error.error}"


def table(rows, users, seconds, url, headers):
    """Measure and print row after row; return whether something failed in one of them."""
    ceilings, bad = [row.ceiling(users) for row in rows], False
    for row in rows:
        print(row, flush=True)
        where = address(row.command) if row.folder is None else url
        try:
            result = measure(row, users, seconds, where, headers)
        except Refusal as refusal:
            print(f"  {refusal}")
            if hint := re.search(r"is no good: (401|403|404)\.", str(refusal)):
                print(f"  {HINTS[hint[1]]}")
            bad = True
            continue
        # Slots that had to be found were not known, or are not what was expected.
        ceiling = None if result.alone else row.ceiling(users)
        bar = ""
        if ceiling and all(ceilings):
            bar = "█" * math.ceil(20 * result.rate / max(ceilings))
        times = ["-", "-"] if result.unserved or not result.rate else result.times
        rate, most = f"{result.rate:.1f}", f"{ceiling:.1f}" if ceiling else "-"
        failed = sum(error.occurrences for error in result.errors)
        print(LINE.format(bar[:20], rate, most, *times, failed))
        for remark in remarks(row, result, users, seconds):
            print(f"  {remark}", flush=True)
        bad = bad or failed > 0 or not result.rate
    return bad


def named_rows(name, users):
    """Return the Rows with the word `name` in them, or the one that it is.

    Raises ValueError, with a sentence, if it is neither.
    """
    if "$" not in name and name.startswith(("http", *THIS_MACHINE)):
        return [Row(address(name).geturl())]
    name, waiting = name.strip(), waiting_rows(users)
    own = re.fullmatch(r"(.*?)\$ *(.*)", name)
    if own and name not in map(str, waiting + COMPUTING_ROWS):
        if not any(shlex.split(own[2])):
            raise ValueError("a command is missing: 'wsgi$ gunicorn app:app', for example")
        return [Row(own[2], own[1])]
    for rows in waiting, COMPUTING_ROWS:
        if found := [row for row in rows if name in str(row)]:
            return found
    if re.search(r"\s|://", name):
        example = "'../shop$ uvicorn main:app', or http://127.0.0.1:9000/orders"
        raise ValueError(f"name a folder and a command, or an address: {example}")
    lines = "\n".join(f"    {row}" for row in waiting + COMPUTING_ROWS)
    raise ValueError(f"no row has '{name}' in it. The rows are\n{lines}")


def main():
    """Print the table that the command line asks for; return the exit code."""
    parser = argparse.ArgumentParser(description="Load-test servers in turn.")
    add = parser.add_argument
    rows = "a word in the table, 'folder$ command', http://"
    add("rows", nargs="*", default=[""], help=rows)
    add("--users", type=int, default=40, help="1 to 10000; default: 40")
    add("--seconds", type=int, default=5, help="1 to 600; default: 5")
    add("--path", type=address, help="what the users ask for; default: /")
    add("--header", type=name_and_value, action="append", default=[], help="'Name: value'")
    options = parser.parse_args()
    users, seconds = options.users, options.seconds
    if not (1 <= users <= 10_000 and 1 <= seconds <= 600):
        parser.error("1 to 10000 users, 1 to 600 seconds")
    rows = []
    for name in options.rows:
        if name.isdecimal():
            parser.error(f"users are an option: --users {name}")
        try:
            rows += named_rows(name, users)
        except (ValueError, argparse.ArgumentTypeError) as error:
            parser.error(str(error))
    if options.path and any(row.folder is None for row in rows):
        parser.error("an address has its path in it: http://127.0.0.1:9000/orders")
    leave_nothing()
    allow_files(users + 200)
    sys.stdout.reconfigure(errors="replace")  # a terminal may have no such bars
    try:
        print(f"{users} users, {seconds} s counted per row; {versions()}\n\n{HEAD}")
        url = options.path or address("/")
        return int(table(rows, users, seconds, url, options.header))
    except BrokenPipeError:  # nobody reads on, as in `python compare.py | head -1`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


if __name__ == "__main__":
    sys.exit(main())
