"""Measures what one more request in progress costs, in memory and in processor time.

python -m figures.costs      prints a table, in 90 seconds; needs requirements-dev.txt
"""

import math
import sys
import time
from typing import NamedTuple

import psutil

from compare import asgi, versions, wsgi
from launch import HERE, allow_files, leave_nothing, running, started
from measure import Load

USERS = 10, 1000
SECONDS = 3  # counted for each number of users
FOUR = wsgi("gunicorn -w 4 slow_app:app", 4)
FORTY = wsgi("gunicorn -w 40 slow_app:app", 40)
ROWS = {  # what a request in progress is there
    "threads": wsgi("gunicorn -w 4 --threads 400 slow_app:app", 1600),
    "greenlets": wsgi("gunicorn -k gevent slow_app:app", 1000),
    "coroutines": asgi("uvicorn slow_app:app", math.inf),
}
LINE = "{:>12}{:>10}{:>14}{:>14}{:>10}"
HEAD = LINE.format("RPS", "CPU (ms)", "MB (10 users)", "MB (1,000)", "kB each")


class Cost(NamedTuple):
    """What a number of users get from a server, and cost it."""

    rate: float  # requests per second
    in_progress: int  # requests
    processor: float  # seconds for each request
    memory: float  # megabytes, of all processes together


def memory(processes):
    """Return the megabytes of the processes: what several share is divided among them.

    Linux calls that proportional set size. On macOS it is what they do not share.
    """
    infos = [process.memory_full_info() for process in processes]
    return sum(getattr(info, "pss", info.uss) for info in infos) / 1e6


def cost(row, users, seconds=SECONDS):
    """Return the Cost of that many users; exit with a sentence if they are not served."""
    with running(row.place, row.command) as server:
        time.sleep(1.5)  # until every worker has started
        with Load(users, HERE) as load:
            time.sleep(2.5)  # until everybody has a slot, or is in the queue
            before = started(server)
            result = load.count(seconds, lambda: started(server))
            try:
                megabytes = memory(before)
            except psutil.NoSuchProcess:
                sys.exit(f"{users} users: a worker exited meanwhile. Measure again.")
            if started(server) != before:
                sys.exit(f"{users} users: a worker was replaced meanwhile. Measure again.")
            if result.errors or not result.rate:
                errors = [error.error for error in result.errors] or ["nobody was served"]
                sys.exit(f"{users} users: {errors[0]}. Nothing was measured.")
    each = result.server / result.rate
    return Cost(result.rate, min(users, row.slots), each, megabytes)


def kilobytes(few, many):
    """Return the kB of each request that `many` has more than `few`, or None."""
    more = many.in_progress - few.in_progress
    return 1000 * (many.memory - few.memory) / more if more else None


def line(few, many, each):
    """Return the table's line, from the Costs of few and of many users, and kilobytes()."""
    ticks = many.rate * SECONDS > 200  # or too few of them, because one is 10 ms
    processor = f"{1000 * many.processor:.2f}" if ticks else "-"
    megabytes = f"{few.memory:.1f}", f"{many.memory:.1f}"
    kb = "-" if each is None else f"{each:,.1f}"
    return LINE.format(f"{many.rate:,.1f}", processor, *megabytes, kb)


def pays_for(process, others):
    """Return in a sentence how many of the others one process is worth; all in kB."""
    numbers = [f"{process / each:,.0f} {name}" for name, each in others.items()]
    return f"The memory of one process pays for {', '.join(numbers[:-1])} or {numbers[-1]}."


def main():
    """Print the table, or exit with a sentence if that cannot be."""
    leave_nothing()
    allow_files(USERS[-1] + 200)
    print(f"{versions()}\n\n{HEAD}")
    costs = {}
    for row in (FOUR, FORTY, *ROWS.values()):
        print(row, flush=True)
        few, many = costs[row] = [cost(row, users) for users in USERS]
        # A process takes its memory before anybody asks: it is compared with fewer of them.
        each = kilobytes(costs[FOUR][1] if row is FORTY else few, many)
        print(line(few, many, each), flush=True)
    process = kilobytes(costs[FOUR][1], costs[FORTY][1])
    others = {name: kilobytes(*costs[row]) for name, row in ROWS.items()}
    print(f"\n{pays_for(process, others)}")


if __name__ == "__main__":
    sys.exit(main())
