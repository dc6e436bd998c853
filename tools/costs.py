"""Measures what a waiting request costs, in memory and in processor time.

python -m tools.costs      prints a table and draws docs/images/costs.svg, in five minutes

It needs requirements-dev.txt.
"""

import math
import sys

import matplotlib.pyplot as plt
from tools.server import ROOT, allow_files, check_port, leaving_nothing, running, wait

import compare  # before the standard library is used: it patches it
from compare import Row

USERS = 10, 100, 1000
SECONDS = 5  # counted for each number of users
ROWS = [
    Row("wsgi", "gunicorn -w 4 slow_app:app", 4),
    Row("wsgi", "gunicorn -w 4 --threads 10 slow_app:app", 40),
    Row("wsgi", "gunicorn -w 4 --threads 400 slow_app:app", 1600),
    Row("asgi", "gunicorn -w 4 -k asgi slow_app:app", math.inf),
    Row("asgi", "gunicorn slow_app:app -w 4 -k uvicorn_worker.UvicornWorker", math.inf),
    Row("asgi", "uvicorn slow_app:app", math.inf),
]
# One process for each waiting request: a thousand would ask too much.
PROCESSES = {1: Row("wsgi", "gunicorn -w 1 slow_app:app", 1)}
PROCESSES[100] = Row("wsgi", "gunicorn -w 100 slow_app:app", 100)
COLUMNS = "{:>8}{:>9}{:>17}{:>12}{:>15}{:>13}"


def family(server):
    """Return the process `server` and all that it has started."""
    return [server, *server.children(recursive=True)]


def memory(server):
    """Return the bytes of memory that the server and its workers take together.

    What processes share is divided among them (Linux: proportional set size), or is not
    counted (macOS: unique set size).
    """
    infos = [process.memory_full_info() for process in family(server)]
    return sum(getattr(info, "pss", info.uss) for info in infos)


def processor(server):
    """Return the seconds of processor time that the server and its workers have used."""
    times = [process.cpu_times() for process in family(server)]
    return sum(time.user + time.system for time in times)


def cost(row, users):
    """Return requests per second, processor seconds per request, bytes idle and loaded."""
    with running(row.folder, row.command) as server:
        wait(1, server)  # until every worker has booted
        idle = memory(server)
        with compare.visiting(users) as visits:
            wait(row.warm_up(users), server)
            visits.stats.reset_all()
            used = processor(server)
            wait(SECONDS, server)
            used, number = processor(server) - used, visits.stats.total.num_requests
            return number / SECONDS, used / number, idle, memory(server)


def show(row, users):
    """Measure and print what so many `users` cost; return their requests per second."""
    rate, used, idle, loaded = cost(row, users)
    # The clock that counts processor time ticks every 10 ms, too coarsely for a few.
    each = f"{1000 * used:.2f}" if rate * SECONDS >= 100 else "-"
    many = (
        USERS[-1] == users <= row.slots
    )  # so that what the first one takes is lost in them
    more = f"{(loaded - idle) / users / 1e3:.1f}" if many else "-"
    memories = f"{idle / 1e6:.1f}", f"{loaded / 1e6:.1f}", more
    print(COLUMNS.format(f"{users:,}", f"{rate:,.1f}", each, *memories), flush=True)
    return rate


def draw(rates, target):
    """Draw requests per second over users, from {row: a rate for each of USERS}."""
    plt.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "", "font.size": 11})
    figure, plot = plt.subplots(figsize=(9.5, 4.4))
    labels = {}  # lines that end in the same place share one
    for (row, ys), mark in zip(rates.items(), "os^Dv*", strict=True):
        (line,) = plot.plot(USERS, ys, f"{mark}-", alpha=0.7)
        points = sorted({*USERS, min(row.slots, USERS[-1])})
        ceilings = [row.ceiling(users) for users in points]
        plot.plot(points, ceilings, "--", color=line.get_color(), linewidth=1)
        labels.setdefault(row.ceiling(USERS[-1]), []).append(row.command)
    for height, commands in labels.items():
        place = {"xytext": (10, 0), "textcoords": "offset points", "fontsize": 9}
        plot.annotate("\n".join(commands), (USERS[-1], height), va="center", **place)
    plot.set(xscale="log", yscale="log", xlabel="users", ylabel="requests per second")
    plot.set(xticks=USERS, xticklabels=USERS, yticks=[1, 10, 100, 1000], ylim=(1, 3000))
    plot.set_yticklabels([1, 10, 100, 1000])
    plot.spines[["top", "right"]].set_visible(False)
    plot.set_title("measured (marks) and predicted (dashed)", fontsize=11)
    figure.tight_layout()
    figure.savefig(target, metadata={"Date": None})


def main():
    """Print the table and draw the picture; exit with a sentence if that cannot be."""
    with leaving_nothing():
        check_port(seconds=1.2)
        allow_files(USERS[-1])
        print(f"{compare.CORES} cores; {compare.versions()}\n")
        names = ("Users", "RPS", "Processor (ms)", "Idle (MB)", "Waiting (MB)", "One (kB)")
        print(COLUMNS.format(*names))
        rates = {}
        for row in ROWS:
            print(row, flush=True)
            rates[row] = [show(row, users) for users in USERS]
        for users, row in PROCESSES.items():
            print(row, flush=True)
            show(row, users)
        draw(rates, ROOT / "docs" / "images" / "costs.svg")


if __name__ == "__main__":
    sys.exit(main())
